"""/healthz, /readyz and /metrics: alive means that passes or resyncs end."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from qwen_operator.controller.telemetry import Telemetry


async def serve_health(
    port: int, telemetry: Telemetry, silent_seconds: Callable[[], float], longest_seconds: float
) -> web.AppRunner:
    """Serve until the runner is cleaned up; fails when nothing has ended for too long."""

    async def health(_request: web.Request) -> web.Response:
        silent = silent_seconds()
        status = 200 if silent <= longest_seconds else 503
        return web.Response(status=status, text=f"last pass {silent:.0f} s ago\n")

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
