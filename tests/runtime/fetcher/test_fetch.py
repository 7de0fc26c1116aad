import json
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

from e2e.hub.faults import Fault
from e2e.hub.server import Hub
from e2e.models.tiny_qwen3 import write_tiny_qwen3
from qwen_contract.failure import FailureReason
from qwen_runtime.fetcher.failures import FetchFailed
from qwen_runtime.fetcher.hubs import MODEL_SCOPE
from tests.runtime.fetcher.running import (
    OTHER_SHARD,
    REPOSITORY,
    SHARD,
    repository_folder,
    run_fetch,
)

TOKEN = "hf_of_the_test"  # noqa: S105 it opens nothing


def failure_of(hub: Hub, cache: Path, **options: str) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        run_fetch(hub, cache, **options)  # type: ignore[arg-type]
    return caught.value


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def test_the_snapshot_holds_what_vllm_needs_and_the_record_names_it(
    hub: Hub, model: Path, cache: Path
) -> None:
    needed = contents(model)
    for name in ("README.md", "pytorch_model.bin", "model.gguf", "consolidated.safetensors"):
        (model / name).write_bytes(b"not needed")
    (model / "onnx").mkdir()
    (model / "onnx" / "model.safetensors").write_bytes(b"not needed")
    fetched = run_fetch(hub, cache)
    assert contents(Path(fetched.folder)) == needed
    assert fetched.commit == Path(fetched.folder).name
    assert fetched.bytes == fetched.downloaded_bytes == sum(map(len, needed.values()))
    assert fetched.verified == "sha256"
    assert (repository_folder(cache) / "refs/main").read_text() == fetched.commit


def test_hugging_faces_own_library_finds_the_snapshot(hub: Hub, cache: Path) -> None:
    fetched = run_fetch(hub, cache)
    found = snapshot_download(
        REPOSITORY, cache_dir=cache / "huggingface/hub", local_files_only=True
    )
    assert found == fetched.folder


def test_what_the_library_has_fetched_is_verified_and_not_fetched_again(
    hub: Hub, cache: Path
) -> None:
    snapshot_download(
        REPOSITORY, cache_dir=cache / "huggingface/hub", endpoint=hub.url, token=False
    )
    fetched = run_fetch(hub, cache)
    assert (fetched.downloaded_bytes, fetched.verified) == (0, "sha256")


def test_a_later_start_needs_no_network(hub: Hub, cache: Path) -> None:
    first = run_fetch(hub, cache)
    hub.close()
    again = run_fetch(hub, cache)
    assert (again.folder, again.bytes) == (first.folder, first.bytes)
    assert (again.downloaded_bytes, again.verified) == (0, "manifest")


def test_a_branch_that_moves_does_not_move_what_is_served(
    hub: Hub, model: Path, cache: Path
) -> None:
    first = run_fetch(hub, cache)
    write_tiny_qwen3(model, seed=1)
    assert run_fetch(hub, cache).commit == first.commit
    newer = hub.repositories.commit(REPOSITORY)
    assert newer is not None
    assert run_fetch(hub, cache, revision=newer.sha).commit == newer.sha != first.commit


def test_a_broken_connection_is_resumed_where_it_broke(hub: Hub, model: Path, cache: Path) -> None:
    hub.faults.add(Fault(path=f"/content/{REPOSITORY}/{SHARD}", break_after_bytes=70_000, times=3))
    fetched = run_fetch(hub, cache)
    starts = [each.first_byte for each in hub.downloads(f"/content/{REPOSITORY}/{SHARD}")]
    assert len(starts) == 4
    assert starts == sorted(set(starts))
    assert fetched.downloaded_bytes == size_of(model)
    assert contents(Path(fetched.folder)) == contents(model)


def test_a_hub_that_is_busy_is_asked_again(hub: Hub, cache: Path) -> None:
    listing = hub.faults.add(Fault(path="/api/", status=429, retry_after_seconds=0, times=2))
    content = hub.faults.add(Fault(path=SHARD, status=503, times=2))
    run_fetch(hub, cache)
    assert (listing.struck, content.struck) == (2, 2)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(path="/api/", status=429, retry_after_seconds=0, times=None),
        Fault(path="/api/", status=500, times=None),
        Fault(path=SHARD, status=503, times=None),
        Fault(path=SHARD, break_after_bytes=0, times=None),
        Fault(path="/api/", status=429, retry_after_seconds=86_400, times=None),
    ],
)
def test_what_never_passes_ends_as_download_failed(hub: Hub, cache: Path, fault: Fault) -> None:
    hub.faults.add(fault)
    failed = failure_of(hub, cache)
    assert failed.reason is FailureReason.DOWNLOAD_FAILED
    assert "the next start goes on" in str(failed)


def test_a_hub_that_does_not_answer_ends_as_download_failed(hub: Hub, cache: Path) -> None:
    hub.close()
    assert failure_of(hub, cache).reason is FailureReason.DOWNLOAD_FAILED


def test_a_shard_that_arrives_damaged_is_fetched_once_more(
    hub: Hub, model: Path, cache: Path
) -> None:
    hub.faults.add(Fault(path=f"/content/{REPOSITORY}/{SHARD}", corrupt=True))
    fetched = run_fetch(hub, cache)
    assert len(hub.downloads(f"/content/{REPOSITORY}/{SHARD}")) == 2
    assert contents(Path(fetched.folder)) == contents(model)


