"""``check``: weights that lie there already, on a claim or on the node."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path
from typing import Final

from qwen_contract.failure import FailureReason
from qwen_contract.fetched import Fetched
from qwen_runtime.fetcher.download import hash_file
from qwen_runtime.fetcher.failures import FetchFailed
from qwen_runtime.fetcher.manifest import (
    Manifest,
    is_unchanged,
    observe_verified,
    read_manifest,
    write_manifest,
)
from qwen_runtime.fetcher.progress import say
from qwen_runtime.fetcher.storage import read_text, write_whole
from qwen_runtime.fetcher.sums import SUMS_FILE, read_sums
from qwen_runtime.fetcher.units import GIB, format_bytes
from qwen_runtime.fetcher.weights import check_complete, check_headers

VERIFIED_FILE: Final = ".qwen-verified.json"
_ALWAYS_HASHED_BYTES: Final = 4 * GIB
"""In a folder that cannot be written to, up to here at each start: some ten seconds from a disk
that vLLM would read them from a moment later anyway. What is larger is judged by its headers."""


def check(folder: Path) -> Fetched:
    """Names, headers and, where SHA256SUMS lies beside the weights, hashes.

    Hashes are computed once and noted in the folder when it can be written to. Raises `FetchFailed`
    and OSError.
    """
    started = time.monotonic()
    if not folder.is_dir():
        raise FetchFailed(
            FailureReason.WEIGHTS_MISSING,
            f"there is no folder {folder}; name one that is on the volume in "
            "spec.source.persistentVolumeClaim.path or spec.source.hostPath.path",
        )
    if (folder / "snapshots").is_dir():
        raise FetchFailed(
            FailureReason.WEIGHTS_MISSING,
            f"{folder} is a repository of a Hugging Face cache; name its folder "
            "snapshots/<commit>, which holds config.json",
        )
    files = check_complete(folder, str(folder))
    check_headers(files, str(folder))
    total_bytes = sum(file.stat().st_size for file in files)
    verified = _verify_sums(folder, files, total_bytes)
    seconds = time.monotonic() - started
    say(f"{folder}: {len(files)} files, {format_bytes(total_bytes)}, checked in {seconds:.1f} s")
    return Fetched(
        folder=str(folder),
        repository=None,
        commit=None,
        bytes=total_bytes,
        downloaded_bytes=0,
        seconds=round(seconds, 3),
        verified=verified,
    )


def _verify_sums(folder: Path, files: tuple[Path, ...], total_bytes: int) -> str:
    """How the files were verified: sha256, manifest, or headers."""
    try:
        sums = read_sums(read_text(folder / SUMS_FILE))
    except ValueError as error:
        raise FetchFailed(
            FailureReason.WEIGHTS_CORRUPT,
            f"{folder / SUMS_FILE} is damaged: {error}; write it with sha256sum, or remove it",
        ) from None
    listed = {file.name: sums[file.name] for file in files if file.name in sums}
    if not listed:
        return "headers"
    known = read_manifest(read_text(folder / VERIFIED_FILE)).files
    if all(
        is_unchanged(folder / name, entry := known.get(name))
        and entry is not None
        and entry.hash == expected
        for name, expected in listed.items()
    ):
        return "manifest"
    writable = os.access(folder, os.W_OK)
    if not writable and total_bytes > _ALWAYS_HASHED_BYTES:
        say(
            f"{SUMS_FILE} is not verified: the volume is read-only, so {format_bytes(total_bytes)} "
            "would be read at each start"
        )
        return "headers"
    for name, expected in listed.items():
        found = hash_file(folder / name, hashlib.sha256(), threading.Event())
        if found != expected:
            raise FetchFailed(
                FailureReason.WEIGHTS_CORRUPT,
                f"{name} in {folder} is damaged: {SUMS_FILE} expects {expected}, found {found}; "
                "copy it again",
            )
    if writable:
        entries = {
            name: observe_verified(folder / name, expected) for name, expected in listed.items()
        }
        write_whole(folder / VERIFIED_FILE, write_manifest(Manifest(files=entries, complete=True)))
    return "sha256"
