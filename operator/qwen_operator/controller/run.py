"""``python -m qwen_operator``: the operator's process."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Coroutine
from contextlib import aclosing

from qwen_operator.cluster.api import Api, ApiError, connect
from qwen_operator.cluster.leader import Leadership
from qwen_operator.cluster.reports import Reports
from qwen_operator.controller.events import Events, stop_on_signals
from qwen_operator.controller.health import Heartbeat, serve_health
from qwen_operator.controller.telemetry import Telemetry
from qwen_operator.controller.work_queue import WorkQueue
from qwen_operator.controller.worker import Worker
from qwen_operator.errors import InvalidInput
from qwen_operator.settings import Settings, read_settings

_LOG = logging.getLogger("qwen_operator")
_GAUGE_SECONDS = 1.0
_LEAST_SILENCE_SECONDS = 120.0
"""A slow API server is no reason to start over."""


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; children keep serving."""
    telemetry = Telemetry()
    heartbeat = Heartbeat(max(2 * settings.resync_seconds, _LEAST_SILENCE_SECONDS))
    stop = asyncio.Event()
    stop_on_signals(stop)
    health = await serve_health(settings.health_port, telemetry, heartbeat)
    try:
        async with connect(telemetry.count_call) as api:
            await _lead_and_work(api, settings, telemetry, heartbeat, stop)
    finally:
        await health.cleanup()


async def _lead_and_work(
    api: Api, settings: Settings, telemetry: Telemetry, heartbeat: Heartbeat, stop: asyncio.Event
) -> None:
    beside: list[Coroutine[None, None, None]] = []
    if settings.leader_election:
        leadership = Leadership(api, settings.children.operator_namespace)
        _LOG.info("waiting for the Lease as %s", leadership.identity)
        if not await _first_of(stop.wait(), leadership.acquire()):
            return
        _LOG.info("leading")
        beside.append(leadership.keep())
    queue = WorkQueue()
    async with aclosing(Reports(queue.add)) as reports:
        worker = Worker(
            api, settings, queue, telemetry=telemetry, heartbeat=heartbeat, reports=reports
        )
        events = Events(worker, settings, queue)
        heartbeat.beat()
        ended = await _first_of(
            stop.wait(),
            events.watch(stop),
            events.resync(),
            _watch_queue(queue, telemetry),
            *(worker.run() for _ in range(settings.workers)),
            *beside,
        )
        if ended and not stop.is_set():
            _LOG.warning("the Lease is lost, or events ended: starting over")


async def _first_of(
    stopped: Coroutine[None, None, object], *work: Coroutine[None, None, None]
) -> bool:
    """Run all until one ends: whichever it is, Kubernetes starts a whole new process.

    False when we were told to stop; raises what ended the work.
    """
    told = asyncio.ensure_future(stopped)
    tasks = [asyncio.ensure_future(each) for each in work]
    done, _ = await asyncio.wait([told, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in (told, *tasks):
        task.cancel()
    await asyncio.gather(told, *tasks, return_exceptions=True)
    for task in done:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
    return told not in done


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
