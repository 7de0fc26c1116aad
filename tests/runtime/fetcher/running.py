"""A hub with one tiny model, and the fetcher as a function and as a process."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from e2e.hub.server import Hub
from qwen_contract.failure import Failure, read_failure
from qwen_contract.fetched import Fetched, read_fetched
from qwen_runtime.fetcher.failures import Wanted
from qwen_runtime.fetcher.fetch import HUB_FOLDER, FetchOptions, fetch
from qwen_runtime.fetcher.hubs import FIELDS, HUGGING_FACE, connect
from qwen_runtime.fetcher.retries import RetryPolicy

REPOSITORY = "Qwen/Tiny"
SHARD = "model-00001-of-00002.safetensors"
OTHER_SHARD = "model-00002-of-00002.safetensors"
ANY_PORT = 0
QUICK = RetryPolicy(attempts=3, first_wait_seconds=0.01)
_DEADLINE_SECONDS = 20


def run_fetch(
    hub: Hub,
    cache: Path,
    *,
    revision: str = "main",
    repository: str = REPOSITORY,
    token: str | None = None,
    quota_bytes: int | None = None,
    kind: str = HUGGING_FACE,
) -> Fetched:
    """In this process."""
    wanted = Wanted(
        repository=repository,
        revision=revision,
        endpoint=hub.url,
        has_token=token is not None,
        field=FIELDS[kind],
    )
    options = FetchOptions(
        wanted=wanted,
        cache=cache,
        quota_bytes=quota_bytes,
        metrics_port=ANY_PORT,
        policy=QUICK,
    )
    return fetch(options, lambda: connect(kind, wanted, token))


def repository_folder(cache: Path, repository: str = REPOSITORY) -> Path:
    return cache / HUB_FOLDER / f"models--{repository.replace('/', '--')}"


@dataclass
class Ended:
    """A process that has ended."""

    status: int
    output: str
    failure: Failure | None
    record: Fetched | None


class FetchProcess:
    """``python -m qwen_runtime fetch``, started at once."""

    def __init__(
        self, endpoint: str, folder: Path, cache: Path, environment: dict[str, str] | None = None
    ) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        command = [
            *(sys.executable, "-m", "qwen_runtime", "fetch"),
            *("--repository", REPOSITORY, "--revision", "main", "--endpoint", endpoint),
            *("--cache", str(cache), "--record", str(folder / "record")),
            *("--metrics-port", str(ANY_PORT), "--termination-log", str(folder / "termination")),
        ]
        # Neither proxies nor authorities of the machine that runs the tests.
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.process = subprocess.Popen(  # noqa: S603 our own program
            command,
            env={**inherited, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            self.lines.extend(iter(stream.readline, ""))

    def wait(self) -> Ended:
        status = self.process.wait(_DEADLINE_SECONDS)
        self._reader.join()
        failure, record = self._folder / "termination", self._folder / "record"
        return Ended(
            status=status,
            output="".join(self.lines),
            failure=read_failure(failure.read_text()) if failure.exists() else None,
            record=read_fetched(record.read_text()) if record.exists() else None,
        )


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def partial_bytes(cache: Path, shard: Path) -> int:
    """What has arrived of a file of the model, while it is not whole."""
    name = f"{hashlib.sha256(shard.read_bytes()).hexdigest()}.incomplete"
    partial = repository_folder(cache) / "blobs" / name
    return partial.stat().st_size if partial.exists() else 0
