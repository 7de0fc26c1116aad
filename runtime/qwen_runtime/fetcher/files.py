"""Which files of a repository are needed to serve it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

CONFIG_FILE: Final = "config.json"
INDEX_FILE: Final = "model.safetensors.index.json"
SHARD_SUFFIX: Final = ".safetensors"

_SUFFIXES: Final = (".json", SHARD_SUFFIX, ".jinja", ".model", ".tiktoken")
_NAMES: Final = ("merges.txt", "vocab.txt")
_DUPLICATES: Final = re.compile(r"consolidated.*|.*\.(bin|h5|msgpack|onnx|pt)\.index\.json")
"""The weights once more in Mistral's layout, and indexes of formats that are not fetched."""
_HASH: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file of a commit, as the hub tells it."""

    path: str
    bytes: int
    sha256: str | None
    """Of the content; None for a file outside LFS, which has a Git hash alone."""
    git_sha1: str | None
    """Of Git's blob; of a file in LFS it is the one of its pointer."""

    @property
    def blob(self) -> str:
        """Its name among the blobs of the cache: the hash that its content must have."""
        return self.sha256 or self.git_sha1 or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a revision means."""

    commit: str
    files: tuple[RemoteFile, ...]


def select_files(files: Iterable[RemoteFile]) -> tuple[RemoteFile, ...]:
    """Config, tokenizer, templates and safetensors of the top folder.

    Folders below it hold the same weights in other formats (onnx, original, metal).
    """
    return tuple(file for file in files if is_needed(file.path) and _HASH.fullmatch(file.blob))


def is_needed(path: str) -> bool:
    """Whether vLLM reads a file of this path."""
    return (
        "/" not in path
        and not path.startswith(".")
        and (path.endswith(_SUFFIXES) or path in _NAMES)
        and not _DUPLICATES.fullmatch(path)
    )


def is_commit(revision: str) -> bool:
    """Whether the revision names a commit, which never means anything else."""
    return _COMMIT.fullmatch(revision) is not None


def is_repository(name: str) -> bool:
    """Whether it has the shape organisation/name."""
    return _REPOSITORY.fullmatch(name) is not None and ".." not in name


def is_revision(name: str) -> bool:
    """Whether it can be a branch or tag, and a file's name below refs/."""
    parts = name.split("/")
    return all(part not in ("", ".", "..") for part in parts) and name.isprintable()
