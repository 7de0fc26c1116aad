import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.hub.faults import Fault
from e2e.hub.server import Hub
from e2e.models.tiny_qwen3 import write_tiny_qwen3
from qwen_contract.failure import FailureReason
from qwen_contract.fetched import in_use_file
from qwen_runtime.fetcher.failures import FetchFailed
from qwen_runtime.fetcher.space import plan_room_bytes
from tests.runtime.fetcher.running import (
    REPOSITORY,
    SHARD,
    FetchProcess,
    partial_bytes,
    repository_folder,
    run_fetch,
    wait_until,
)

OTHERS = ("Qwen/Older", "Qwen/Newer")
MIB = 1 << 20


@pytest.fixture
def others(hub: Hub, model: Path, cache: Path) -> None:
    """Two more models in the cache, used one after the other, each as large as the first."""
    for seed, name in enumerate(OTHERS, start=1):
        write_tiny_qwen3(model.parents[1] / name, seed)
        run_fetch(hub, cache, repository=name)
        [manifest] = (repository_folder(cache, name) / "verified").iterdir()
        os.utime(manifest, (seed, seed))


def model_bytes(model: Path) -> int:
    return sum(file.stat().st_size for file in model.iterdir())


def has_weights(cache: Path, repository: str) -> bool:
    return len(list(repository_folder(cache, repository).rglob("*.safetensors"))) == 2


@pytest.mark.usefixtures("others")
def test_the_model_that_was_used_longest_ago_makes_room(hub: Hub, model: Path, cache: Path) -> None:
    run_fetch(hub, cache, quota_bytes=2 * model_bytes(model) + 1000)
    assert not has_weights(cache, OTHERS[0])
    assert not list((repository_folder(cache, OTHERS[0]) / "blobs").iterdir())
    assert has_weights(cache, OTHERS[1])
    assert has_weights(cache, REPOSITORY)


@pytest.mark.usefixtures("others")
def test_a_model_that_another_process_works_on_stays(hub: Hub, model: Path, cache: Path) -> None:
    [locks] = cache.rglob(".locks/models--Qwen--Older")
    with next(locks.iterdir()).open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run_fetch(hub, cache, quota_bytes=2 * model_bytes(model) + 1000)
    assert has_weights(cache, OTHERS[0])
    assert not has_weights(cache, OTHERS[1])


@pytest.mark.usefixtures("others")
def test_a_model_that_a_launcher_loads_stays(hub: Hub, model: Path, cache: Path) -> None:
    fetched = run_fetch(hub, cache, repository=OTHERS[0])
    os.utime(str(in_use_file(fetched)), (0, 0))
    with Path(str(in_use_file(fetched))).open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        run_fetch(hub, cache, quota_bytes=2 * model_bytes(model) + 1000)
    assert has_weights(cache, OTHERS[0])
    assert not has_weights(cache, OTHERS[1])


def test_a_newer_commit_takes_the_place_of_the_older_and_shares_its_files(
    hub: Hub, model: Path, cache: Path
) -> None:
    first = run_fetch(hub, cache)
    write_tiny_qwen3(model, seed=1)
    newer = hub.repositories.commit(REPOSITORY)
    assert newer is not None
    second = run_fetch(hub, cache, revision=newer.sha, quota_bytes=model_bytes(model) + 1000)
    shards_bytes = sum(file.stat().st_size for file in model.glob("*.safetensors"))
    assert second.downloaded_bytes == shards_bytes
    assert not Path(first.folder).exists()
    assert has_weights(cache, REPOSITORY)


@pytest.mark.usefixtures("others")
def test_without_a_quota_nothing_goes(hub: Hub, cache: Path) -> None:
    run_fetch(hub, cache)
    assert all(has_weights(cache, name) for name in (*OTHERS, REPOSITORY))


@pytest.mark.usefixtures("others")
def test_a_quota_smaller_than_the_model_ends_as_disk_full_and_nothing_goes(
    hub: Hub, model: Path, cache: Path
) -> None:
    before = len(hub.downloads())
    with pytest.raises(FetchFailed, match=r"0\.6 MiB are still to be fetched") as caught:
        run_fetch(hub, cache, quota_bytes=model_bytes(model) - 1)
    assert caught.value.reason is FailureReason.DISK_FULL
    assert "spec.cache.size" in str(caught.value)
    assert len(hub.downloads()) == before
    assert all(has_weights(cache, name) for name in OTHERS)


@pytest.mark.parametrize(
    ("free_bytes", "quota_bytes", "room_bytes"),
    [
        (1000 * MIB, None, 0),
        (100 * MIB, None, 64 * MIB),
        (1000 * MIB, 250 * MIB, 50 * MIB),
        (100 * MIB, 250 * MIB, 64 * MIB),
    ],
)
def test_room_is_made_for_disk_and_quota(
    free_bytes: int, quota_bytes: int | None, room_bytes: int
) -> None:
    assert (
        plan_room_bytes(
            needed_bytes=100 * MIB,
            used_bytes=200 * MIB,
            free_bytes=free_bytes,
            quota_bytes=quota_bytes,
        )
        == room_bytes
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 80 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("a disk that becomes full needs a tmpfs, and mounting one needs root")
    mounted = subprocess.run(  # noqa: S603 all of it is written here
        [mount, "-t", "tmpfs", "-o", "size=80m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)  # noqa: S603, S607 where mount is


def test_a_disk_that_becomes_full_in_the_middle_ends_as_disk_full_and_goes_on_later(
    hub: Hub, model: Path, tmp_path: Path, small_disk: Path
) -> None:
    slow = hub.faults.add(
        Fault(path=f"/content/{REPOSITORY}/{SHARD}", bytes_per_second=10_000, times=None)
    )
    fetching = FetchProcess(hub.url, tmp_path / "run", small_disk)
    wait_until(lambda: partial_bytes(small_disk, model / SHARD) > 0)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as stream:
        while stream.write(bytes(MIB)) == MIB:
            pass
    ended = fetching.wait()
    assert ended.status == 1
    assert ended.failure is not None
    assert ended.failure.reason is FailureReason.DISK_FULL
    assert partial_bytes(small_disk, model / SHARD) > 0
    filler.unlink()
    slow.times = slow.struck
    fetched = run_fetch(hub, small_disk)
    assert fetched.downloaded_bytes < model_bytes(model)
