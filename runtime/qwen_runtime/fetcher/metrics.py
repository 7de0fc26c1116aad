"""Progress as Prometheus metrics, for as long as a download runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from qwen_contract import metrics, pod
from qwen_runtime.fetcher.progress import Counts, Progress, say


def format_metrics(counts: Counts) -> str:
    """Prometheus' text format."""
    lines = []
    for name, kind, value in (
        (metrics.FETCHER_DOWNLOADED_BYTES, "gauge", counts.bytes),
        (metrics.FETCHER_TOTAL_BYTES, "gauge", counts.total_bytes),
        (metrics.FETCHER_DOWNLOADED_FILES, "gauge", counts.files),
        (metrics.FETCHER_TOTAL_FILES, "gauge", counts.total_files),
        (metrics.FETCHER_RETRIES, "counter", counts.retries),
    ):
        lines += [f"# TYPE {name} {kind}", f"{name} {value}"]
    return "\n".join(lines) + "\n"


@contextmanager
def served(progress: Progress, port: int) -> Iterator[None]:
    """Answer scrapers while the block runs. Without the port the download goes on."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == pod.METRICS_PATH
            body = format_metrics(progress.counts).encode() if found else b""
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    try:
        server = ThreadingHTTPServer(("", port), Handler)
    except OSError as error:
        say(f"no metrics: port {port} cannot be used: {error.strerror}")
        yield
        return
    server.daemon_threads = True
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    ).start()
    say(f"metrics at port {server.server_address[1]}{pod.METRICS_PATH}")
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
