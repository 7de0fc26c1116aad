"""/healthz, /readyz and /metrics: alive means that passes or resyncs end."""

from __future__ import annotations

from time import monotonic

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from qwen_operator.controller.telemetry import Telemetry


class Heartbeat:
    """When a pass or a resync ended last; one that waits for its Lease is alive too."""

    def __init__(self, longest_seconds: float) -> None:
        self._longest_seconds = longest_seconds
        self._last: float | None = None

    def beat(self) -> None:
        """Something ended; from the first time on, silence is a fault."""
        self._last = monotonic()

    def judge(self) -> tuple[bool, str]:
        """Whether the loop is alive, and a line that says why."""
        if self._last is None:
            return True, "another operator leads"
        silent = monotonic() - self._last
        return silent <= self._longest_seconds, f"last pass {silent:.0f} s ago"


async def serve_health(port: int, telemetry: Telemetry, heartbeat: Heartbeat) -> web.AppRunner:
    """Serve until the runner is cleaned up."""

    async def health(_request: web.Request) -> web.Response:
        alive, why = heartbeat.judge()
        return web.Response(status=200 if alive else 503, text=f"{why}\n")

    async def metrics(_request: web.Request) -> web.Response:
        body = generate_latest(telemetry.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.add_routes(
        [
            web.get("/healthz", health),
            web.get("/readyz", health),
            web.get("/metrics", metrics),
        ]
    )
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
