"""A folder as a repository of the hub: files with their hashes, and one commit."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

BRANCH: Final = "main"
_LFS_SUFFIXES: Final = (".safetensors", ".bin", ".gguf", ".pt")
_POINTER_BYTES: Final = 135
_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """One file of a commit."""

    path: str
    source: Path
    size: int
    git_sha1: str
    """Of the blob; for a file in LFS the hub has the one of its pointer, which nobody checks."""
    sha256: str | None
    """None for a file outside LFS."""

    @property
    def etag(self) -> str:
        """What the hub calls the content."""
        return self.sha256 or self.git_sha1

    def as_tree_entry(self) -> dict[str, Any]:
        """Entry of /api/models/…/tree and /paths-info."""
        entry: dict[str, Any] = {
            "type": "file",
            "oid": self.git_sha1,
            "size": self.size,
            "path": self.path,
        }
        if self.sha256 is not None:
            entry["lfs"] = {"oid": self.sha256, "size": self.size, "pointerSize": _POINTER_BYTES}
        return entry

    def as_sibling(self, *, with_hashes: bool) -> dict[str, Any]:
        """Entry of /api/models/…/revision; ``?blobs=true`` asks for hashes and sizes."""
        entry: dict[str, Any] = {"rfilename": self.path}
        if with_hashes:
            entry |= {"size": self.size, "blobId": self.git_sha1}
            if self.sha256 is not None:
                entry["lfs"] = {
                    "sha256": self.sha256,
                    "size": self.size,
                    "pointerSize": _POINTER_BYTES,
                }
        return entry


@dataclass(frozen=True, kw_only=True)
class Commit:
    """What a repository holds now."""

    sha: str
    files: dict[str, HubFile]


class Repositories:
    """Every ``<folder>/<organisation>/<name>``; read anew at each request, hashed when changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._hashed: dict[tuple[Path, int, int], HubFile] = {}

    def commit(self, repository: str) -> Commit | None:
        """The only commit of a repository, named by its content; None where there is none."""
        root = self._folder / repository
        if repository.count("/") != 1 or ".." in repository or not root.is_dir():
            return None
        files = {}
        for source in sorted(root.rglob("*")):
            if source.is_file():
                path = source.relative_to(root).as_posix()
                files[path] = self._hash(path, source)
        content = "".join(f"{path} {file.etag}\n" for path, file in files.items())
        return Commit(sha=_sha1(content.encode()), files=files)

    def _hash(self, path: str, source: Path) -> HubFile:
        status = source.stat()
        key = (source, status.st_size, status.st_mtime_ns)
        if key not in self._hashed:
            in_lfs = source.suffix in _LFS_SUFFIXES
            sha256 = hashlib.sha256()
            sha1 = hashlib.sha1(f"blob {status.st_size}\0".encode(), usedforsecurity=False)
            with source.open("rb") as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    sha256.update(chunk)
                    sha1.update(chunk)
            self._hashed[key] = HubFile(
                path=path,
                source=source,
                size=status.st_size,
                git_sha1=sha1.hexdigest(),
                sha256=sha256.hexdigest() if in_lfs else None,
            )
        return self._hashed[key]


def _sha1(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
