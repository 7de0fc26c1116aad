"""vLLM's output goes to ours, byte for byte, while its lines are read."""

from __future__ import annotations

import array
import fcntl
import os
import re
import termios
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

_CHUNK_BYTES: Final = 1 << 16
_LOOK_SECONDS: Final = 0.005
_TAIL_LINES: Final = 2000
"""A traceback of vLLM with those of its processes has a few hundred lines."""
_ENDS: Final = re.compile(rb"[\r\n]")


class Output:
    """Our standard output, shared: a line of ours never lands inside one of vLLM's."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """All of it; what nobody reads any more is dropped."""
        with self._lock:
            view = memoryview(data)
            try:
                while view:
                    view = view[os.write(self._fd, view) :]
            except OSError:
                return


class Relay:
    """A thread between vLLM's pipe and our output."""

    def __init__(self, source_fd: int, output: Output, on_line: Callable[[str], None]) -> None:
        self._source_fd = source_fd
        self._output = output
        self._on_line = on_line
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._telling = False
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def catch_up(self, timeout_seconds: float) -> None:
        """Wait until everything that vLLM has written so far is read."""
        until = time.monotonic() + timeout_seconds
        quiet_looks = 0
        # Twice, for the thread may be between the pipe and its lines.
        while quiet_looks < 2 and time.monotonic() < until:
            quiet_looks = 0 if self._telling or self._waiting_bytes() else quiet_looks + 1
            time.sleep(_LOOK_SECONDS)

    def _waiting_bytes(self) -> int:
        count = array.array("i", [0])
        try:
            fcntl.ioctl(self._source_fd, termios.FIONREAD, count)
        except OSError:
            return 0
        return count[0]

    def finish(self, timeout_seconds: float) -> tuple[str, ...]:
        """Wait for the end of the pipe, and give the last lines."""
        self._thread.join(timeout_seconds)
        return tuple(self._tail)

    def _run(self) -> None:
        rest = b""
        while data := self._read():
            self._telling = True
            *_, last = _ENDS.split(data)
            if len(last) == len(data):
                rest += data
                self._telling = False
                continue
            whole = rest + data[: len(data) - len(last)]
            rest = last
            self._output.write(whole)
            self._tell(whole)
            self._telling = False
        if rest:
            self._output.write(rest + b"\n")
            self._tell(rest)

    def _read(self) -> bytes:
        try:
            return os.read(self._source_fd, _CHUNK_BYTES)
        except OSError:
            return b""

    def _tell(self, data: bytes) -> None:
        for line in _ENDS.split(data):
            if line.strip():
                text = line.decode(errors="replace")
                self._tail.append(text)
                self._on_line(text)
