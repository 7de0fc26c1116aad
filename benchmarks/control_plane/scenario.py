"""What the benchmark does to the cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

from e2e.cluster.api import Api, Object, has_condition
from e2e.cluster.audit import read_writes
from e2e.cluster.errors import NotReady
from e2e.cluster.gpus import L4
from e2e.cluster.kwok import build_gpu_node
from e2e.objects import KIND, VERSION, install_crd
from qwen_operator.cluster.api import USER_AGENT

REPLICAS = 3
ADDED = 150
"""QwenDeployments whose latency is measured: enough for a 99th percentile that is no maximum."""
_PACE_SECONDS = 1.0
"""Between one apply and the next: pods of the last one still become ready meanwhile."""

_GPUS_PER_NODE = 100
_AT_A_TIME = 8
_CONVERGENCE_SECONDS = 1800
_PROGRESS_SECONDS = 15


async def prepare(api: Api, gpus: int) -> None:
    """The CRD, a card for every replica, and a namespace for each half."""
    await install_crd(api)
    for number in range(-(-gpus // _GPUS_PER_NODE)):
        node = build_gpu_node(f"bench-{number}", L4, _GPUS_PER_NODE)
        roomy = {"cpu": "1000", "memory": "4Ti", "pods": "110"}
        node["status"] = {
            part: {**node["status"][part], **roomy} for part in ("allocatable", "capacity")
        }
        await api.create(node)
    for name in ("few", "many"):
        await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


async def apply_many(api: Api, namespace: str, count: int, *, replicas: int) -> None:
    """Apply them as fast as the API server takes them."""
    slots = asyncio.Semaphore(_AT_A_TIME)

    async def one(number: int) -> None:
        async with slots:
            await api.apply(_owner(namespace, f"qwen-{number}", replicas))

    await asyncio.gather(*(one(number) for number in range(count)))


async def converge(
    api: Api, namespace: str, count: int, *, progress: Callable[[str], None] = lambda _: None
) -> None:
    """Return when that many are Ready for their present generation."""

    ready: set[str] = set()

    async def follow() -> None:
        # A watch sends each object once; to list them all again and again would be the most work
        # that the API server has.
        async for event in api.watch(await api.path(VERSION, KIND, "", namespace)):
            found = event["object"]
            generation = found["metadata"]["generation"]
            seen = found.get("status", {}).get("observedGeneration")
            if has_condition(found, "Ready") and seen == generation:
                ready.add(found["metadata"]["name"])
                if len(ready) >= count:
                    return

    following = asyncio.create_task(follow())
    deadline = monotonic() + _CONVERGENCE_SECONDS
    while not following.done() and monotonic() < deadline:
        await asyncio.wait([following], timeout=_PROGRESS_SECONDS)
        progress(f"{len(ready)} of {count} are Ready")
    following.cancel()
    if len(ready) < count:
        raise NotReady(f"{len(ready)} of {count} are Ready after {_CONVERGENCE_SECONDS} s")


async def latencies(api: Api) -> list[float]:
    """Seconds from the apply's answer to the news of its pod, one after the other."""
    seen: dict[str, float] = {}
    arrived = asyncio.Event()
    async with _pods_of(api, "few", seen, arrived):
        found = []
        for number in range(ADDED):
            name = f"late-{number}"
            await api.apply(_owner("few", name, 1))
            begin = monotonic()
            while name not in seen:
                arrived.clear()
                await asyncio.wait_for(arrived.wait(), timeout=60)
            found.append(seen[name] - begin)
            await asyncio.sleep(max(0.0, _PACE_SECONDS - found[-1]))
        return found


async def quiet_writes(audit_log: Path, seconds: float) -> int:
    """Mutating requests of the operator, its Lease apart, after it has come to rest."""
    await asyncio.sleep(10)
    before = _our_writes(audit_log)
    await asyncio.sleep(seconds)
    return _our_writes(audit_log) - before


def _our_writes(audit_log: Path) -> int:
    return sum(
        write.user_agent.startswith(USER_AGENT) and write.resource != "leases"
        for write in read_writes(audit_log)
    )


def _owner(namespace: str, name: str, replicas: int) -> Object:
    return {
        "apiVersion": VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "model": "Qwen/Qwen3-0.6B",
            "accelerators": [{"name": "L4"}],
            "cache": {"type": "EmptyDir"},
            "replicas": replicas,
        },
    }


@asynccontextmanager
async def _pods_of(
    api: Api, namespace: str, seen: dict[str, float], arrived: asyncio.Event
) -> AsyncIterator[None]:
    """Note when the first pod of each QwenDeployment appears."""
    pods = await api.request("GET", f"/api/v1/namespaces/{namespace}/pods", query={"limit": "1"})
    version = pods["metadata"]["resourceVersion"]

    async def follow() -> None:
        events = api.watch(f"/api/v1/namespaces/{namespace}/pods", resourceVersion=version)
        async for event in events:
            owner = event["object"]["metadata"]["labels"].get("app.kubernetes.io/instance", "")
            seen.setdefault(owner, monotonic())
            arrived.set()

    task = asyncio.create_task(follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
