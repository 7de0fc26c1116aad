"""``fetch``: one revision of a repository, complete and verified, in the cache."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from qwen_contract.failure import FailureReason
from qwen_contract.fetched import Fetched
from qwen_runtime.fetcher import metrics
from qwen_runtime.fetcher.cache import Repository
from qwen_runtime.fetcher.download import (
    HashDiffers,
    Run,
    Stopped,
    download,
    hash_file,
    start_digest,
)
from qwen_runtime.fetcher.eviction import Snapshot
from qwen_runtime.fetcher.failures import FetchFailed, Wanted
from qwen_runtime.fetcher.files import Listing, RemoteFile, is_commit, select_files
from qwen_runtime.fetcher.hub import Hub
from qwen_runtime.fetcher.locks import hold_lock
from qwen_runtime.fetcher.manifest import Manifest, Verified, is_unchanged, observe_verified
from qwen_runtime.fetcher.progress import Progress, say
from qwen_runtime.fetcher.retries import RetryPolicy
from qwen_runtime.fetcher.room import make_room
from qwen_runtime.fetcher.units import format_bytes
from qwen_runtime.fetcher.weights import check_complete, check_headers, check_names

_AT_ONCE: Final = 4
"""Files at a time: enough to fill a line that one connection does not."""

HUB_FOLDER: Final = Path("huggingface") / "hub"
"""Of the cache; ``huggingface`` is HF_HOME of the model container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """What is fetched, and how it may be kept."""

    wanted: Wanted
    cache: Path
    quota_bytes: int | None
    metrics_port: int
    policy: RetryPolicy = field(default_factory=RetryPolicy)


def fetch(options: FetchOptions, connect: Callable[[], Hub]) -> Fetched:
    """Bring the weights into the cache, or find them there.

    What a branch or tag means is asked once: the cache keeps the commit, so that all replicas and
    all later starts serve the same one, with or without a network. ``connect`` is called when a
    hub is needed. Raises `FetchFailed` and OSError; what has arrived stays for the next start.
    """
    started = time.monotonic()
    wanted = options.wanted
    repository = Repository(root=options.cache / HUB_FOLDER, name=wanted.repository)
    listing = None
    commit = _known_commit(repository, wanted.revision)
    with ExitStack() as stack:
        session = stack.enter_context(closing(_Session(options, connect)))
        if commit is None:
            listing = session.list_files(wanted.revision)
            commit = listing.commit
        waiting = f"another process fetches {commit}; waiting for it"
        stack.enter_context(hold_lock(repository.lock(commit), lambda: say(waiting)))
        manifest = repository.read_manifest(commit)
        downloaded_bytes, verified = 0, "manifest"
        if not _is_whole(repository, commit, manifest):
            listing = listing or session.list_files(commit)
            downloaded_bytes = _Fetching(session, repository, listing).run()
            verified = "sha256"
            manifest = repository.read_manifest(commit)
        repository.write_ref(wanted.revision, commit)
        repository.touch(commit)
    total_bytes = sum(file.bytes for file in manifest.files.values())
    seconds = time.monotonic() - started
    say(
        f"{wanted.repository} at {commit}: {len(manifest.files)} files, "
        f"{format_bytes(total_bytes)}, {format_bytes(downloaded_bytes)} fetched in {seconds:.1f} s"
    )
    return Fetched(
        folder=str(repository.snapshot(commit)),
        repository=wanted.repository,
        commit=commit,
        bytes=total_bytes,
        downloaded_bytes=downloaded_bytes,
        seconds=round(seconds, 3),
        verified=verified,
    )


def _known_commit(repository: Repository, revision: str) -> str | None:
    """What the revision means without asking; of a fetch given up it may mean something new."""
    if is_commit(revision):
        return revision
    commit = repository.read_ref(revision)
    return commit if commit and repository.read_manifest(commit).complete else None


def _is_whole(repository: Repository, commit: str, manifest: Manifest) -> bool:
    """Whether everything is as it was when it was verified; opens nothing but the index."""
    folder = repository.snapshot(commit)
    if not manifest.complete or not all(
        is_unchanged(folder / path, verified) for path, verified in manifest.files.items()
    ):
        return False
    try:
        check_complete(folder, str(folder))
    except FetchFailed:
        return False
    return True


class _Session:
    """One run and its hub, which is called on first use."""

    def __init__(self, options: FetchOptions, connect: Callable[[], Hub]) -> None:
        self.options = options
        self._connect = connect
        self._hub: Hub | None = None
        self.run = Run(
            wanted=options.wanted,
            client=lambda: self.hub.client,
            policy=options.policy,
            progress=Progress(),
            stop=threading.Event(),
        )

    @property
    def hub(self) -> Hub:
        if self._hub is None:
            self._hub = self._connect()
        return self._hub

    def close(self) -> None:
        if self._hub is not None:
            self._hub.close()

    def list_files(self, revision: str) -> Listing:
        return self.run.retry(lambda: self.hub.list_files(self.options.wanted, revision))


