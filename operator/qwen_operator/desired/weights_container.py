"""The init container that fetches the weights, or checks those that lie there already."""

from __future__ import annotations

from typing import Final

from qwen_contract import pod
from qwen_operator.api.v1alpha1 import HuggingFaceSource, ModelScopeSource, Source
from qwen_operator.desired.container_security import build_container_security
from qwen_operator.desired.metadata import Object
from qwen_operator.desired.plan_config_map import source_folder
from qwen_operator.desired.volume_claim import weights_quota_bytes
from qwen_operator.desired.volumes import Mount, ca_bundle_file
from qwen_operator.desired.wanted import Wanted

_DEFAULT_REVISION: Final = "main"
_CPU: Final = "100m"
_MEMORY: Final = "512Mi"
"""Streams and hashes one shard at a time; its page cache is reclaimed."""


def build_weights_container(wanted: Wanted, mounts: tuple[Mount, ...]) -> Object:
    """Only this container ever sees the token, the proxy and the private authorities."""
    container: Object = {
        "name": pod.WEIGHTS_CONTAINER,
        "image": wanted.settings.runtime_image,
        "args": [*_arguments(wanted), "--record", pod.FETCHED_PATH],
        "env": _build_env(wanted.spec.source),
        "ports": [
            {
                "name": pod.WEIGHTS_CONTAINER,
                "containerPort": pod.LAUNCHER_PORT,
                "protocol": "TCP",
            }
        ],
        "resources": {
            "requests": {"cpu": _CPU, "memory": _MEMORY},
            "limits": {"memory": _MEMORY},
        },
        "securityContext": build_container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [mount.as_mount() for mount in mounts],
    }
    return {key: value for key, value in container.items() if value != []}


def _arguments(wanted: Wanted) -> list[str]:
    source = wanted.spec.source
    folder = source_folder(source)
    if folder is not None:
        return [pod.CHECK_WEIGHTS, "--folder", folder]
    hub, chosen = _hub_of(source)
    arguments = [
        *(pod.FETCH_WEIGHTS, "--hub", hub),
        *("--repository", wanted.cards[0].model_repository),
        *("--revision", wanted.spec.revision or _DEFAULT_REVISION),
        *("--cache", pod.CACHE_FOLDER),
    ]
    if chosen is not None and chosen.endpoint is not None:
        arguments += ["--endpoint", chosen.endpoint]
    quota = weights_quota_bytes(wanted)
    if quota is not None:
        arguments += ["--quota-bytes", str(quota)]
    return arguments


def _hub_of(source: Source) -> tuple[str, HuggingFaceSource | ModelScopeSource | None]:
    if source.model_scope is not None:
        return pod.MODEL_SCOPE, source.model_scope
    return pod.HUGGING_FACE, source.hugging_face


def _build_env(source: Source) -> list[Object]:
    proxy = source.proxy
    plain = {
        "HOME": f"{pod.CACHE_FOLDER}/home",
        "HTTP_PROXY": proxy and proxy.http_proxy,
        "HTTPS_PROXY": proxy and proxy.https_proxy,
        "NO_PROXY": proxy and proxy.no_proxy,
        pod.CA_BUNDLE_VARIABLE: ca_bundle_file(source),
    }
    env: list[Object] = [
        # The kubelet would put other variables in the place of $(NAME).
        {"name": name, "value": value.replace("$(", "$$(")}
        for name, value in plain.items()
        if value
    ]
    _, hub = _hub_of(source)
    if hub is not None and (secret := hub.token_secret_ref) is not None:
        reference = {"secretKeyRef": {"name": secret.name, "key": secret.key}}
        env.append({"name": pod.TOKEN_VARIABLE, "valueFrom": reference})
    return env
