"""The content of one file: appended to what is there, hashed on its way, kept only when right."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final, Protocol, TypeVar

import httpx2

from qwen_runtime.fetcher.client import explain_answer, explain_broken
from qwen_runtime.fetcher.failures import Transient, Wanted, explain_exhausted
from qwen_runtime.fetcher.files import RemoteFile
from qwen_runtime.fetcher.hub import Download
from qwen_runtime.fetcher.progress import Progress, say
from qwen_runtime.fetcher.retries import RetryPolicy, decide_wait_seconds

_CHUNK_BYTES: Final = 1 << 20
_Result = TypeVar("_Result")


class Stopped(Exception):
    """Another file has failed, so this one is given up."""


class HashDiffers(Exception):
    """The content is not what the hub promises; the text is the hash found."""


class Digest(Protocol):
    """One of hashlib's."""

    def update(self, data: bytes, /) -> None:
        """Take more of the content."""

    def hexdigest(self) -> str:
        """The hash of all so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the downloads of one run share."""

    wanted: Wanted
    client: Callable[[], httpx2.Client]
    policy: RetryPolicy
    progress: Progress
    stop: threading.Event

    def retry(
        self, attempt: Callable[[], _Result], progressed: Callable[[], int] = lambda: 0
    ) -> _Result:
        """Repeat what fails for a while; attempts start anew when ``progressed`` has grown."""
        failed_attempts, reached = 0, progressed()
        while True:
            try:
                return attempt()
            except Transient as transient:
                if progressed() > reached:
                    failed_attempts, reached = 0, progressed()
                failed_attempts += 1
                pause = decide_wait_seconds(
                    self.policy,
                    failed_attempts=failed_attempts,
                    retry_after_seconds=transient.retry_after_seconds,
                )
                if pause is None:
                    raise explain_exhausted(self.wanted, transient) from None
                say(f"{transient}; trying again in {pause:g} s")
                self.progress.add(retries=1)
                if self.stop.wait(pause):
                    raise Stopped from None


def start_digest(file: RemoteFile) -> Digest:
    """The hash that the hub knows the file by: SHA-256, outside LFS the one of Git's blob."""
    if file.sha256 is not None:
        return hashlib.sha256()
    return hashlib.sha1(f"blob {file.bytes}\0".encode(), usedforsecurity=False)


def hash_file(path: Path, digest: Digest, stop: threading.Event) -> str:
    """Feed the file to the digest. Raises `Stopped`."""
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            if stop.is_set():
                raise Stopped
            digest.update(chunk)
    return digest.hexdigest()


def download(run: Run, file: RemoteFile, source: Download, partial: Path) -> int:
    """Complete ``partial``; returns the bytes that came over the network.

    Raises `HashDiffers`, when nothing of the file is left, `FetchFailed`, `Stopped` and OSError.
    """
    received_bytes = hashed_bytes = 0
    digest = start_digest(file)

    def attempt() -> str:
        nonlocal digest, hashed_bytes, received_bytes
        with partial.open("ab", buffering=0) as stream:
            have_bytes = stream.tell()
            if have_bytes > file.bytes:
                _drop(run, stream.fileno(), file.bytes)
                have_bytes = 0
            if have_bytes != hashed_bytes:  # of an earlier run
                digest = start_digest(file)
                hash_file(partial, digest, run.stop)
                hashed_bytes = have_bytes
            if have_bytes < file.bytes:
                for position, chunk in _receive(run, source, have_bytes):
                    if position != hashed_bytes:  # the server knows no ranges
                        _drop(run, stream.fileno(), hashed_bytes)
                        digest, hashed_bytes = start_digest(file), 0
                    _write_all(stream.fileno(), chunk)
                    digest.update(chunk)
                    hashed_bytes += len(chunk)
                    received_bytes += len(chunk)
                    run.progress.add(size=len(chunk))
            if hashed_bytes < file.bytes:
                raise Transient(f"the connection broke in the middle of {file.path}")
            os.fsync(stream.fileno())
            return digest.hexdigest()

    found = run.retry(attempt, lambda: received_bytes)
    if found != file.blob:
        run.progress.add(size=-partial.stat().st_size)
        partial.unlink()
        raise HashDiffers(found)
    return received_bytes


def _receive(run: Run, source: Download, have_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Chunks, each with its place in the file. Raises `Transient`, `FetchFailed`, `Stopped`."""
    headers = {**source.headers, "Accept-Encoding": "identity"}
    if have_bytes:
        headers["Range"] = f"bytes={have_bytes}-"
    try:
        with run.client().stream("GET", source.url, headers=headers) as response:
            if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise Transient(f"{run.wanted.endpoint} refuses to send the rest")
            if response.is_error:
                raise explain_answer(run.wanted, response)
            position = _first_byte(response)
            if position not in (0, have_bytes):
                raise Transient(f"{run.wanted.endpoint} sends another part than the one asked for")
            for chunk in response.iter_bytes():
                if run.stop.is_set():
                    raise Stopped
                yield position, chunk
                position += len(chunk)
    except httpx2.HTTPError as error:
        raise explain_broken(run.wanted, error) from None


def _first_byte(response: httpx2.Response) -> int:
    """Of a partial answer; any other begins at 0."""
    if response.status_code != HTTPStatus.PARTIAL_CONTENT:
        return 0
    kind, _, place = response.headers.get("Content-Range", "").partition(" ")
    first, _, _ = place.partition("-")
    if kind != "bytes" or not first.isdigit():
        raise Transient(f"a part that does not say its place: {kind} {place}")
    return int(first)


def _drop(run: Run, handle: int, size: int) -> None:
    os.ftruncate(handle, 0)
    run.progress.add(size=-size)


def _write_all(handle: int, chunk: bytes) -> None:
    """A disk that becomes full takes a part first and refuses the rest."""
    view = memoryview(chunk)
    while view:
        view = view[os.write(handle, view) :]
