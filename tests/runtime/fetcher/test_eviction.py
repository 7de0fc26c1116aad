from hypothesis import given
from hypothesis import strategies as st

from qwen_runtime.fetcher.eviction import Snapshot, plan_eviction

BLOBS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 100), min_size=1)


@st.composite
def caches(draw: st.DrawFn) -> tuple[tuple[Snapshot, ...], dict[str, int]]:
    blob_bytes = draw(BLOBS)
    count = draw(st.integers(0, 6))
    snapshots = tuple(
        Snapshot(
            repository="Qwen/Any",
            commit=str(number),
            used_seconds=draw(st.integers(0, 5)),
            busy=draw(st.booleans()),
            blobs=draw(st.frozensets(st.sampled_from(sorted(blob_bytes)))),
        )
        for number in range(count)
    )
    return snapshots, blob_bytes


def bytes_of(snapshots: tuple[Snapshot, ...], blob_bytes: dict[str, int]) -> int:
    return sum(blob_bytes[blob] for blob in {b for each in snapshots for b in each.blobs})


@given(cache=caches(), wanted_bytes=st.integers(0, 500))
def test_what_is_busy_stays_and_enough_goes_or_all_that_may(
    cache: tuple[tuple[Snapshot, ...], dict[str, int]], wanted_bytes: int
) -> None:
    snapshots, blob_bytes = cache
    eviction = plan_eviction(snapshots, blob_bytes, wanted_bytes=wanted_bytes)
    assert not any(snapshot.busy for snapshot in eviction.snapshots)
    kept = tuple(each for each in snapshots if each not in eviction.snapshots)
    freed_bytes = bytes_of(snapshots, blob_bytes) - bytes_of(kept, blob_bytes)
    assert eviction.freed_bytes == freed_bytes
    assert eviction.short_bytes == max(0, wanted_bytes - freed_bytes)
    if eviction.short_bytes:
        assert all(each.busy for each in kept)


@given(cache=caches(), wanted_bytes=st.integers(0, 500))
def test_the_least_recently_used_go_first_and_none_for_nothing(
    cache: tuple[tuple[Snapshot, ...], dict[str, int]], wanted_bytes: int
) -> None:
    snapshots, blob_bytes = cache
    evicted = plan_eviction(snapshots, blob_bytes, wanted_bytes=wanted_bytes).snapshots
    for kept in snapshots:
        if kept not in evicted and not kept.busy:
            assert all(each.used_seconds <= kept.used_seconds for each in evicted)
    if evicted:
        fewer = tuple(each for each in snapshots if each not in evicted[:-1])
        freed_bytes = bytes_of(snapshots, blob_bytes) - bytes_of(fewer, blob_bytes)
        assert freed_bytes < wanted_bytes
