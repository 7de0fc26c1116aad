"""Carry out an outcome: events and what the pods refer to, the pods, prune, status, in this order.

A pass may die after any write; the next one reads what is there and goes on. Events come first, for
what they tell is gone once it is done, and telling one twice is one event.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Coroutine, Iterable
from typing import Any, Final, TypeVar

from qwen_operator import naming
from qwen_operator.cluster.api import Api, ApiError, Object, object_path, owner_path
from qwen_operator.desired.children import owned_kinds
from qwen_operator.reconcile.observed import Observed
from qwen_operator.reconcile.outcome import Event, Outcome

_LOG = logging.getLogger("qwen_operator")
_WORKLOADS: Final = {"Deployment"}
"""Kinds whose pods refer to the other children."""
_PLURALS = {kind.kind: kind.plural for kind in owned_kinds()}

Key = tuple[str, str]
"""Kind and name of a child."""
_Result = TypeVar("_Result")


async def perform_children(api: Api, observed: Observed, outcome: Outcome) -> str | None:
    """Write what pods need, the pods, and take away what nobody wants.

    Returns what the API server refused, if it did. A refused change of a child holds up no other;
    a refused new child holds up the pods, which refer to it. Raises `ApiError` where the server did
    not answer, or somebody else was faster.
    """
    namespace = observed.owner["metadata"]["namespace"]
    await _all(*(_tell(api, observed, event) for event in outcome.rollout_events))
    workloads = [child for child in outcome.apply if child["kind"] in _WORKLOADS]
    others = [child for child in outcome.apply if child["kind"] not in _WORKLOADS]
    refused = await _apply_all(api, namespace, others)
    # Where there is an older child, pods can do with that; without any they cannot start, or are
    # open to everybody.
    if not refused.keys() <= observed.children.keys():
        return "; ".join(refused.values())
    refused |= await _apply_all(api, namespace, workloads)
    for removal in outcome.prune:
        path = object_path(removal.api_version, removal.plural, namespace, removal.name)
        await api.delete(path, uid=removal.uid, resource_version=removal.resource_version)
    return "; ".join(refused.values()) or None


async def perform_status(api: Api, observed: Observed, outcome: Outcome) -> None:
    """Write the status where it has changed, and tell of it. Raises `ApiError`."""
    metadata = observed.owner["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    await _all(*(_tell(api, observed, event) for event in outcome.condition_events))
    if outcome.status is not None:
        await api.apply(
            f"{owner_path(namespace, name)}/status",
            {
                "apiVersion": naming.API_VERSION,
                "kind": naming.KIND,
                "metadata": {"name": name, "namespace": namespace, "uid": metadata["uid"]},
                "status": outcome.status,
            },
            manager=naming.STATUS_FIELD_MANAGER,
        )


async def _all(*writes: Coroutine[None, None, _Result]) -> list[_Result]:
    """Side by side, for none depends on another; the first error is raised when all have ended."""
    results = await asyncio.gather(*writes, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


async def _apply_all(api: Api, namespace: str, children: Iterable[Object]) -> dict[Key, str]:
    """What the API server refuses, by kind and name of the child."""
    refused = await _all(*(_apply(api, namespace, child) for child in children))
    return {key: sentence for key, sentence in refused if sentence is not None}


async def _apply(api: Api, namespace: str, child: Object) -> tuple[Key, str | None]:
    """The child, and what the API server refuses about it."""
    kind, name = child["kind"], child["metadata"]["name"]
    try:
        await api.apply(object_path(child["apiVersion"], _PLURALS[kind], namespace, name), child)
    except ApiError as error:
        if not error.is_refusal or error.is_ending_namespace:
            raise
        return (kind, name), f"{kind} {name} is refused: {error}"
    return (kind, name), None


async def _tell(api: Api, observed: Observed, event: Event) -> None:
    """Post an event under a name that says what it says, so that telling it twice is one event."""
    metadata = observed.owner["metadata"]
    now = observed.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": _event_name(observed, event), "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": naming.API_VERSION,
            "kind": naming.KIND,
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "reason": event.reason,
        "message": event.message[:1024],
        "type": "Warning" if event.warning else "Normal",
        "source": {"component": naming.PRODUCT},
        "reportingComponent": naming.PRODUCT,
        "reportingInstance": naming.PRODUCT,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    path = object_path("v1", "events", metadata["namespace"], body["metadata"]["name"])
    try:
        await api.apply(path, body)
    except ApiError as error:
        # Where nobody may write events, models are served all the same.
        if not error.is_refusal or error.is_ending_namespace:
            raise
        _LOG.warning("%s/%s: event not told: %s", metadata["namespace"], metadata["name"], error)


def _event_name(observed: Observed, event: Event) -> str:
    metadata = observed.owner["metadata"]
    said = f"{metadata['uid']}\0{metadata['generation']}\0{event.reason}\0{event.message}"
    return f"{metadata['name']}.{hashlib.sha256(said.encode()).hexdigest()[:16]}"
