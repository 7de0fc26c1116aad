"""A model server that does what its script says: faults and timing that vLLM cannot give on demand.

    scripted_server.py SCRIPT MODEL [vLLM's flags]

SCRIPT is JSON: ``log`` (lines to print first), ``exit`` (end with this status then, or by minus
this signal), ``orphans`` (processes to leave behind), ``chunk_seconds`` and ``chunks`` (of a
stream), ``on_sigterm`` (``finish`` as vLLM does, or ``ignore``), ``cache`` (labels of the cache's
metric), ``completion_status``, ``last_words`` and ``die`` (lines and status of GET /die).
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

script = json.loads(Path(sys.argv[1]).read_text())
port = int(sys.argv[sys.argv.index("--port") + 1])
shutdown_seconds = float(sys.argv[sys.argv.index("--shutdown-timeout") + 1])

counts = {"requests": 0, "tokens": 0}
stopping = threading.Event()
lock = threading.Lock()


@contextlib.contextmanager
def counted():
    with lock:
        counts["requests"] += 1
    try:
        yield
    finally:
        with lock:
            counts["requests"] -= 1


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/health":
            self.answer(script.get("health", 200), "")
        elif self.path == "/metrics":
            labels = ",".join(
                f'{name}="{value}"' for name, value in script.get("cache", {}).items()
            )
            self.answer(
                200,
                f'vllm:num_requests_running{{engine="0"}} {counts["requests"]}.0\n'
                'vllm:num_requests_waiting{engine="0"} 0.0\n'
                f'vllm:generation_tokens_total{{engine="0"}} {counts["tokens"]}.0\n'
                f"vllm:cache_config_info{{{labels}}} 1.0\n",
            )
        elif self.path == "/die":
            for line in script.get("last_words", []):
                print(line, flush=True)
            os._exit(script.get("die", 1))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if stopping.is_set():
            self.answer(500, "cannot schedule new futures after shutdown")
            return
        if not body.get("stream"):
            print("warm-up " + json.dumps(body), flush=True)
            self.answer(script.get("completion_status", 200), "{}")
            return
        with counted():
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for number in range(script.get("chunks", 5)):
                self.wfile.write(f"data: {number}\n\n".encode())
                counts["tokens"] += 1
                time.sleep(script.get("chunk_seconds", 0.1))
            self.wfile.write(b"data: [DONE]\n\n")

    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def stop() -> None:
    stopping.set()
    until = time.monotonic() + shutdown_seconds
    while counts["requests"] and time.monotonic() < until:
        time.sleep(0.02)
    if not counts["requests"]:
        os._exit(0)


def main() -> None:
    on_sigterm = script.get("on_sigterm", "finish")
    signal.signal(
        signal.SIGTERM,
        signal.SIG_IGN
        if on_sigterm == "ignore"
        else lambda *_: threading.Thread(target=stop).start(),
    )
    for line in script.get("log", []):
        print(line, flush=True)
    for _ in range(script.get("orphans", 0)):
        # Its own child outlives it and becomes an orphan, then a zombie unless somebody reaps.
        subprocess.run(["/bin/sh", "-c", "sleep 0.3 &"], check=True)
    if "exit" in script:
        status = script["exit"]
        if status < 0:
            os.kill(os.getpid(), -status)
        sys.exit(status)
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.serve_forever()


main()
