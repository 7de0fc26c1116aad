"""A machine within the machine: mount, network and process namespaces of its own.

Mounts, bridges, packet filter rules and network namespaces that are made inside belong to these
namespaces, so the kernel removes all of it when the first process inside ends, however it ends.
Only the cgroups are the machine's, below one name of ours.
"""

import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from e2e.cluster.commands import run
from e2e.cluster.debian import mount_packages
from e2e.cluster.errors import HarnessError
from e2e.cluster.network import (
    LINK,
    LINK_PREFIX,
    MACHINE_ADDRESS,
    NODE_ADDRESS,
    POD_RANGE,
    SERVICE_RANGE,
)
from e2e.cluster.paths import CACHE
from e2e.cluster.processes import Processes, Program

CGROUP: Final = "qwen-e2e"

_NAME: Final = "node"
_BIND: Final = "mount --bind --no-canonicalize"
"""Leaves relative sources relative: made absolute, they could lead to what has been covered."""
_CGROUPS: Final = Path("/sys/fs/cgroup")
_KUBELET_SETTINGS: Final = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}
"""Kernel settings that have no namespace, and what a kubelet wants them to be.

It would change them for the whole machine, so it is shown files that say what it wants to read.
"""
_WAIT_SECONDS: Final = 10.0


class SealedMachine:
    """Namespaces that a node lives in."""

    def __init__(self, state: Path, processes: Processes) -> None:
        self._files = state / "node"
        self._set_up = self._files / "set-up"
        self._processes = processes

    def is_up(self) -> bool:
        """Whether it runs, and was set up to the end."""
        running = self._processes.find(_NAME)
        return (
            running is not None
            and self._set_up.exists()
            and self._set_up.read_text() == str(running.pid)
        )

    def start(self, first_process: Path, packages: Path, mounts: Mapping[Path, str]) -> None:
        """Have it running; `mounts` are folders of the machine and where they appear inside."""
        if self.is_up():
            return
        self._processes.stop([_NAME])
        self._refuse_a_second_one()
        self._files.mkdir(parents=True, exist_ok=True)
        mounted = self._files / "mounted"
        mounted.unlink(missing_ok=True)
        script = "\n".join(
            [
                "set -e",
                *_mount_commands(packages, mounts),
                shlex.join(["touch", str(mounted)]),
                shlex.join(["exec", str(first_process)]),
            ]
        )
        pid = self._processes.ensure(
            Program(
                name=_NAME,
                command=(
                    *("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child=SIGKILL"),
                    *("--mount-proc", "sh", "-c", script),
                ),
                ready=mounted.exists,
            )
        )
        self._make_cgroups()
        self._connect()
        self._set_up.write_text(str(pid))

    def inside(self, command: Sequence[str | Path]) -> tuple[str | Path, ...]:
        """The same command, to be run inside; it ends when whoever started it is ended."""
        pid = str(self._first_pid())
        return (
            *("nsenter", "--target", pid, "--mount", "--net", "--pid", "--"),
            *("setpriv", "--pdeathsig", "SIGTERM", "--"),
            *command,
        )

    def run(self, command: Sequence[str | Path]) -> str:
        """Run a command inside to its end."""
        return run(self.inside(command))

    def clean_up(self) -> None:
        """Once its processes have ended: wait for its link to go, and remove its cgroups."""
        if not self._files.exists():
            return  # what is on the machine belongs to somebody else's node
        deadline = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < deadline:
            _remove_cgroups()
            if not _link_exists() and not any(_cgroup_roots()):
                return
            time.sleep(0.05)
        left = [LINK] if _link_exists() else []
        raise HarnessError(f"still there: {', '.join([*left, *map(str, _cgroup_roots())])}")

    def _first_pid(self) -> int:
        running = self._processes.find(_NAME)
        if running is None:
            raise HarnessError("the node is not running")
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text()
        return int(children.split()[0])

    def _refuse_a_second_one(self) -> None:
        if _link_exists():
            raise HarnessError(
                f"a network link named {LINK} exists, so another node runs on this machine; "
                "take that one down first (python -m e2e.cluster down, in its checkout)"
            )

    def _connect(self) -> None:
        """Join machine and node by a pair of links, and route pods and Services through it."""
        pid = self._first_pid()
        run(["ip", "link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", str(pid)])
        run(["ip", "address", "add", f"{MACHINE_ADDRESS}/{LINK_PREFIX}", "dev", LINK])
        run(["ip", "link", "set", LINK, "up"])
        for target in (POD_RANGE, SERVICE_RANGE):
            run(["ip", "route", "add", target, "via", NODE_ADDRESS])
        for command in (
            "ip link set lo up",
            f"ip address add {NODE_ADDRESS}/{LINK_PREFIX} dev eth0",
            "ip link set eth0 up",
            f"ip route add default via {MACHINE_ADDRESS}",
            "sysctl --quiet --write net.ipv4.ip_forward=1",
        ):
            self.run(command.split())

    def _make_cgroups(self) -> None:
        for hierarchy in _hierarchies():
            (hierarchy / CGROUP).mkdir(exist_ok=True)


def _mount_commands(packages: Path, mounts: Mapping[Path, str]) -> list[str]:
    commands = [
        # Whatever is mounted below may cover our own files; the working folder still leads there.
        shlex.join(["cd", str(CACHE)]),
        "mount -t tmpfs -o mode=755 run /run",
        "mkdir /run/netns /run/lock /run/settings",
        *mount_packages(packages),
    ]
    for source, target in mounts.items():
        # Relative, for the same reason.
        below = shlex.quote(str(source.relative_to(CACHE)))
        commands += [f"mkdir -p {below} {target}", f"{_BIND} {below} {target}"]
    kept = shlex.quote(str(CACHE))
    commands += [f"mkdir -p {kept}", f"{_BIND} . {kept}"]
    for setting, value in _KUBELET_SETTINGS.items():
        shown = f"/run/settings/{setting.replace('/', '.')}"
        commands += [f"echo {value} > {shown}", f"mount --bind {shown} /proc/sys/{setting}"]
    return commands


def _hierarchies() -> list[Path]:
    """Where cgroups are made: one place with version 2, one for each controller before."""
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS]
    return [folder for folder in _CGROUPS.iterdir() if (folder / "cgroup.procs").exists()]


def _cgroup_roots() -> list[Path]:
    return [folder / CGROUP for folder in _hierarchies() if (folder / CGROUP).exists()]


def _remove_cgroups() -> None:
    for root in _cgroup_roots():
        below = [folder for folder in root.rglob("*") if folder.is_dir()]
        for folder in [*sorted(below, key=lambda found: -len(found.parts)), root]:
            try:
                folder.rmdir()
            except OSError:
                continue  # a dying process still counts; the caller asks again


def _link_exists() -> bool:
    return Path(f"/sys/class/net/{LINK}").exists()
