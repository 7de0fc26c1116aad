"""The Deployment of the model pods.

Every field of the pod template is there because a pod must restart when it changes.
"""

from __future__ import annotations

import math
from typing import Final

from qwen_contract import pod
from qwen_operator import naming
from qwen_operator.desired.asked import write_asked
from qwen_operator.desired.container_security import build_container_security
from qwen_operator.desired.metadata import Object, build_labels, build_object, build_selector
from qwen_operator.desired.plan_config_map import content_hash
from qwen_operator.desired.quantities import (
    canonical_quantity,
    format_bytes_quantity,
    parse_quantity,
)
from qwen_operator.desired.scheduling import build_scheduling
from qwen_operator.desired.volume_claim import checkpoint_bytes
from qwen_operator.desired.volumes import (
    LAUNCHER_VOLUME,
    build_ca_bundle,
    build_mounts,
    build_weights_mounts,
)
from qwen_operator.desired.wanted import Wanted
from qwen_operator.desired.weights_container import build_weights_container

_USER: Final = 2000
"""The user that vLLM's image is prepared for; its folders belong to group 0."""
_GROUP: Final = 0

_STARTUP_PROBE_SECONDS: Final = 1
"""A probe is one small request to the launcher; every second between two is one more of a start."""
_READINESS_PROBE_SECONDS: Final = 2
_STARTUP_SECONDS: Final = 1800
"""Of a start without its weights: the slowest that we measured, a cold compile on two busy cores,
took 134 s. The launcher gives up earlier on what is stuck."""
_SLOWEST_LOAD_BYTES_PER_SECOND: Final = 20_000_000
"""Weights from a network disk."""
_READINESS_FAILURES: Final = 3
_LIVENESS_SECONDS: Final = 10
_LIVENESS_FAILURES: Final = 6
_FETCH_SECONDS: Final = 3600
"""Beside a start, so that a slow one is not reported as failed."""

_INSTALL_CPU: Final = "50m"
_INSTALL_MEMORY: Final = "64Mi"
"""One copy of one file."""
_DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"


def build_deployment(wanted: Wanted) -> Object | None:
    """The pods with the planned rows, or None when no card fits: then no pod may exist."""
    if not wanted.rows:
        return None
    template = _build_template(wanted)
    deployment = build_object(wanted, "apps/v1", "Deployment")
    metadata = deployment["metadata"]
    metadata["labels"][naming.VERSION_LABEL] = wanted.rows[0].request.vllm_version
    metadata["annotations"] = {
        naming.ASKED_ANNOTATION: write_asked(wanted.spec),
        naming.TEMPLATE_ANNOTATION: content_hash(template),
    }
    return deployment | {
        "spec": {
            "replicas": wanted.replicas,
            "selector": {"matchLabels": build_selector(wanted)},
            "strategy": _build_strategy(surge=wanted.surge),
            "progressDeadlineSeconds": _startup_seconds(wanted) + _FETCH_SECONDS,
            # An old template names a plan that is gone; undoing is done in the QwenDeployment.
            "revisionHistoryLimit": 0,
            "template": template,
        }
    }


def _startup_seconds(wanted: Wanted) -> int:
    """How long a start may take, to the minute, by the bytes of its checkpoint."""
    load_seconds = max(map(checkpoint_bytes, wanted.rows)) / _SLOWEST_LOAD_BYTES_PER_SECOND
    return _STARTUP_SECONDS + 60 * math.ceil(load_seconds / 60)


def _build_strategy(*, surge: bool) -> Object:
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": int(surge), "maxUnavailable": int(not surge)},
    }


def _build_template(wanted: Wanted) -> Object:
    added = wanted.spec.pod_template.metadata
    return {
        "metadata": {
            "labels": {**added.labels, **build_labels(wanted)},
            "annotations": {_DEFAULT_CONTAINER: pod.MODEL_CONTAINER, **added.annotations},
        },
        "spec": _build_pod_spec(wanted),
    }


def _build_pod_spec(wanted: Wanted) -> Object:
    memory, shared_memory = _memory(wanted)
    mounts = build_mounts(wanted, shared_memory)
    spec: Object = {
        "serviceAccountName": wanted.name,
        "automountServiceAccountToken": False,
        # Variables named after a Service "vllm" would be read by vLLM as its own settings.
        "enableServiceLinks": False,
        "securityContext": _build_pod_security(),
        "terminationGracePeriodSeconds": pod.TERMINATION_GRACE_SECONDS,
        "initContainers": [
            _build_install_container(wanted),
            build_weights_container(wanted, build_weights_mounts(mounts, wanted)),
        ],
        "containers": [
            {
                **_build_model_container(wanted, memory),
                "volumeMounts": [mount.as_mount() for mount in mounts],
            }
        ],
        "volumes": [mount.as_volume() for mount in (*mounts, *build_ca_bundle(wanted))],
        **build_scheduling(wanted),
    }
    if wanted.spec.image_pull_secrets:
        names = sorted(secret.name for secret in wanted.spec.image_pull_secrets)
        spec["imagePullSecrets"] = [{"name": name} for name in names]
    return spec


