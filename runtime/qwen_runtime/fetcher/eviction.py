"""Which snapshots make room for another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One commit in the cache. Commits of a repository share blobs that did not change."""

    repository: str
    commit: str
    """Empty for blobs of the repository that no snapshot names: parts of downloads given up."""
    used_seconds: float
    """When a start last asked for it, as time since the epoch."""
    busy: bool
    """Wanted by this run, or a process works on its repository."""
    blobs: frozenset[str]
    """Paths of its blobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eviction:
    """What goes, in this order, and what is still missing then."""

    snapshots: tuple[Snapshot, ...]
    freed_bytes: int
    short_bytes: int


def plan_eviction(
    snapshots: tuple[Snapshot, ...], blob_bytes: Mapping[str, int], *, wanted_bytes: int
) -> Eviction:
    """Least recently used first until ``wanted_bytes`` are free; busy ones stay.

    A blob is freed with the last snapshot that has it.
    """
    users: dict[str, int] = {}
    for snapshot in snapshots:
        for blob in snapshot.blobs:
            users[blob] = users.get(blob, 0) + 1
    evicted = []
    freed_bytes = 0
    for snapshot in sorted(
        (each for each in snapshots if not each.busy),
        key=lambda each: (each.used_seconds, each.repository, each.commit),
    ):
        if freed_bytes >= wanted_bytes:
            break
        evicted.append(snapshot)
        for blob in snapshot.blobs:
            users[blob] -= 1
            if not users[blob]:
                freed_bytes += blob_bytes[blob]
    return Eviction(
        snapshots=tuple(evicted),
        freed_bytes=freed_bytes,
        short_bytes=max(0, wanted_bytes - freed_bytes),
    )
