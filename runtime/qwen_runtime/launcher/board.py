"""The status of the replica, shared by the launcher's threads."""

from __future__ import annotations

import threading
from collections.abc import Callable

from qwen_runtime.launcher.status import Status


class Board:
    """Holds one `Status`; every change is a pure function of the one before."""

    def __init__(self) -> None:
        self._status = Status()
        self._lock = threading.Lock()

    @property
    def status(self) -> Status:
        """The latest."""
        return self._status

    def change(self, by: Callable[[Status], Status]) -> Status:
        """Apply one change; two at once happen one after the other."""
        with self._lock:
            self._status = by(self._status)
            return self._status
