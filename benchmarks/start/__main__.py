"""A pod's start by component, twice: with an empty cache and with a full one.

``python -m benchmarks.start``: a node of the harness (root), the product by Helm, a tiny model on
the CPU. Times of Kubernetes are whole seconds.
"""

from __future__ import annotations

import asyncio
import tempfile
from datetime import datetime
from pathlib import Path

from e2e.cluster.api import Api, Object, eventually, has_condition
from e2e.fixtures import whole_cluster
from e2e.product import (
    START_SECONDS,
    Product,
    installed,
    model_namespace,
    model_pods,
    owner,
    report,
    until,
)
from qwen_contract.report import OUR_PHASES


def main() -> None:
    """Start a pod, replace it, and print both starts."""
    with (
        whole_cluster() as cluster,
        tempfile.TemporaryDirectory() as folder,
        installed(cluster, Path(folder)) as product,
    ):
        asyncio.run(_measure(product))


async def _measure(product: Product) -> None:
    async with model_namespace(product) as (api, where):
        claim = {"type": "PersistentVolumeClaim", "size": "5Gi"}
        await api.create(owner(product, where, cache=claim))
        await until(api, where, "Serving")
        (first,) = await model_pods(api, where)
        await _print("empty cache", api, where, first)
        await api.delete("v1", "Pod", first["metadata"]["name"], where)

        async def successor() -> Object | None:
            pods = await model_pods(api, where)
            return next((pod for pod in pods if has_condition(pod, "Ready")), None)

        second = await eventually(successor, "the new pod is ready", START_SECONDS)
        await _print("full cache", api, where, second)


async def _print(what: str, api: Api, where: str, pod: Object) -> None:
    told = await report(api, where, pod["metadata"]["name"])
    moments = {
        each["type"]: datetime.fromisoformat(each["lastTransitionTime"])
        for each in pod["status"]["conditions"]
    }
    whole = (moments["Ready"] - moments["PodScheduled"]).total_seconds()
    before = (moments["Initialized"] - moments["PodScheduled"]).total_seconds()
    ours = [phase for phase in told["phases"] if phase["name"].startswith(OUR_PHASES)]
    engine = [phase for phase in told["phases"] if phase not in ours]
    print(f"{what}: scheduled to Ready {whole:.0f} s, init containers {before:.0f} s of them")
    for title, phases in (("launcher", ours), ("vLLM", engine)):
        together = sum(phase["seconds"] for phase in phases)
        parts = ", ".join(f"{phase['name']} {phase['seconds']:.2f}" for phase in phases)
        print(f"  {title} {together:.2f} s: {parts}")


if __name__ == "__main__":
    main()
