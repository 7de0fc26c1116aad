"""``python -m qwen_operator``: the operator's process."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from time import monotonic

import kopf

from qwen_operator.cluster.api import ApiError, connect
from qwen_operator.controller.handlers import kopf_settings, register
from qwen_operator.controller.health import serve_health
from qwen_operator.controller.telemetry import Telemetry
from qwen_operator.controller.work_queue import WorkQueue
from qwen_operator.controller.worker import Worker
from qwen_operator.errors import InvalidInput
from qwen_operator.settings import Settings, read_settings

_LOG = logging.getLogger("qwen_operator")
_FIRST_RESYNC_RETRY_SECONDS = 5.0
_GAUGE_SECONDS = 1.0


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; children keep serving."""
    telemetry, queue = Telemetry(), WorkQueue()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with connect(telemetry.count_call) as api:
        worker = Worker(api, settings, queue, telemetry)
        registry = kopf.OperatorRegistry()
        register(registry, queue)
        health = await serve_health(
            settings.health_port,
            telemetry,
            lambda: monotonic() - worker.last_alive,
            longest_seconds=2 * settings.resync_seconds,
        )
        clusterwide = not settings.namespaces
        tasks = [
            asyncio.create_task(
                kopf.operator(
                    registry=registry,
                    settings=kopf_settings(clusterwide=clusterwide),
                    standalone=True,
                    clusterwide=clusterwide,
                    namespaces=settings.namespaces,
                    stop_flag=stop,
                ),
                name="events",
            ),
            asyncio.create_task(_resync(worker, settings.resync_seconds), name="resync"),
            asyncio.create_task(_watch_queue(queue, telemetry), name="gauges"),
            *(asyncio.create_task(worker.run(), name="worker") for _ in range(settings.workers)),
        ]
        stopped = asyncio.create_task(stop.wait(), name="stop")
        # Whichever task ends first, the process ends: Kubernetes starts a whole new one.
        done, _ = await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, stopped):
            task.cancel()
        await asyncio.gather(*tasks, stopped, return_exceptions=True)
        await health.cleanup()
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error


async def _resync(worker: Worker, seconds: float) -> None:
    """Look at everything now and then; keep asking while the API server or the CRD is away."""
    while True:
        try:
            await worker.resync()
            await asyncio.sleep(seconds)
        except ApiError as error:
            missing = " (is the CRD installed?)" if error.is_missing else ""
            _LOG.warning("cannot list QwenDeployments: %s%s", error, missing)
            await asyncio.sleep(_FIRST_RESYNC_RETRY_SECONDS)


async def _watch_queue(queue: WorkQueue, telemetry: Telemetry) -> None:
    while True:
        telemetry.queue_depth.set(len(queue))
        telemetry.queue_age.set(queue.oldest_seconds)
        await asyncio.sleep(_GAUGE_SECONDS)


def main() -> int:
    """Read the settings and run."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level="INFO")
    # kopf tells of every event that a handler has seen.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        asyncio.run(run(read_settings(os.environ)))
    except (InvalidInput, ApiError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
