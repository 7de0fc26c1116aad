import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from qwen_contract.failure import FailureReason
from qwen_runtime.fetcher.check import VERIFIED_FILE, check
from qwen_runtime.fetcher.failures import FetchFailed
from tests.runtime.fetcher.running import OTHER_SHARD, SHARD


def reason_of(folder: Path) -> FailureReason:
    with pytest.raises(FetchFailed) as caught:
        check(folder)
    assert "\n" not in str(caught.value)
    return caught.value.reason


def write_sums(folder: Path) -> None:
    (folder / "SHA256SUMS").write_text(
        "".join(
            f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
            for file in sorted(folder.glob("*.safetensors"))
        )
    )


@pytest.fixture
def read_only(model: Path) -> Iterator[Path]:
    """The folder, for a user who may not write to it: root may write anywhere."""
    if os.geteuid() == 0:
        for parent in (model, *model.parents):
            if parent.stat().st_mode & 0o005 != 0o005 and parent.owner() == "root":
                parent.chmod(parent.stat().st_mode | 0o055)
        os.seteuid(2000)
    else:
        model.chmod(0o555)
    yield model
    if os.getuid() == 0:
        os.seteuid(0)
    else:
        model.chmod(0o755)


def test_whole_weights_are_recorded_with_their_size(model: Path) -> None:
    fetched = check(model)
    assert fetched.folder == str(model)
    assert fetched.repository is None
    assert fetched.verified == "headers"
    assert fetched.bytes == sum(file.stat().st_size for file in model.iterdir())


def test_a_folder_that_is_not_there_is_missing(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "none") is FailureReason.WEIGHTS_MISSING


@pytest.mark.parametrize("name", ["config.json", OTHER_SHARD])
def test_a_file_that_is_not_there_is_missing(model: Path, name: str) -> None:
    (model / name).unlink()
    assert reason_of(model) is FailureReason.WEIGHTS_MISSING


def test_a_folder_without_any_weights_is_missing_them(model: Path) -> None:
    for file in model.glob("model*"):
        file.unlink()
    assert reason_of(model) is FailureReason.WEIGHTS_MISSING


def test_the_folder_above_the_snapshots_is_told_apart(model: Path) -> None:
    (model / "snapshots").mkdir()
    with pytest.raises(FetchFailed, match="snapshots/<commit>"):
        check(model)


def test_a_shard_that_is_cut_off_is_corrupt(model: Path) -> None:
    shard = model / SHARD
    shard.write_bytes(shard.read_bytes()[:-1])
    assert reason_of(model) is FailureReason.WEIGHTS_CORRUPT


def test_a_damaged_index_is_corrupt(model: Path) -> None:
    (model / "model.safetensors.index.json").write_text("{")
    assert reason_of(model) is FailureReason.WEIGHTS_CORRUPT


def test_sums_are_verified_once_and_again_when_a_file_changes(model: Path) -> None:
    write_sums(model)
    assert check(model).verified == "sha256"
    assert (model / VERIFIED_FILE).exists()
    assert check(model).verified == "manifest"
    os.utime(model / SHARD, (1, 1))
    assert check(model).verified == "sha256"


def test_a_file_that_is_not_what_its_sum_says_is_named_with_both_hashes(model: Path) -> None:
    write_sums(model)
    shard = model / SHARD
    expected = hashlib.sha256(shard.read_bytes()).hexdigest()
    shard.write_bytes(shard.read_bytes()[:-1] + b"\xff")
    found = hashlib.sha256(shard.read_bytes()).hexdigest()
    with pytest.raises(FetchFailed, match=f"expects {expected}, found {found}") as caught:
        check(model)
    assert caught.value.reason is FailureReason.WEIGHTS_CORRUPT


def test_sums_that_are_none_are_refused(model: Path) -> None:
    (model / "SHA256SUMS").write_text("no sums here\n")
    assert reason_of(model) is FailureReason.WEIGHTS_CORRUPT


def test_a_read_only_folder_is_verified_at_each_start(model: Path, read_only: Path) -> None:
    del model
    assert check(read_only).verified == "headers"


def test_sums_for_other_files_verify_nothing(model: Path) -> None:
    (model / "SHA256SUMS").write_text(f"{'0' * 64}  README.md\n")
    assert check(model).verified == "headers"
