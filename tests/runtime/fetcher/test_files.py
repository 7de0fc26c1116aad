import pytest

from qwen_runtime.fetcher.files import RemoteFile, is_repository, is_revision, select_files

SHA256 = "a" * 64


def remote(path: str) -> RemoteFile:
    return RemoteFile(path=path, bytes=1, sha256=SHA256, git_sha1=None)


@pytest.mark.parametrize(
    "path",
    [
        "config.json",
        "generation_config.json",
        "model-00001-of-00002.safetensors",
        "model.safetensors.index.json",
        "merges.txt",
        "vocab.json",
        "tokenizer.json",
        "tokenizer.model",
        "chat_template.jinja",
        "preprocessor_config.json",
        "qwen.tiktoken",
    ],
)
def test_what_vllm_reads_is_fetched(path: str) -> None:
    assert select_files([remote(path)])


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "pytorch_model-00001-of-00002.bin",
        "pytorch_model.bin.index.json",
        "model.gguf",
        "model.pt",
        "consolidated.safetensors",
        "consolidated.safetensors.index.json",
        "onnx/model.safetensors",
        "original/consolidated.00.pth",
        "../config.json",
        ".config.json",
        "modeling_qwen.py",
    ],
)
def test_other_formats_duplicates_and_code_are_left_out(path: str) -> None:
    assert not select_files([remote(path)])


def test_a_file_whose_hash_is_no_hash_is_left_out() -> None:
    assert not select_files(
        [RemoteFile(path="config.json", bytes=1, sha256="../../etc/passwd", git_sha1=None)]
    )


@pytest.mark.parametrize("name", ["Qwen/Qwen3-4B", "a/b_c.d"])
def test_a_repository_is_organisation_and_name(name: str) -> None:
    assert is_repository(name)


@pytest.mark.parametrize("name", ["Qwen3-4B", "a/b/c", "../b", "a/..", "a/b?x", "/a/b", "a/.b"])
def test_anything_else_is_no_repository(name: str) -> None:
    assert not is_repository(name)


@pytest.mark.parametrize(
    ("name", "fine"),
    [
        ("main", True),
        ("refs/pr/1", True),
        ("v1.0", True),
        ("../x", False),
        ("", False),
        ("/", False),
    ],
)
def test_a_revision_stays_below_its_folder(name: str, fine: bool) -> None:
    assert is_revision(name) == fine
