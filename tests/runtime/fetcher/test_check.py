import hashlib
import json
import os
import struct
import subprocess
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
            for file in sorted(folder.glob("model-*.safetensors"))
        )
    )


@pytest.fixture
def read_only(model: Path) -> Iterator[Path]:
    """The folder, once sums lie in it, as a volume that cannot be written to."""
    write_sums(model)
    if os.geteuid() != 0:
        model.chmod(0o555)
        yield model
        model.chmod(0o755)
        return
    mounts = (("--bind", model, model), ("-o", "remount,bind,ro", model))
    for arguments in mounts:
        mounted = subprocess.run(["mount", *arguments], capture_output=True, check=False)  # noqa: S603, S607 all of it is written here
        if mounted.returncode:
            pytest.skip(f"no volume can be mounted here: {mounted.stderr.decode().strip()}")
    yield model
    subprocess.run(["umount", model], check=True)  # noqa: S603, S607 all of it is written here


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


def test_sums_on_a_volume_that_is_read_only_are_verified_at_each_start(read_only: Path) -> None:
    assert [check(read_only).verified for _ in range(2)] == ["sha256", "sha256"]


def write_sparse(file: Path, data_bytes: int) -> None:
    header = json.dumps(
        {"weight": {"dtype": "U8", "shape": [data_bytes], "data_offsets": [0, data_bytes]}}
    ).encode()
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(header)) + header)
        stream.truncate(stream.tell() + data_bytes)


@pytest.fixture
def large(model: Path) -> Path:
    write_sparse(model / "large.safetensors", 4 << 30)
    return model


def test_large_weights_on_a_volume_that_is_read_only_are_judged_by_their_headers(
    large: Path, read_only: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert large == read_only
    assert check(read_only).verified == "headers"
    assert "SHA256SUMS is not verified" in capsys.readouterr().out


def test_sums_for_other_files_verify_nothing(model: Path) -> None:
    (model / "SHA256SUMS").write_text(f"{'0' * 64}  README.md\n")
    assert check(model).verified == "headers"
