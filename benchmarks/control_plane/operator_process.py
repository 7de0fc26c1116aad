"""The operator as a process of its own, and its memory."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

_KIB_PER_MIB = 1024


class OperatorProcess:
    """Started on entry, asked to stop on exit."""

    def __init__(self, kubeconfig: Path, log: Path, *, health_port: int = 18097) -> None:
        self._environment = {
            **os.environ,
            "KUBECONFIG": str(kubeconfig),
            "QWEN_OPERATOR_HEALTH_PORT": str(health_port),
        }
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "qwen_operator"],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=30)

    def resident_mib(self) -> float:
        """Memory that is held now."""
        return self._status("VmRSS")

    def peak_mib(self) -> float:
        """The most that was ever held."""
        return self._status("VmHWM")

    def _status(self, field: str) -> float:
        assert self._process is not None
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
        assert found is not None, f"{field} is not told of the operator; see {self._log}"
        return int(found[1]) / _KIB_PER_MIB
