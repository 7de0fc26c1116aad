"""The operator as a process beside the cluster, for fake nodes run nothing."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_STOP_SECONDS: Final = 30
_KIB_PER_MIB: Final = 1024


class OperatorProcess:
    """Runs within a ``with`` block; at its end it is asked to stop, and must do so well.

    ``environment`` holds further settings, ``QWEN_OPERATOR_*``.
    """

    def __init__(
        self, kubeconfig: Path, log_file: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._log_file = log_file
        with log_file.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "qwen_operator"],
                env={
                    **os.environ,
                    "KUBECONFIG": str(kubeconfig),
                    "QWEN_OPERATOR_HEALTH_PORT": str(_free_port()),
                    **(environment or {}),
                },
                stdout=output,
                stderr=output,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log_file.read_text()

    def stop(self) -> None:
        """End it by SIGTERM, unless it has been killed; raises RuntimeError with its log when it
        does not end well."""
        if self._process.returncode == -signal.SIGKILL:
            return
        self._process.send_signal(signal.SIGTERM)
        if (code := self._process.wait(_STOP_SECONDS)) != 0:
            raise RuntimeError(f"the operator ended with {code}:\n{self.log}")

    def kill(self) -> None:
        """End it without a word."""
        self._process.kill()
        self._process.wait()

    def resident_mib(self) -> float:
        """Memory that is held now."""
        return self._memory_mib("VmRSS")

    def peak_mib(self) -> float:
        """The most that was ever held."""
        return self._memory_mib("VmHWM")

    def _memory_mib(self, field: str) -> float:
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        (kib,) = re.findall(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
        return int(kib) / _KIB_PER_MIB


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
