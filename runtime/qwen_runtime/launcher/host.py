"""What the node's kernel tells a pod: processors, NUMA balancing, kills for lack of memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The surroundings of this pod; None for what cannot be read."""

    cpus: float
    """That the pod may use: the smaller of affinity and limit."""
    numa_balancing: bool | None
    numa_nodes: int


def read_host(root: Path = Path("/")) -> Host:
    """Never fails; ``root`` is for tests."""
    limit = _text(root / "sys/fs/cgroup/cpu.max")
    cpus = float(len(os.sched_getaffinity(0)))
    if limit is not None and not limit.startswith("max"):
        quota, _, period = limit.partition(" ")
        cpus = min(cpus, int(quota) / int(period))
    balancing = _text(root / "proc/sys/kernel/numa_balancing")
    nodes = list((root / "sys/devices/system/node").glob("node[0-9]*"))
    return Host(
        cpus=cpus,
        numa_balancing=None if balancing is None else balancing != "0",
        numa_nodes=max(1, len(nodes)),
    )


def count_oom_kills() -> int:
    """Processes of this container that the kernel has killed for want of memory."""
    for line in (_text(_CGROUP / "memory.events") or "").splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill" and count.isdecimal():
            return int(count)
    return 0


def memory_limit_bytes() -> int | None:
    """Of this container; None without one."""
    limit = _text(_CGROUP / "memory.max")
    return int(limit) if limit is not None and limit.isdecimal() else None


def process_age_seconds() -> float:
    """Since the kernel started this process; 0.01 s exact."""
    stat = Path("/proc/self/stat").read_text()
    started_ticks = int(stat.rpartition(")")[2].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return max(0.0, uptime - started_ticks / os.sysconf("SC_CLK_TCK"))


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