class _Fetching:
    """The files of one commit, whose lock is held."""

    def __init__(self, session: _Session, repository: Repository, listing: Listing) -> None:
        self._session = session
        self._run = session.run
        self._repository = repository
        self._commit = listing.commit
        self._files = select_files(listing.files)
        self._place = f"{repository.name} at {listing.commit}"
        check_names({file.path for file in self._files}, self._place)
        self._verified = dict(repository.read_manifest(listing.commit).files)
        self._manifest_lock = threading.Lock()

    def run(self) -> int:
        """Fetch what is missing, verify all, and leave a complete manifest.

        Returns the bytes that came over the network.
        """
        have_bytes = {file.path: self._have_bytes(file) for file in self._files}
        total_bytes = sum(file.bytes for file in self._files)
        missing_bytes = total_bytes - sum(have_bytes.values())
        self._repository.snapshot(self._commit).mkdir(parents=True, exist_ok=True)
        make_room(
            self._repository.root,
            self._as_snapshot(),
            needed_bytes=missing_bytes,
            quota_bytes=self._session.options.quota_bytes,
        )
        say(
            f"{self._place}: {len(self._files)} files, {format_bytes(total_bytes)}, "
            f"{format_bytes(missing_bytes)} of them to fetch"
        )
        self._run.progress.start(total_bytes=total_bytes, total_files=len(self._files))
        self._run.progress.add(size=total_bytes - missing_bytes)
        with ExitStack() as stack:
            stack.enter_context(
                metrics.served(self._run.progress, self._session.options.metrics_port)
            )
            stack.enter_context(self._run.progress.told())
            downloaded_bytes = self._fetch_all()
        files = check_complete(self._repository.snapshot(self._commit), self._place)
        check_headers(files, self._place)
        self._write_manifest(complete=True)
        return downloaded_bytes

    def _have_bytes(self, file: RemoteFile) -> int:
        for path in (self._repository.blob(file.blob), self._repository.partial(file.blob)):
            if path.exists():
                # Longer than it may be: thrown away later.
                return min(path.stat().st_size, file.bytes)
        return 0

    def _fetch_all(self) -> int:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            # Large ones first: the last file to end is then a small one.
            futures = [
                pool.submit(self._fetch_one, file)
                for file in sorted(self._files, key=lambda file: -file.bytes)
            ]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                self._run.stop.set()
                pool.shutdown(cancel_futures=True)
        failures = [error for future in done if (error := future.exception()) is not None]
        for error in sorted(failures, key=lambda error: isinstance(error, Stopped)):
            raise error
        return sum(future.result() for future in done)

    def _fetch_one(self, file: RemoteFile) -> int:
        blob = self._repository.blob(file.blob)
        blob.parent.mkdir(parents=True, exist_ok=True)
        # Another commit of the repository may share the blob, and be fetched just now.
        with hold_lock(self._repository.lock(file.blob)):
            downloaded_bytes = self._complete(file, blob)
        self._repository.link(self._commit, file.path, file.blob)
        with self._manifest_lock:
            self._verified[file.path] = observe_verified(blob, file.blob)
            # Small files are hashed again faster than a manifest is brought to the disk.
            if file.sha256 is not None:
                self._write_manifest(complete=False)
        self._run.progress.add(files=1)
        return downloaded_bytes

    def _complete(self, file: RemoteFile, blob: Path) -> int:
        if blob.exists():
            known = self._verified.get(file.path)
            if known is not None and known.hash == file.blob and is_unchanged(blob, known):
                return 0
            if hash_file(blob, start_digest(file), self._run.stop) == file.blob:
                return 0
            say(f"{file.path} in the cache is damaged and is fetched again")
            self._run.progress.add(size=-min(blob.stat().st_size, file.bytes))
            blob.unlink()
        partial = self._repository.partial(file.blob)
        source = self._session.hub.locate(self._run.wanted, self._commit, file.path)
        for last in (False, True):
            try:
                downloaded_bytes = download(self._run, file, source, partial)
            except HashDiffers as found:
                if last:
                    raise FetchFailed(
                        FailureReason.WEIGHTS_CORRUPT,
                        f"{file.path} of {self._place} arrived damaged twice: expected "
                        f"{file.blob}, found {found}; a proxy or mirror on the way changes it",
                    ) from None
                say(f"{file.path} arrived damaged ({found}) and is fetched once more")
            else:
                partial.replace(blob)
                return downloaded_bytes
        raise AssertionError("the second attempt returns or raises")

    def _write_manifest(self, *, complete: bool) -> None:
        files: dict[str, Verified] = {
            file.path: self._verified[file.path]
            for file in self._files
            if file.path in self._verified
        }
        self._repository.write_manifest(self._commit, Manifest(files=files, complete=complete))

    def _as_snapshot(self) -> Snapshot:
        """What this run needs, there or not, parts of downloads included."""
        paths = (
            path
            for file in self._files
            for path in (self._repository.blob(file.blob), self._repository.partial(file.blob))
        )
        return Snapshot(
            repository=self._repository.name,
            commit=self._commit,
            used_seconds=time.time(),
            busy=True,
            blobs=frozenset(map(str, paths)),
        )
