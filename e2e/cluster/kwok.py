"""Nodes that exist only in the API: KWOK says that they and their pods are healthy."""

import uuid
from functools import partial
from pathlib import Path
from typing import Any, Final

from e2e.cluster.api import Api, eventually, has_condition
from e2e.cluster.control_plane import ControlPlane
from e2e.cluster.gpus import RESOURCE, Gpu
from e2e.cluster.health import when_answers
from e2e.cluster.network import FAKE_POD_RANGE, LOOPBACK
from e2e.cluster.processes import Processes, Program
from e2e.cluster.progress import Progress

ANNOTATION: Final = "kwok.x-k8s.io/node"
_ANNOTATION_VALUE: Final = "fake"
_LEASE_SECONDS: Final = 40
_STAGES: Final = Path(__file__).with_name("kwok-stages.yaml")

TAINT: Final = {"key": RESOURCE, "value": "present", "effect": "NoSchedule"}
"""Clouds put it on GPU nodes, so pods that bring no toleration do not land there."""

STEPS: Final = 1


def start_kwok(
    binary: Path, control_plane: ControlPlane, processes: Processes, progress: Progress
) -> None:
    """Start KWOK, which looks after every node that carries its annotation."""
    kubeconfig = control_plane.kubeconfig_for("kwok", "kwok", "system:masters")
    address = f"{LOOPBACK}:{control_plane.ports['kwok']}"
    with progress.step("start kwok"):
        processes.ensure(
            Program(
                name="kwok",
                command=(
                    binary,
                    f"--kubeconfig={kubeconfig}",
                    f"--config={_STAGES}",
                    f"--manage-nodes-with-annotation-selector={ANNOTATION}={_ANNOTATION_VALUE}",
                    f"--node-lease-duration-seconds={_LEASE_SECONDS}",
                    f"--server-address={address}",
                    f"--cidr={FAKE_POD_RANGE}",
                ),
                ready=when_answers(f"http://{address}/healthz"),
                inputs=(kubeconfig, _STAGES),
            )
        )


def build_gpu_node(name: str, gpu: Gpu, count: int, *, tainted: bool = False) -> dict[str, Any]:
    """A node with `count` cards of one kind, as a cloud or a desktop would offer it."""
    resources = {
        "cpu": "32",
        "memory": "256Gi",
        "ephemeral-storage": "1Ti",
        "pods": "110",
        RESOURCE: str(count),
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {ANNOTATION: _ANNOTATION_VALUE},
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                **gpu.labels(count),
            },
        },
        "spec": {"taints": [TAINT]} if tainted else {},
        "status": {"allocatable": resources, "capacity": resources},
    }


async def add_gpu_nodes(
    api: Api, gpu: Gpu, nodes: int, gpus_each: int = 1, *, tainted: bool = False
) -> list[str]:
    """Add nodes with cards of one kind, and return their names when they are Ready.

    No two calls use a name twice, so that pods which end on an earlier node take no card of a
    new one.
    """
    prefix = f"{gpu.product.removeprefix('NVIDIA-').lower()}-{uuid.uuid4().hex[:4]}"
    names = [f"{prefix}-{number}" for number in range(nodes)]
    for name in names:
        await api.create(build_gpu_node(name, gpu, gpus_each, tainted=tainted))
    for name in names:
        await eventually(partial(is_ready, api, name), f"node {name} is Ready")
    return names


async def remove_nodes(api: Api, names: list[str]) -> None:
    """Remove nodes; the controllers remove what runs on them."""
    for name in names:
        await api.delete("v1", "Node", name)


async def is_ready(api: Api, name: str) -> bool:
    """Whether a node says that it is Ready, and may be scheduled to."""
    node = await api.get("v1", "Node", name)
    blocked = any(
        taint["key"] == "node.kubernetes.io/not-ready" for taint in node["spec"].get("taints", [])
    )
    return has_condition(node, "Ready") and not blocked
