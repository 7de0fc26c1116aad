"""The launcher's port: probes, report, metrics."""

from __future__ import annotations

import http.server
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from qwen_contract import pod
from qwen_contract.report import write_report
from qwen_runtime.launcher.exposition import CONTENT_TYPE, write_metrics
from qwen_runtime.launcher.status import Status, build_report, is_alive, is_ready, is_started

_IDLE_CLIENT_SECONDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An answer."""

    status: int
    body: str
    content_type: str = "text/plain; charset=utf-8"


def answer(path: str, status: Status, now: float) -> Page:
    """Pure; ``now`` is of a steady clock."""
    match path.partition("?")[0]:
        case pod.STARTUP_PATH:
            return _probe(is_started(status), status)
        case pod.READINESS_PATH:
            return _probe(is_ready(status, now), status)
        case pod.LIVENESS_PATH:
            return _probe(is_alive(status), status)
        case pod.REPORT_PATH:
            return Page(
                status=200,
                body=write_report(build_report(status)),
                content_type="application/json",
            )
        case pod.METRICS_PATH:
            return Page(status=200, body=write_metrics(status), content_type=CONTENT_TYPE)
        case _:
            return Page(status=404, body="not found\n")


def _probe(good: bool, status: Status) -> Page:
    # The kubelet puts the body of a failed probe into its event.
    why = status.state.value if status.failure is None else status.failure.message
    return Page(status=200 if good else 503, body=f"{why}\n")


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Without the library's look-up of our own name, which takes seconds where DNS is slow."""
        socketserver.TCPServer.server_bind(self)


def serve(port: int, status: Callable[[], Status]) -> None:
    """Answer from now on, in threads. Raises OSError when the port is taken."""

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = _IDLE_CLIENT_SECONDS

        def do_GET(self) -> None:
            """Answer one request."""
            page = answer(self.path, status(), time.monotonic())
            body = page.body.encode()
            self.send_response(page.status)
            self.send_header("Content-Type", page.content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes come every few seconds: no line for each."""

    server = _Server(("", port), Handler)
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
