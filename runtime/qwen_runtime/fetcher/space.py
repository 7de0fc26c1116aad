"""Room for a download, judged before its first byte."""

from __future__ import annotations

from typing import Final

from qwen_contract.failure import FailureReason
from qwen_runtime.fetcher.failures import FetchFailed
from qwen_runtime.fetcher.units import MIB, format_bytes

_RESERVE_BYTES: Final = 64 * MIB
"""Left on the disk for manifests, folders and what the file system takes for itself."""


def plan_room_bytes(
    *, needed_bytes: int, used_bytes: int, free_bytes: int, quota_bytes: int | None
) -> int:
    """How much must go before ``needed_bytes`` more fit on the disk and into the quota."""
    if not needed_bytes:
        return 0
    over_disk = needed_bytes + _RESERVE_BYTES - free_bytes
    over_quota = 0 if quota_bytes is None else used_bytes + needed_bytes - quota_bytes
    return max(0, over_disk, over_quota)


def explain_no_room(
    *, folder: str, needed_bytes: int, free_bytes: int, used_bytes: int, quota_bytes: int | None
) -> FetchFailed:
    """Nothing that may go is enough."""
    quota = (
        f" and {format_bytes(used_bytes)} of the quota of {format_bytes(quota_bytes)} in use"
        if quota_bytes is not None
        else ""
    )
    return FetchFailed(
        FailureReason.DISK_FULL,
        f"{format_bytes(needed_bytes)} are still to be fetched into {folder}, with "
        f"{format_bytes(free_bytes)} free on its disk{quota}; "
        "enlarge spec.cache.size or remove what else lies there",
    )
