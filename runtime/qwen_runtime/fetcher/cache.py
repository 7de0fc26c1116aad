"""The cache on disk, in Hugging Face's own layout.

::

    models--ORG--NAME/blobs/HASH               content, named by its hash
    models--ORG--NAME/blobs/HASH.incomplete    what has arrived of it
    models--ORG--NAME/snapshots/COMMIT/FILE    link to a blob
    models--ORG--NAME/refs/REVISION            the commit that a branch or tag meant
    models--ORG--NAME/verified/COMMIT.json     our manifest; its time is the last use,
                                               locked while weights are loaded
    .locks/models--ORG--NAME/COMMIT.lock       held by the one who fetches that commit
    .locks/models--ORG--NAME/HASH.lock         held by the one who fetches that blob
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qwen_runtime.fetcher.eviction import Snapshot
from qwen_runtime.fetcher.files import is_commit
from qwen_runtime.fetcher.locks import try_lock
from qwen_runtime.fetcher.manifest import Manifest, read_manifest, write_manifest
from qwen_runtime.fetcher.storage import read_text, write_whole

_PREFIX: Final = "models--"
_INCOMPLETE: Final = ".incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One model of the cache."""

    root: Path
    """Of the cache."""
    name: str
    """For example Qwen/Qwen3-4B."""

    @property
    def folder(self) -> Path:
        """Where all of it lies but the locks."""
        return self.root / _folder_name(self.name)

    def blob(self, content_hash: str) -> Path:
        """The content of that hash."""
        return self.folder / "blobs" / content_hash

    def partial(self, content_hash: str) -> Path:
        """What has arrived of it."""
        return self.folder / "blobs" / f"{content_hash}{_INCOMPLETE}"

    def snapshot(self, commit: str) -> Path:
        """The folder that vLLM is given."""
        return self.folder / "snapshots" / commit

    def lock(self, name: str) -> Path:
        """Of a commit or a blob, where Hugging Face's library has its own."""
        return self.root / ".locks" / _folder_name(self.name) / f"{name}.lock"

    def read_ref(self, revision: str) -> str | None:
        """The commit that a branch or tag meant when it was first fetched."""
        commit = read_text(self._ref(revision)).strip()
        return commit if is_commit(commit) else None

    def write_ref(self, revision: str, commit: str) -> None:
        """Keep what the revision means; a commit means itself."""
        if revision != commit:
            write_whole(self._ref(revision), commit)

    def read_manifest(self, commit: str) -> Manifest:
        """Empty where there is none."""
        return read_manifest(read_text(self._manifest(commit)))

    def write_manifest(self, commit: str, manifest: Manifest) -> None:
        """Whole or not at all."""
        write_whole(self._manifest(commit), write_manifest(manifest))

    def touch(self, commit: str) -> None:
        """The commit is in use now."""
        os.utime(self._manifest(commit))

    def link(self, commit: str, path: str, content_hash: str) -> None:
        """Make the file of the snapshot a link to its blob, whatever was there."""
        link = self.snapshot(commit) / path
        target = os.path.relpath(self.blob(content_hash), link.parent)
        if link.is_symlink() and str(link.readlink()) == target:
            return
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)

    def remove(self, snapshot: Snapshot, kept: frozenset[str]) -> None:
        """Remove a snapshot and its blobs but the kept ones; its manifest goes first."""
        if snapshot.commit:
            self._manifest(snapshot.commit).unlink(missing_ok=True)
            for ref in _files(self.folder / "refs"):
                if read_text(ref).strip() == snapshot.commit:
                    ref.unlink()
            shutil.rmtree(self.snapshot(snapshot.commit), ignore_errors=True)
        for blob in snapshot.blobs - kept:
            Path(blob).unlink(missing_ok=True)

    @contextmanager
    def locked_if_idle(self, own_commit: str) -> Iterator[bool]:
        """Hold every lock of the repository but our own, or say that somebody works on it."""
        with ExitStack() as stack:
            yield all(
                stack.enter_context(try_lock(file))
                for file in _files(self.lock(own_commit).parent)
                if file.suffix == ".lock" and file != self.lock(own_commit)
            )

    def snapshots(self, *, busy: bool) -> list[Snapshot]:
        """Its commits, and what no commit names."""
        found = []
        left = {str(file) for file in _files(self.folder / "blobs")}
        for folder in _folders(self.folder / "snapshots"):
            blobs = frozenset(
                str(self.blob(link.readlink().name)) for link in _links(folder)
            ) & frozenset(str(file) for file in _files(self.folder / "blobs"))
            left -= blobs
            in_use = busy or self._is_in_use(folder.name)
            found.append(self._snapshot(folder.name, blobs, self._used(folder), busy=in_use))
        if left:
            newest = max(Path(file).stat().st_mtime for file in left)
            found.append(self._snapshot("", frozenset(left), newest, busy=busy))
        return found

    def _snapshot(
        self, commit: str, blobs: frozenset[str], used_seconds: float, *, busy: bool
    ) -> Snapshot:
        return Snapshot(
            repository=self.name,
            commit=commit,
            used_seconds=used_seconds,
            busy=busy,
            blobs=blobs,
        )

    def _is_in_use(self, commit: str) -> bool:
        """Whether a launcher loads it just now: see `qwen_contract.fetched.in_use_file`."""
        manifest = self._manifest(commit)
        if not manifest.exists():
            return False
        with try_lock(manifest) as free:
            return not free

    def _used(self, snapshot: Path) -> float:
        manifest = self._manifest(snapshot.name)
        return (manifest if manifest.exists() else snapshot).stat().st_mtime

    def _manifest(self, commit: str) -> Path:
        return self.folder / "verified" / f"{commit}.json"

    def _ref(self, revision: str) -> Path:
        return self.folder / "refs" / revision


def list_repositories(root: Path) -> list[Repository]:
    """Every model of the cache, ours or not."""
    return [
        Repository(root=root, name=folder.name.removeprefix(_PREFIX).replace("--", "/"))
        for folder in _folders(root)
        if folder.name.startswith(_PREFIX)
    ]


def measure_blobs(root: Path) -> dict[str, int]:
    """Bytes of every blob of the cache by path, unfinished ones included."""
    return {
        str(file): file.stat().st_size
        for repository in list_repositories(root)
        for file in _files(repository.folder / "blobs")
    }


def _folder_name(repository: str) -> str:
    return _PREFIX + repository.replace("/", "--")


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def _folders(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []


def _links(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_symlink()]
