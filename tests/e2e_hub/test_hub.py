from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from e2e.hub.faults import Fault
from e2e.hub.server import Hub
from e2e.models.tiny_qwen3 import CONFIG, write_tiny_qwen3

REPOSITORY = "Qwen/Tiny"
TOKEN = "hf_of_the_test"  # noqa: S105 it opens nothing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny_qwen3(tmp_path / "hub" / REPOSITORY)
    return tmp_path / "hub"


@pytest.fixture
def hub(folder: Path) -> Iterator[Hub]:
    with Hub(folder) as hub:
        yield hub


def api(hub: Hub) -> HfApi:
    return HfApi(endpoint=hub.url, token=False)


def test_the_library_downloads_a_snapshot_from_it(hub: Hub, folder: Path, tmp_path: Path) -> None:
    snapshot = Path(
        snapshot_download(REPOSITORY, endpoint=hub.url, cache_dir=tmp_path / "cache", token=False)
    )
    sha = api(hub).model_info(REPOSITORY).sha
    assert snapshot.name == sha
    original = folder / REPOSITORY
    assert {file.name: file.read_bytes() for file in snapshot.iterdir()} == {
        file.name: file.read_bytes() for file in original.iterdir()
    }


def test_paths_info_tells_size_and_hash_of_a_file_in_lfs(hub: Hub, folder: Path) -> None:
    shard = "model-00001-of-00002.safetensors"
    [entry] = api(hub).get_paths_info(REPOSITORY, [shard])
    assert entry.path == shard
    assert entry.lfs is not None
    assert entry.lfs.size == (folder / REPOSITORY / shard).stat().st_size


def test_a_file_in_lfs_is_redirected_and_its_content_comes_in_ranges(
    hub: Hub, folder: Path
) -> None:
    shard = "model-00002-of-00002.safetensors"
    head = httpx2.head(f"{hub.url}/{REPOSITORY}/resolve/main/{shard}")
    content = (folder / REPOSITORY / shard).read_bytes()
    assert head.status_code == 302
    assert head.headers["X-Linked-Size"] == str(len(content))
    part = httpx2.get(head.headers["Location"], headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == content[100:200]
    beyond = httpx2.get(head.headers["Location"], headers={"Range": f"bytes={len(content)}-"})
    assert beyond.status_code == 416


def test_what_is_missing_or_closed_is_refused_as_the_hub_does(hub: Hub) -> None:
    hub.gated[REPOSITORY] = TOKEN
    with pytest.raises(GatedRepoError):
        api(hub).model_info(REPOSITORY)
    assert HfApi(endpoint=hub.url, token=TOKEN).model_info(REPOSITORY).sha
    with pytest.raises(RepositoryNotFoundError):
        HfApi(endpoint=hub.url, token=TOKEN).model_info("Qwen/None")
    with pytest.raises(RevisionNotFoundError):
        HfApi(endpoint=hub.url, token=TOKEN).model_info(REPOSITORY, revision="v9")


def test_a_fault_strikes_as_often_as_it_was_asked_to(hub: Hub) -> None:
    hub.faults.add(Fault(path="/resolve/", status=429, retry_after_seconds=7, times=2))
    url = f"{hub.url}/{REPOSITORY}/resolve/main/config.json"
    answers = [httpx2.get(url) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "7"


def test_a_broken_connection_leaves_a_part(hub: Hub) -> None:
    hub.faults.add(Fault(path="tokenizer.json", break_after_bytes=1000))
    url = f"{hub.url}/{REPOSITORY}/resolve/main/tokenizer.json"
    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.get(url)
    assert httpx2.get(url).status_code == 200


def test_the_model_is_the_same_for_the_same_seed_and_another_for_another(tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        write_tiny_qwen3(tmp_path / name, seed)
    shard = "model-00001-of-00002.safetensors"
    one, two, three = ((tmp_path / name / shard).read_bytes() for name in ("one", "two", "three"))
    assert one == two
    assert one != three
    assert (tmp_path / "one" / shard).stat().st_mode & 0o777 == 0o644
    assert CONFIG["vocab_size"] == 512