@pytest.mark.parametrize("name", [SHARD, "tokenizer.json"])
def test_a_file_that_arrives_damaged_twice_is_named_with_both_hashes(
    hub: Hub, cache: Path, name: str
) -> None:
    hub.faults.add(Fault(path=name, corrupt=True, times=None))
    failed = failure_of(hub, cache)
    commit = hub.repositories.commit(REPOSITORY)
    assert commit is not None
    assert failed.reason is FailureReason.WEIGHTS_CORRUPT
    assert name in str(failed)
    assert f"expected {commit.files[name].etag}, found " in str(failed)
    assert not list((repository_folder(cache) / "blobs").glob(f"{commit.files[name].etag}*"))


def test_a_file_that_changed_in_the_cache_is_fetched_again_and_no_other(
    hub: Hub, model: Path, cache: Path
) -> None:
    fetched = run_fetch(hub, cache)
    shard = (Path(fetched.folder) / SHARD).resolve()
    shard.write_bytes(shard.read_bytes()[:-1] + b"\xff")
    before = len(hub.downloads())
    again = run_fetch(hub, cache)
    assert again.downloaded_bytes == shard.stat().st_size
    assert {SHARD in each.path for each in hub.downloads()[before:]} == {True}
    assert contents(Path(again.folder)) == contents(model)


def test_a_file_that_is_gone_from_the_cache_is_fetched_again(hub: Hub, cache: Path) -> None:
    fetched = run_fetch(hub, cache)
    blob = (Path(fetched.folder) / SHARD).resolve()
    size_bytes = blob.stat().st_size
    blob.unlink()
    assert run_fetch(hub, cache).downloaded_bytes == size_bytes


@pytest.mark.parametrize("token", [None, "hf_wrong"])
def test_a_gated_model_is_denied_without_the_right_token(
    hub: Hub, cache: Path, token: str | None
) -> None:
    hub.gated[REPOSITORY] = TOKEN
    with pytest.raises(FetchFailed, match=r"spec\.source\.huggingFace\.tokenSecretRef") as caught:
        run_fetch(hub, cache, token=token)
    assert caught.value.reason is FailureReason.ACCESS_DENIED


def test_the_token_opens_a_gated_model_and_never_leaves_the_hub(hub: Hub, cache: Path) -> None:
    hub.gated[REPOSITORY] = TOKEN
    hub.content_host = "localhost"
    run_fetch(hub, cache, token=TOKEN)
    at_content = [each for each in hub.requests if each.host.startswith("localhost")]
    assert at_content
    assert not any(each.authorized for each in at_content)


@pytest.mark.parametrize(
    ("repository", "revision"), [("Qwen/None", "main"), (REPOSITORY, "v9"), (REPOSITORY, "0" * 40)]
)
def test_a_model_or_revision_that_is_not_there_is_named(
    hub: Hub, cache: Path, repository: str, revision: str
) -> None:
    failed = failure_of(hub, cache, repository=repository, revision=revision, token=TOKEN)
    assert failed.reason is FailureReason.MODEL_NOT_FOUND
    assert repository in str(failed)
    assert revision in str(failed)


def test_a_repository_of_another_format_is_refused_before_a_download(
    hub: Hub, model: Path, cache: Path
) -> None:
    for shard in model.glob("*.safetensors"):
        shard.rename(shard.with_suffix(".bin"))
    failed = failure_of(hub, cache)
    assert failed.reason is FailureReason.WEIGHTS_MISSING
    assert not hub.downloads()


def test_an_index_that_lists_more_than_there_is_is_refused(
    hub: Hub, model: Path, cache: Path
) -> None:
    (model / OTHER_SHARD).unlink()
    failed = failure_of(hub, cache)
    assert failed.reason is FailureReason.WEIGHTS_MISSING
    assert OTHER_SHARD in str(failed)


def test_a_shard_that_was_published_damaged_is_refused(hub: Hub, model: Path, cache: Path) -> None:
    shard = model / SHARD
    shard.write_bytes(shard.read_bytes()[:-100])
    failed = failure_of(hub, cache)
    assert failed.reason is FailureReason.WEIGHTS_CORRUPT
    assert SHARD in str(failed)


def test_a_page_of_a_proxy_is_not_taken_for_a_hub(hub: Hub, cache: Path) -> None:
    hub.faults.add(Fault(path="/api/", status=200, times=None))
    failed = failure_of(hub, cache)
    assert failed.reason is FailureReason.DOWNLOAD_FAILED
    assert "does not answer as a Hugging Face hub does" in str(failed)


def test_modelscope_serves_the_same_files(hub: Hub, model: Path, cache: Path) -> None:
    fetched = run_fetch(hub, cache, kind=MODEL_SCOPE)
    assert contents(Path(fetched.folder)) == contents(model)
    hub.close()
    assert run_fetch(hub, cache, kind=MODEL_SCOPE).downloaded_bytes == 0


def test_modelscope_that_refuses_is_explained_in_its_own_field(hub: Hub, cache: Path) -> None:
    hub.gated[REPOSITORY] = TOKEN
    failed = failure_of(hub, cache, kind=MODEL_SCOPE)
    assert failed.reason is FailureReason.ACCESS_DENIED
    assert "spec.source.modelScope.tokenSecretRef" in str(failed)


def test_a_manifest_that_is_damaged_costs_a_verification_and_no_download(
    hub: Hub, cache: Path
) -> None:
    fetched = run_fetch(hub, cache)
    [manifest] = (repository_folder(cache) / "verified").iterdir()
    manifest.write_text(json.dumps({"format": 99}))
    again = run_fetch(hub, cache, revision=str(fetched.commit))
    assert (again.downloaded_bytes, again.verified) == (0, "sha256")
