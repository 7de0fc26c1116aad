"""Makes room in the cache, or says that there is none."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

from qwen_runtime.fetcher.cache import Repository, list_repositories, measure_blobs
from qwen_runtime.fetcher.eviction import Snapshot, plan_eviction
from qwen_runtime.fetcher.progress import say
from qwen_runtime.fetcher.space import explain_no_room, plan_room_bytes


def make_room(root: Path, own: Snapshot, *, needed_bytes: int, quota_bytes: int | None) -> None:
    """Evict other snapshots where a quota allows it; ``own`` is the one that needs the room.

    Repositories that somebody works on are left alone; the others are locked meanwhile. Raises
    `FetchFailed` before anything is evicted when that would not be enough.
    """
    with ExitStack() as stack:
        snapshots = [own]
        for repository in list_repositories(root):
            may_go = quota_bytes is not None and stack.enter_context(
                repository.locked_if_idle(own.commit)
            )
            snapshots += [
                snapshot
                for snapshot in repository.snapshots(busy=not may_go)
                if (snapshot.repository, snapshot.commit) != (own.repository, own.commit)
            ]
        blob_bytes = measure_blobs(root)
        used_bytes = sum(blob_bytes.values())
        free_bytes = shutil.disk_usage(root).free
        room_bytes = plan_room_bytes(
            needed_bytes=needed_bytes,
            used_bytes=used_bytes,
            free_bytes=free_bytes,
            quota_bytes=quota_bytes,
        )
        eviction = plan_eviction(tuple(snapshots), blob_bytes, wanted_bytes=room_bytes)
        if eviction.short_bytes:
            raise explain_no_room(
                folder=str(root),
                needed_bytes=needed_bytes,
                free_bytes=free_bytes,
                used_bytes=used_bytes,
                quota_bytes=quota_bytes,
            )
        for snapshot in eviction.snapshots:
            snapshots.remove(snapshot)
            say(f"removing {snapshot.repository} {snapshot.commit or '(unfinished)'}")
            kept = frozenset(blob for each in snapshots for blob in each.blobs)
            Repository(root=root, name=snapshot.repository).remove(snapshot, kept)