def _build_install_container(wanted: Wanted) -> Object:
    return {
        "name": pod.LAUNCHER_CONTAINER,
        "image": wanted.settings.runtime_image,
        "args": [pod.INSTALL_LAUNCHER, pod.LAUNCHER_PATH],
        "resources": {
            "requests": {"cpu": _INSTALL_CPU, "memory": _INSTALL_MEMORY},
            "limits": {"memory": _INSTALL_MEMORY},
        },
        "securityContext": build_container_security(),
        "volumeMounts": [{"name": LAUNCHER_VOLUME, "mountPath": pod.LAUNCHER_FOLDER}],
    }


def _build_model_container(wanted: Wanted, memory: str) -> Object:
    spec, settings = wanted.spec, wanted.settings
    container: Object = {
        "name": pod.MODEL_CONTAINER,
        "image": spec.image or (settings.cpu_image if wanted.on_cpu else settings.gpu_image),
        "command": ["python3", pod.LAUNCHER_PATH],
        "args": ["--plan", pod.PLAN_FOLDER],
        "env": _build_env(wanted),
        "ports": [
            _port(pod.HTTP_PORT_NAME, pod.HTTP_PORT),
            _port(pod.LAUNCHER_PORT_NAME, pod.LAUNCHER_PORT),
        ],
        "resources": _build_resources(wanted, memory),
        "securityContext": build_container_security(),
        "startupProbe": _probe(
            pod.STARTUP_PATH,
            period_seconds=_STARTUP_PROBE_SECONDS,
            failures=_startup_seconds(wanted) // _STARTUP_PROBE_SECONDS,
        ),
        "readinessProbe": _probe(
            pod.READINESS_PATH,
            period_seconds=_READINESS_PROBE_SECONDS,
            failures=_READINESS_FAILURES,
        ),
        "livenessProbe": _probe(
            pod.LIVENESS_PATH, period_seconds=_LIVENESS_SECONDS, failures=_LIVENESS_FAILURES
        ),
        # The launcher's typed message, or the end of the log when it could not write one.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if spec.image_pull_policy is not None:
        container["imagePullPolicy"] = spec.image_pull_policy.value
    return container


def _build_env(wanted: Wanted) -> list[Object]:
    """Folders on the cache, and the user's own; the plan's variables are in its rows."""
    env = {
        "HF_HOME": f"{pod.CACHE_FOLDER}/huggingface",
        "HF_HUB_OFFLINE": "1",
        "HOME": f"{pod.CACHE_FOLDER}/home",
        "VLLM_CACHE_ROOT": f"{pod.CACHE_FOLDER}/vllm",
    }
    # The kubelet would put other variables in the place of $(NAME).
    env |= {each.name: each.value.replace("$(", "$$(") for each in wanted.spec.engine.env}
    # The API server drops an empty value.
    return [
        {"name": name, "value": value} if value else {"name": name}
        for name, value in sorted(env.items())
    ]


def _build_resources(wanted: Wanted, memory: str) -> Object:
    asked = wanted.spec.resources.cpu
    cores = max(row.host.cpu_cores for row in wanted.rows)
    cpu = str(cores) if asked is None else canonical_quantity(asked)
    cards: Object = {}
    if not wanted.on_cpu:
        cards[naming.GPU_RESOURCE] = str(wanted.spec.tensor_parallel_size)
    return {
        "requests": {"cpu": cpu, "memory": memory, **cards},
        # No limit of CPU: a throttled scheduler thread leaves the GPU idle.
        "limits": {"memory": memory, **cards},
    }


def _memory(wanted: Wanted) -> tuple[str, str]:
    """Main memory and the shared memory in it, as quantities: the most that any card needs."""
    asked = wanted.spec.resources
    memory_bytes = max(row.host.memory_bytes for row in wanted.rows)
    shared_bytes = max(row.host.shared_memory_bytes for row in wanted.rows)
    if asked.shared_memory is not None:
        memory_bytes += math.ceil(parse_quantity(asked.shared_memory)) - shared_bytes
    return (
        format_bytes_quantity(memory_bytes)
        if asked.memory is None
        else canonical_quantity(asked.memory),
        format_bytes_quantity(shared_bytes)
        if asked.shared_memory is None
        else canonical_quantity(asked.shared_memory),
    )


def _build_pod_security() -> Object:
    return {
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "runAsGroup": _GROUP,
        "fsGroup": _GROUP,
        # Anything else walks through the whole cache at each start.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _port(name: str, port: int) -> Object:
    return {"name": name, "containerPort": port, "protocol": "TCP"}


def _probe(path: str, *, period_seconds: int, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": pod.LAUNCHER_PORT_NAME},
        "periodSeconds": period_seconds,
        "failureThreshold": failures,
        "timeoutSeconds": 2,
    }
