"""Two replicas on the CPU under steady traffic; pods are deleted one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from benchmarks.replacement.traffic import Traffic, send_until
from e2e.cluster.api import Api, eventually, has_condition
from e2e.product import MODEL, START_SECONDS, Product, model_namespace, model_pods, owner, until

_CLIENTS = 4


async def replace_pods(
    product: Product, *, times: int, requests: int, say: Callable[[str], None]
) -> Traffic:
    """Replace a pod ``times`` times while at least ``requests`` are sent."""
    traffic, stop = Traffic(), asyncio.Event()
    async with model_namespace(product) as (api, where):
        await api.create(
            owner(product, where, replicas=2, resources={"cpu": "300m", "memory": "3Gi"})
        )
        await until(api, where, "Serving", 2 * START_SECONDS)
        service = await api.get("v1", "Service", "small", where)
        sending = asyncio.create_task(
            send_until(
                traffic,
                f"http://{service['spec']['clusterIP']}",
                MODEL,
                clients=_CLIENTS,
                every_seconds=2.0,
                stop=stop,
            )
        )
        try:
            for number in range(times):
                await _replace_one(api, where)
                say(f"{number + 1} of {times} replaced, {traffic.answered} requests answered")

            async def enough() -> bool:
                return traffic.answered >= requests or sending.done()

            await eventually(enough, f"{requests} requests are answered", timeout_seconds=1800)
        finally:
            stop.set()
            await sending
    return traffic


async def _replace_one(api: Api, where: str) -> None:
    """Delete the older pod, and return when two others than it are ready."""
    pods = await model_pods(api, where)
    oldest = min(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    await api.delete("v1", "Pod", oldest["metadata"]["name"], where)

    async def two_ready() -> bool:
        present = await model_pods(api, where)
        return sum(has_condition(pod, "Ready") for pod in present) == len(pods)

    await eventually(two_ready, "the new pod is ready", timeout_seconds=START_SECONDS)
