"""vLLM's processes: started in a group of their own, reaped, and ended as a group."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SUBREAPER: Final = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitStatus:
    """How a process ended: one of the two."""

    code: int | None
    signal_number: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A process, leader of its group."""

    pid: int
    output_fd: int
    """Its standard output and error, in the order of writing."""


def adopt_orphans() -> None:
    """Be the parent of orphans below us, as process 1 is: vLLM's workers may outlive their parent.

    Where the kernel refuses, somebody else is their parent, which does no harm.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def start(command: tuple[str, ...], env: Mapping[str, str]) -> Child:
    """Raises OSError when the program cannot be started."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    try:
        pid = os.posix_spawnp(
            command[0],
            command,
            env,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, writing, 1),
                (os.POSIX_SPAWN_DUP2, writing, 2),
                (os.POSIX_SPAWN_CLOSE, writing),
            ],
            # A signal to us must not reach vLLM on another way, as Ctrl-C in a terminal would.
            setpgroup=0,
            setsigdef=[signal.SIGPIPE, signal.SIGTERM, signal.SIGINT],
        )
    except OSError:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return Child(pid=pid, output_fd=reading)


def reap(child: Child | None) -> ExitStatus | None:
    """Take the status of all processes that have ended; give that of the child if it is among."""
    ended: ExitStatus | None = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        if child is not None and pid == child.pid:
            code = os.waitstatus_to_exitcode(status)
            ended = (
                ExitStatus(code=code, signal_number=None)
                if code >= 0
                else ExitStatus(code=None, signal_number=-code)
            )


def send(child: Child, number: signal.Signals) -> None:
    """To the child alone, which tells its own processes."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, number)


def kill_group(child: Child) -> None:
    """End whatever is left of it at once."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def read_bytes(child: Child) -> int:
    """What the processes of its group have read from disks and files since they began."""
    total = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            if os.getpgid(int(folder.name)) != child.pid:
                continue
            for line in (folder / "io").read_text().splitlines():
                name, _, count = line.partition(": ")
                total += int(count) if name in ("rchar", "read_bytes") else 0
        except (OSError, ValueError):
            continue
    return total
