"""How far a run is: counters for threads, and the lines of the log."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from qwen_runtime.fetcher.units import GIB, format_bytes

_SECONDS: Final = 5.0
_SHARE: Final = 0.05
_SHORTEST_SECONDS: Final = 1.0
"""A line for each five per cent of a download of ten seconds would be a flood."""
_RATE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What is there and what there will be."""

    bytes: int = 0
    total_bytes: int = 0
    files: int = 0
    total_files: int = 0
    retries: int = 0

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.bytes / self.total_bytes if self.total_bytes else 1.0


class Progress:
    """Counted by many threads, read by the log and by the metrics."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = Counts()

    @property
    def counts(self) -> Counts:
        """As they stand."""
        return self._counts

    def start(self, *, total_bytes: int, total_files: int) -> None:
        """Set what there will be."""
        with self._lock:
            self._counts = replace(self._counts, total_bytes=total_bytes, total_files=total_files)

    def add(self, *, size: int = 0, files: int = 0, retries: int = 0) -> None:
        """Count; a negative size takes back what was thrown away."""
        with self._lock:
            counts = self._counts
            self._counts = replace(
                counts,
                bytes=counts.bytes + size,
                files=counts.files + files,
                retries=counts.retries + retries,
            )

    @contextmanager
    def told(self) -> Iterator[None]:
        """Lines in the log for as long as the block runs."""
        done = threading.Event()
        teller = threading.Thread(target=self._tell, args=(done,), daemon=True)
        teller.start()
        try:
            yield
        finally:
            done.set()
            teller.join()

    def _tell(self, done: threading.Event) -> None:
        started = time.monotonic()
        samples = deque([(started, self._counts.bytes)])
        told_at, told_share = started, self._counts.share
        while not done.wait(_SHORTEST_SECONDS):
            now, counts = time.monotonic(), self._counts
            if is_line_due(now - told_at, counts.share - told_share):
                say(format_progress(counts, rate_bytes_per_second=_rate(samples, now, counts)))
                told_at, told_share = now, counts.share


def is_line_due(seconds: float, share: float) -> bool:
    """Whether to tell again, so long after the last line and so much further."""
    return seconds >= _SECONDS or (seconds >= _SHORTEST_SECONDS and share >= _SHARE)


def format_progress(counts: Counts, *, rate_bytes_per_second: float) -> str:
    """``3 of 7 files, 1.23 of 8.05 GiB (15 %), 112.4 MB/s, 65 s left``."""
    total = format_bytes(counts.total_bytes)
    there = (
        f"{counts.bytes / GIB:.2f}" if total.endswith("GiB") else f"{counts.bytes / (1 << 20):.1f}"
    )
    left = max(0, counts.total_bytes - counts.bytes)
    time_left = (
        f"{left / rate_bytes_per_second:.0f} s left" if rate_bytes_per_second > 0 else "stalled"
    )
    return (
        f"{counts.files} of {counts.total_files} files, {there} of {total} "
        f"({counts.share:.0%}), {rate_bytes_per_second / 1e6:.1f} MB/s, {time_left}"
    ).replace("%)", " %)")


def say(line: str) -> None:
    """One line of the log."""
    print(line, file=sys.stdout, flush=True)


def _rate(samples: deque[tuple[float, int]], now: float, counts: Counts) -> float:
    """Bytes a second over the last half minute."""
    samples.append((now, counts.bytes))
    while len(samples) > 2 and now - samples[0][0] > _RATE_SECONDS:
        samples.popleft()
    began, before = samples[0]
    return max(0.0, (counts.bytes - before) / (now - began))
