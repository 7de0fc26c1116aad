"""The launcher's own lines, in the form of vLLM's, between which they stand."""

from __future__ import annotations

import os
import time

from qwen_runtime.launcher.relay import Output


class Log:
    """Writes whole lines."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def info(self, text: str) -> None:
        """What happens."""
        self._write("INFO", text)

    def warning(self, text: str) -> None:
        """What somebody should look at."""
        self._write("WARNING", text)

    def error(self, text: str) -> None:
        """Why it ends."""
        self._write("ERROR", text)

    def _write(self, level: str, text: str) -> None:
        now = time.strftime("%m-%d %H:%M:%S")
        self._output.write(f"(Launcher pid={os.getpid()}) {level} {now} {text}\n".encode())
