"""A small QwenDeployment on fake GPU nodes, the operator beside them, and what tests wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.cluster.api import Api, Object, eventually
from e2e.cluster.gpus import L4
from e2e.cluster.kwok import add_gpu_nodes, remove_nodes
from e2e.fixtures import Cluster
from e2e.objects import KIND, VERSION, install_crd
from e2e.operator_process import OperatorProcess

CHILD_KINDS = (
    ("apps/v1", "Deployment"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "ServiceAccount"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
)


@pytest.fixture(scope="module")
def operator(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster with CRD, two L4 nodes, and our operator as a process beside it."""
    control_plane.need_fake_nodes()
    nodes = asyncio.run(prepare(control_plane))
    log = tmp_path_factory.mktemp("operator") / "log"
    try:
        with OperatorProcess(control_plane.kubeconfig, log):
            yield control_plane
    finally:
        asyncio.run(clean_up(control_plane, nodes))


async def prepare(cluster: Cluster) -> list[str]:
    async with cluster.connect() as api:
        await install_crd(api)
        return await add_gpu_nodes(api, L4, nodes=2)


async def clean_up(cluster: Cluster, nodes: list[str]) -> None:
    async with cluster.connect() as api:
        await remove_nodes(api, nodes)


def owner(where: str, name: str = "small", **spec: Any) -> Object:
    return {
        "apiVersion": VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": where},
        "spec": {
            "model": "Qwen/Qwen3-0.6B",
            "accelerators": [{"name": "L4"}],
            "cache": {"type": "EmptyDir"},
            **spec,
        },
    }


async def ready_reason(api: Api, where: str, name: str = "small") -> str:
    found = await api.get(VERSION, KIND, name, where)
    conditions = found.get("status", {}).get("conditions", [])
    current = found["status"]["observedGeneration"] == found["metadata"]["generation"]
    reasons = [each["reason"] for each in conditions if each["type"] == "Ready" and current]
    return reasons[0] if reasons else ""


async def until(api: Api, where: str, reason: str, name: str = "small") -> Object:
    async def there() -> bool:
        return await ready_reason(api, where, name) == reason

    await eventually(there, f"{name} is {reason}")
    return await api.get(VERSION, KIND, name, where)


async def children(api: Api, where: str) -> list[tuple[str, str]]:
    found = []
    for version, kind in CHILD_KINDS:
        selector = "app.kubernetes.io/managed-by=qwen-operator"
        listed = await api.list(version, kind, where, labelSelector=selector)
        found += [(kind, each["metadata"]["name"]) for each in listed]
    return found
