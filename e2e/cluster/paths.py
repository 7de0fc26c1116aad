"""Where the harness keeps its files."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]

GO_MODULES: Final = Path(__file__).parent / "go"

CACHE: Final = (REPOSITORY / ".cache" / "e2e").resolve()
"""What is worth keeping between clusters: binaries, packages, images. `down` leaves it alone."""

DEFAULT_STATE: Final = CACHE / "cluster"
"""State of the cluster that the command line starts; `down` removes it."""

LOCK: Final = CACHE / "cluster.lock"
"""Held by whoever starts or stops that cluster."""


def hash_files(files: Iterable[Path], *extra: str) -> str:
    """Twelve characters that change with a file's name, mode or bytes, or an extra string."""
    digest = hashlib.sha256("\0".join(extra).encode())
    for file in sorted(files):
        content = file.read_bytes()
        executable = os.access(file, os.X_OK)
        digest.update(f"\0{file.name}\0{executable}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


@contextmanager
def whole_or_nothing(target: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes `target` only if the block succeeds.

    An interrupted build thus never looks like a finished one.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        unfinished = Path(scratch) / target.name
        yield unfinished
        if not target.exists():
            unfinished.rename(target)


def write_if_changed(file: Path, text: str) -> Path:
    """Write a file, but leave one that says the same untouched.

    Some components end when a file that they were started with is written to.
    """
    if not file.exists() or file.read_text() != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(text)
    return file


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Wait until nobody else holds the lock, and hold it; the kernel lets go if we die."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
