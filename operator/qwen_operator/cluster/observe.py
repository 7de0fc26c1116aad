"""Read everything one pass decides on, live."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from qwen_operator import naming
from qwen_operator.cluster.api import Api, ApiError, Object, object_path, owner_path
from qwen_operator.cluster.pod_state import pod_state
from qwen_operator.cluster.reports import Reports
from qwen_operator.desired.children import OwnedKind, owned_kinds
from qwen_operator.reconcile.observed import GpuUse, Observed

_ENDED = {"Succeeded", "Failed"}


async def observe(
    api: Api,
    reports: Reports,
    namespace: str,
    name: str,
    *,
    may_read_nodes: bool,
    namespaces: Sequence[str] = (),
) -> Observed | None:
    """The QwenDeployment with its children and pods; None where it is gone or going.

    ``namespaces`` are those in which pods may be listed; empty means all.
    """
    owner = await api.get(owner_path(namespace, name))
    if owner is None or "deletionTimestamp" in owner["metadata"]:
        reports.of((namespace, name), ())
        return None
    # Without the product's label, a Helm release of the same name would count as its pods.
    selector = f"{naming.PART_OF_LABEL}={naming.PRODUCT},{naming.INSTANCE_LABEL}={name}"
    found, pods = await asyncio.gather(
        asyncio.gather(
            *(_children_of(api, kind, namespace, name, selector) for kind in owned_kinds())
        ),
        api.list(object_path("v1", "pods", namespace), labelSelector=selector),
    )
    children = {
        (child["kind"], child["metadata"]["name"]): child for each in found for child in each
    }
    states = tuple(pod_state(pod) for pod in pods if _is_present(pod))
    waits = any(state.unschedulable for state in states)
    return Observed(
        owner=owner,
        children=children,
        pods=states,
        reports=reports.of((namespace, name), states),
        mounted_config_maps=mounted_config_maps(pods),
        gpus=await _gpu_use(api, namespaces or ("",)) if waits and may_read_nodes else None,
        now=datetime.now(UTC),
    )


def _is_present(pod: Mapping[str, Any]) -> bool:
    """Whether it counts: one that was evicted stays as an object, and has a successor."""
    ended = (pod.get("status") or {}).get("phase") in _ENDED
    return not ended and "deletionTimestamp" not in pod["metadata"]


async def _children_of(
    api: Api, kind: OwnedKind, namespace: str, name: str, selector: str
) -> list[Object]:
    """By name where it is known, ours or a namesake in our way: a list costs the API server a
    look at every object of the namespace."""
    path = object_path(kind.api_version, kind.plural, namespace)
    if kind.name_of is None:
        return await api.list(path, labelSelector=selector)
    found = await api.get(f"{path}/{kind.name_of(name)}")
    return [] if found is None else [found]


def mounted_config_maps(pods: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Names of the ConfigMaps that pods mount."""
    return frozenset(
        volume["configMap"]["name"]
        for pod in pods
        for volume in pod["spec"].get("volumes") or ()
        if "configMap" in volume
    )


async def _gpu_use(api: Api, namespaces: Sequence[str]) -> GpuUse | None:
    """GPUs by product label; None where we may not look at nodes.

    What pods of other namespaces hold looks free, so that too little is never claimed.
    """
    try:
        nodes, *found = await asyncio.gather(
            api.list(object_path("v1", "nodes", ""), labelSelector=naming.GPU_PRODUCT_LABEL),
            *(api.list(object_path("v1", "pods", namespace)) for namespace in namespaces),
        )
    except ApiError:
        return None
    product = {
        node["metadata"]["name"]: node["metadata"]["labels"][naming.GPU_PRODUCT_LABEL]
        for node in nodes
    }
    total: Counter[str] = Counter()
    for node in nodes:
        allocatable = (node.get("status") or {}).get("allocatable") or {}
        total[product[node["metadata"]["name"]]] += int(allocatable.get(naming.GPU_RESOURCE, 0))
    used: Counter[str] = Counter()
    for pod in chain.from_iterable(found):
        label = product.get(pod["spec"].get("nodeName", ""))
        if label is not None and (pod.get("status") or {}).get("phase") not in _ENDED:
            used[label] += sum(_gpus_of(container) for container in pod["spec"]["containers"])
    return GpuUse(free={label: total[label] - used[label] for label in total}, total=dict(total))


def _gpus_of(container: Mapping[str, Any]) -> int:
    limits = (container.get("resources") or {}).get("limits") or {}
    return int(limits.get(naming.GPU_RESOURCE, 0))
