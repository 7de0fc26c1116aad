"""``python -m qwen_operator``: the operator's process."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from time import monotonic

from qwen_operator.cluster.api import ApiError, connect
from qwen_operator.controller.events import Events, stop_on_signals
from qwen_operator.controller.health import serve_health
from qwen_operator.controller.telemetry import Telemetry
from qwen_operator.controller.work_queue import WorkQueue
from qwen_operator.controller.worker import Worker
from qwen_operator.errors import InvalidInput
from qwen_operator.settings import Settings, read_settings

_GAUGE_SECONDS = 1.0


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; children keep serving."""
    telemetry, queue = Telemetry(), WorkQueue()
    stop = asyncio.Event()
    stop_on_signals(stop)
    async with connect(telemetry.count_call) as api:
        worker = Worker(api, settings, queue, telemetry)
        events = Events(worker, settings, queue)
        health = await serve_health(
            settings.health_port,
            telemetry,
            lambda: monotonic() - worker.last_alive,
            longest_seconds=2 * settings.resync_seconds,
        )
        tasks = [
            asyncio.create_task(events.watch(stop), name="events"),
            asyncio.create_task(events.resync(), name="resync"),
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


async def _watch_queue(queue: WorkQueue, telemetry: Telemetry) -> None:
    while True:
        telemetry.queue_depth.set(len(queue))
        telemetry.queue_age.set(queue.oldest_seconds)
        await asyncio.sleep(_GAUGE_SECONDS)


def main() -> int:
    """Read the settings and run."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level="INFO")
    # kopf tells of every event, and of every failure several times over; `events` says it once.
    logging.getLogger("kopf").setLevel(logging.CRITICAL)
    try:
        asyncio.run(run(read_settings(os.environ)))
    except (InvalidInput, ApiError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
