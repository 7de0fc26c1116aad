"""Keys to look at: each once, never two passes of one key at a time, failures with back-off."""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic

_FIRST_DELAY_SECONDS = 0.2
_LONGEST_DELAY_SECONDS = 60.0

Key = tuple[str, str]
"""Namespace and name."""


class WorkQueue:
    """A queue of keys in the order they became due.

    A key that is added while it waits is not added twice; one that is added while it is being
    worked on waits until that is done.
    """

    def __init__(self) -> None:
        self._ready: deque[Key] = deque()
        self._added_at: dict[Key, float] = {}
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def oldest_seconds(self) -> float:
        """How long the first key has been waiting; 0 for an empty queue."""
        return monotonic() - self._added_at[self._ready[0]] if self._ready else 0.0

    def add(self, key: Key) -> None:
        """Look at a key as soon as a worker is free."""
        self._cancel_timer(key)
        if key in self._working:
            self._again.add(key)
        elif key not in self._added_at:
            self._added_at[key] = monotonic()
            self._ready.append(key)
            self._wake.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Look at a key again later; what is due sooner outweighs it."""
        loop = asyncio.get_running_loop()
        waiting = self._timers.get(key)
        if waiting is not None and waiting.when() <= loop.time() + seconds:
            return
        self._cancel_timer(key)
        self._timers[key] = loop.call_later(seconds, self.add, key)

    def add_failed(self, key: Key) -> float:
        """Try a key again after a delay that doubles; returns the seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(_FIRST_DELAY_SECONDS * 2.0**failures, _LONGEST_DELAY_SECONDS)
        self.add_after(key, delay)
        return delay

    def forget_failures(self, key: Key) -> None:
        """The key succeeded; its next failure starts from the shortest delay."""
        self._failures.pop(key, None)

    async def take(self) -> Key:
        """The next key; call `finish` when it has been worked on."""
        while not self._ready:
            self._wake.clear()
            await self._wake.wait()
        key = self._ready.popleft()
        del self._added_at[key]
        self._working.add(key)
        return key

    def finish(self, key: Key) -> None:
        """The pass is over; what was added meanwhile waits from now on."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _cancel_timer(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
