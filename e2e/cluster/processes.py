"""Start, watch and stop the processes of one cluster.

A process is ours when its environment carries the mark that we started it with: the state folder,
the name and a fingerprint of how it was started. So there is no pid file that could be missing
after an interruption, or name a stranger after a restart of the machine.
"""

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from e2e.cluster.errors import NotReady

_MARK: Final = "QWEN_E2E_STATE"
_NAME: Final = "QWEN_E2E_PROCESS"
_FINGERPRINT: Final = "QWEN_E2E_FINGERPRINT"

_POLL_SECONDS: Final = 0.05
_EXEC_POLL_SECONDS: Final = 0.002
_EXEC_POLLS: Final = 10
_GRACE_SECONDS: Final = 3.0
_TAIL_LINES: Final = 25


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Program:
    """How a component is started, and how to see that it serves."""

    name: str
    command: tuple[str | Path, ...]
    ready: Callable[[], bool] = _always
    timeout_seconds: float = 60
    environment: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[Path, ...] = ()
    """Files that the component reads only at start: when one changes, it is restarted."""

    def fingerprint(self) -> str:
        """Changes when the component would be started differently."""
        parts = [str(word) for word in self.command]
        parts += [f"{name}={value}" for name, value in sorted(self.environment.items())]
        parts += [file.read_text() for file in self.inputs]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Running:
    """A living process that we started."""

    pid: int
    name: str
    fingerprint: str


class Processes:
    """The processes that belong to one state folder."""

    def __init__(self, state: Path, *, die_with_us: bool = False) -> None:
        self._state = state.resolve()
        self._logs = self._state / "logs"
        self._die_with_us = die_with_us

    def ensure(self, program: Program) -> int:
        """Have the program running as described; return its process id when it serves."""
        pid = self.start(program)
        self.wait(program, pid)
        return pid

    def start(self, program: Program) -> int:
        """Start the program unless it already runs as described, and return its process id."""
        fingerprint = program.fingerprint()
        running = self.find(program.name)
        if running is not None:
            if running.fingerprint == fingerprint:
                return running.pid
            self.stop([program.name])
        # A test run that is killed cannot clean up, so its processes are tied to its life.
        tie = ["setpriv", "--pdeathsig", "SIGKILL", "--"] if self._die_with_us else []
        self._logs.mkdir(parents=True, exist_ok=True)
        command = [*tie, *map(str, program.command)]
        log = self.log(program.name)
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        return os.posix_spawnp(
            command[0],
            command,
            {
                **os.environ,
                **program.environment,
                _MARK: str(self._state),
                _NAME: program.name,
                _FINGERPRINT: fingerprint,
            },
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )

    def wait(self, program: Program, pid: int) -> None:
        """Return when the program serves; raise NotReady with the end of its log otherwise."""
        deadline = time.monotonic() + program.timeout_seconds
        while not program.ready():
            if _ended(pid):
                raise NotReady(f"{program.name} ended while starting\n{self._tail(program.name)}")
            if time.monotonic() > deadline:
                raise NotReady(
                    f"{program.name} was not ready after {program.timeout_seconds:.0f} s\n"
                    f"{self._tail(program.name)}"
                )
            time.sleep(_POLL_SECONDS)

    def find(self, name: str) -> Running | None:
        """The living process of this name."""
        return next((running for running in self.running() if running.name == name), None)

    def running(self) -> list[Running]:
        """Every living process that was started for this state folder, oldest first."""
        return sorted(self._scan(), key=lambda running: running.pid)

    def stop(self, names: Iterable[str]) -> None:
        """Stop the named processes in good order, and kill those that do not listen."""
        self._signal(set(names), (signal.SIGTERM, signal.SIGKILL))

    def kill_all(self) -> None:
        """End every process of this state folder at once; nothing of their data is to be kept."""
        self._signal({running.name for running in self.running()}, (signal.SIGKILL,))

    def _signal(self, names: set[str], signals: Iterable[signal.Signals]) -> None:
        targets = {
            running.pid: os.pidfd_open(running.pid)
            for running in self.running()
            if running.name in names
        }
        try:
            # The kernel may have given a pid away between the scan and the opening.
            ours = {running.pid for running in self.running()}
            living = {pid: handle for pid, handle in targets.items() if pid in ours}
            for sent in signals:
                for handle in living.values():
                    _send(handle, sent)
                deadline = time.monotonic() + _GRACE_SECONDS
                while living and time.monotonic() < deadline:
                    time.sleep(_POLL_SECONDS)
                    living = {pid: handle for pid, handle in living.items() if not _ended(pid)}
        finally:
            for handle in targets.values():
                os.close(handle)

    def log(self, name: str) -> Path:
        """Where the output of a process goes."""
        return self._logs / f"{name}.log"

    def _scan(self) -> Iterator[Running]:
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            pid = int(folder.name)
            try:
                if os.getsid(pid) != pid or _ended(pid):
                    continue  # a child of ours inherits the mark, but leads no session
                environment = _environment(folder)
            except OSError:
                continue  # it ended meanwhile, or belongs to someone else
            if environment.get(_MARK) == str(self._state):
                yield Running(pid, environment.get(_NAME, ""), environment.get(_FINGERPRINT, ""))

    def _tail(self, name: str) -> str:
        file = self.log(name)
        lines = file.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join([f"end of {file}:", *(f"  {line}" for line in lines)])


def _environment(folder: Path) -> dict[str, str]:
    content = (folder / "environ").read_bytes()
    for _ in range(_EXEC_POLLS):
        if content:
            break
        # While a program is being loaded, its process has no environment for a moment.
        time.sleep(_EXEC_POLL_SECONDS)
        content = (folder / "environ").read_bytes()
    pairs = content.decode(errors="replace").split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def _send(handle: int, sent: signal.Signals) -> None:
    try:
        signal.pidfd_send_signal(handle, sent)
    except ProcessLookupError:
        return


def _ended(pid: int) -> bool:
    """Whether the process is gone, or only waits to be collected by its parent, which may be us."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        # The name in brackets may hold blanks; the state follows the last bracket.
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in {"Z", "X"}
