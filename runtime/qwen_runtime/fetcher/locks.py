"""Locks between pods that share a cache; the kernel drops them with their process."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_POLL_SECONDS: Final = 0.2


@contextmanager
def hold_lock(file: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Wait until nobody else holds the lock; ``on_wait`` is called once when that takes time.

    The files stay: removing one would let two processes lock different files of the same name.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    waited = False
    with file.open("a") as stream:
        while not _try_lock(stream.fileno()):
            if not waited:
                on_wait()
                waited = True
            time.sleep(_POLL_SECONDS)
        yield


@contextmanager
def try_lock(file: Path) -> Iterator[bool]:
    """Hold the lock if nobody else does; says whether."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as stream:
        yield _try_lock(stream.fileno())


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
