"""Signals as data: the main loop asks which have come, and none is lost."""

from __future__ import annotations

import os
import select
import signal
from typing import Final

_WATCHED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


class Signals:
    """Catches SIGTERM, SIGINT and SIGCHLD from now on. One a process, in its main thread."""

    def __init__(self) -> None:
        self._reading, writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(writing, False)
        # Python's own part of a handler writes the number into the pipe, which wakes `wait`.
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in _WATCHED:
            signal.signal(number, lambda *_: None)

    def wait(self, timeout_seconds: float) -> frozenset[int]:
        """Those that have come; empty when none did in time."""
        select.select([self._reading], [], [], max(0.0, timeout_seconds))
        try:
            return frozenset(os.read(self._reading, 4096))
        except BlockingIOError:
            return frozenset()
