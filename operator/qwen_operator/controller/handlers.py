"""kopf as the source of events, and nothing more: a handler queues a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kopf

from qwen_operator import naming
from qwen_operator.controller.work_queue import WorkQueue


def register(registry: kopf.OperatorRegistry, queue: WorkQueue) -> None:
    """Watch QwenDeployments, their children and their pods."""

    @kopf.on.event(naming.GROUP, naming.VERSION, naming.PLURAL, id="owner", registry=registry)
    async def _owner(namespace: str | None, name: str | None, **_: Any) -> None:
        queue.add((namespace or "", name or ""))

    async def _child(namespace: str | None, labels: Mapping[str, str], **_: Any) -> None:
        if labels.get(naming.PART_OF_LABEL) == naming.PRODUCT:
            name = labels.get(naming.INSTANCE_LABEL)
            if name:
                queue.add_after((namespace or "", name), _GATHER_SECONDS)

    for group, version, plural in WATCHED_CHILDREN:
        kopf.on.event(group, version, plural, id=plural, registry=registry)(_child)

    @kopf.on.login(registry=registry)
    def _login(settings: kopf.OperatorSettings, **_: Any) -> kopf.ConnectionInfo | None:
        from_pod = kopf.login_with_service_account(settings=settings)
        return from_pod or kopf.login_with_kubeconfig(settings=settings)


_GATHER_SECONDS = 0.25
"""Children change in bursts, our own writes among them: one pass looks at a whole burst."""
WATCHED_CHILDREN = (
    ("apps", "v1", "deployments"),
    ("", "v1", "pods"),
    ("", "v1", "services"),
    ("", "v1", "configmaps"),
    ("networking.k8s.io", "v1", "networkpolicies"),
    ("policy", "v1", "poddisruptionbudgets"),
)


def kopf_settings() -> kopf.OperatorSettings:
    """No events of kopf's own, no look at CRDs and namespaces, which would need further rights."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    # kopf would kill the process ten minutes after it has failed once, although we start it again.
    settings.process.ultimate_exiting_timeout = None
    # What lasts longer ends kopf, and `events` says so and starts it again.
    settings.networking.error_backoffs = (1, 2)
    for _, _, plural in WATCHED_CHILDREN:
        settings.watching.label_selectors[plural] = f"{naming.PART_OF_LABEL}={naming.PRODUCT}"
    return settings


class _NoDiffBase(kopf.DiffBaseStorage):
    """kopf compares every object with its last state, which only its other handlers look at; the
    copies that this takes were a quarter of the operator's time."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass


class _NoProgress(kopf.ProgressStorage):
    """Nor does a handler of ours leave its progress in an object."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass

    def purge(self, **_: Any) -> None:
        pass

    def touch(self, **_: Any) -> None:
        pass

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence
