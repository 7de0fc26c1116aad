"""Numbered steps, what each took, and a table of that at the end."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from e2e.cluster.errors import HarnessError
from e2e.cluster.progress import Progress

_INDENT = "      "


class Steps:
    """Counts up to `total`; what happens within a step is told below it, indented."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self._total = total
        self._stream = stream or sys.stderr
        self._took: list[tuple[str, float]] = []

    @contextmanager
    def step(self, what: str, expected: str) -> Iterator[None]:
        """Do one step; `expected` says how long it may take. A failure is named after it."""
        position = f"[{len(self._took) + 1}/{self._total}]"
        self._write(f"{position} {what} ({expected})")
        started = time.monotonic()
        try:
            yield
        except HarnessError as error:
            raise HarnessError(f"{position} {what}: {error}") from error
        self._took.append((what, time.monotonic() - started))
        self.say(f"done in {self._took[-1][1]:.0f} s, {self._total - len(self._took)} to go")

    def say(self, what: str) -> None:
        """A line about the present step."""
        self._write(_INDENT + what)

    def within(self) -> Progress:
        """For parts of a step that count their own."""
        return _Indented(self)

    def table(self) -> str:
        """Seconds by step, and their sum."""
        lines = [*self._took, ("together", sum(seconds for _, seconds in self._took))]
        return "\n".join(f"{seconds:7.1f} s  {what}" for what, seconds in lines)

    def _write(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class _Indented(Progress):
    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps = steps

    @contextmanager
    def step(self, what: str, expected: str = "") -> Iterator[None]:
        if expected:
            self._steps.say(f"{what} (about {expected})")
        started = time.monotonic()
        yield
        self._steps.say(f"{what}: {time.monotonic() - started:.1f} s")

    def say(self, what: str) -> None:
        self._steps.say(what)
