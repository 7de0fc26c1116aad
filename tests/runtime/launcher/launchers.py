"""The launcher as a process of its own, from the zipapp, with a model server that does as told."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen_contract.failure import Failure, read_failure
from qwen_contract.plan import PlannedCard, PlanRow, write_plan
from qwen_contract.report import Report, read_report

SERVER = Path(__file__).with_name("scripted_server.py")
GIB = 1 << 30
CPU = PlannedCard(name="CPU", product_labels=(), memory_bytes=8 * GIB, compute_capability=None)
RTX4090 = PlannedCard(
    name="RTX4090",
    product_labels=("NVIDIA-GeForce-RTX-4090",),
    memory_bytes=25_253_904_384,
    compute_capability="8.9",
)
L4 = PlannedCard(
    name="L4",
    product_labels=("NVIDIA-L4",),
    memory_bytes=23_661_248_512,
    compute_capability="8.9",
)
DEADLINE_SECONDS = 60.0
"""For a machine that is busy with other things."""


def plan_row(card: PlannedCard, **changes: Any) -> PlanRow:
    """A row of a plan."""
    fields: dict[str, Any] = {
        "card": card,
        "vllm_version": "0.33.0",
        "tensor_parallel_size": 1,
        "model": "Qwen/Qwen3-4B",
        "needed_bytes": 0 if card.is_cpu else 20 * GIB,
        "kv_cache_bytes": GIB,
        "args": ("--served-model-name", "qwen3-4b"),
        "env": {"FROM_PLAN": "1"},
    }
    return PlanRow(**fields | changes)


def eventually(holds: Callable[[], object], what: str) -> None:
    """Wait until it holds."""
    until = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        if time.monotonic() > until:
            raise AssertionError(f"not in {DEADLINE_SECONDS} s: {what}")
        time.sleep(0.02)


@dataclass(frozen=True)
class Answer:
    status: int
    body: str


@dataclass(frozen=True)
class Launcher:
    """A running one."""

    process: subprocess.Popen[bytes]
    port: int
    http_port: int
    folder: Path

    def get(self, path: str, port: int | None = None) -> Answer | None:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return Answer(response.status, response.read().decode())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def status(self, path: str) -> int | None:
        answer = self.get(path)
        return None if answer is None else answer.status

    def report(self) -> Report:
        answer = self.get("/report")
        assert answer is not None
        return read_report(answer.body)

    def stream(self) -> http.client.HTTPResponse:
        """Open a stream at the model server."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=20)
        body = json.dumps({"stream": True})
        connection.request("POST", "/v1/chat/completions", body)
        return connection.getresponse()

    def await_ready(self) -> None:
        eventually(lambda: self.status("/readyz") == 200, "ready:\n" + self.output())

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        return self.process.wait(DEADLINE_SECONDS)

    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    def failure(self) -> Failure:
        return read_failure((self.folder / "termination").read_text())


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextlib.contextmanager
def launched(
    zipapp: Path,
    folder: Path,
    script: Mapping[str, Any] | None = None,
    *,
    rows: tuple[PlanRow, ...] = (plan_row(CPU),),
    options: tuple[str, ...] = ("--propagation-seconds", "0.1"),
    env: Mapping[str, str] | None = None,
    under: tuple[str, ...] = (),
) -> Iterator[Launcher]:
    """A launcher with a plan, as a child of the command ``under`` if given; whatever it leaves is
    killed."""
    plan = folder / "plan"
    plan.mkdir()
    for name, text in write_plan(rows).items():
        (plan / name).write_text(text)
    (folder / "script.json").write_text(json.dumps(script or {}))
    port, http_port = free_port(), free_port()
    command = [*under, sys.executable, str(zipapp), "--plan", str(plan)]
    command += ["--fetched", str(folder / "model.json")]
    command += ["--port", str(port), "--http-port", str(http_port)]
    command += ["--termination-log", str(folder / "termination"), *options]
    command += ["--model-server", sys.executable, str(SERVER), str(folder / "script.json")]
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**kept, **(env or {})},
            start_new_session=True,
        )
    try:
        yield Launcher(process, port, http_port, folder)
    finally:
        for pid in (process.pid, *children(process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def children(parent: int, state: str = "") -> list[int]:
    """Processes below another one, of a state if given."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent and state in fields[0]:
                    found.append(int(folder.name))
    return found
