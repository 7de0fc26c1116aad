"""Lines that say what is being done and how much is left."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class Progress:
    """Counts steps as they are announced and done.

    Steps are added by whoever knows that they are needed, so a cluster that is half up shows only
    the half that is left.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._planned = 0
        self._done = 0

    def plan(self, steps: int) -> None:
        """Announce steps that will follow."""
        self._planned += steps

    @contextmanager
    def step(self, what: str, expected: str = "") -> Iterator[None]:
        """Do one announced step; `expected` tells how long it may take when that is long."""
        self._done += 1
        self._planned = max(self._planned, self._done)
        remaining = self._planned - self._done
        position = f"[{self._done}/{self._planned}]"
        hint = f" (about {expected})" if expected else ""
        if hint:
            print(f"{position} {what}{hint}", file=self._stream, flush=True)
        started = time.monotonic()
        yield
        took = time.monotonic() - started
        rest = f"{remaining} to go" if remaining else "last step"
        print(f"{position} {what}: {took:.1f} s, {rest}", file=self._stream, flush=True)

    def say(self, what: str) -> None:
        """Print a line that is no step."""
        print(what, file=self._stream, flush=True)


class Silent(Progress):
    """Progress for tests, which print only when they fail."""

    @contextmanager
    def step(self, what: str, expected: str = "") -> Iterator[None]:
        """Do the step without a line."""
        yield

    def say(self, what: str) -> None:
        """Print nothing."""
