"""What was verified, so that it is done once: sizes and times of files that had the right hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A file as it was when its hash was right."""

    bytes: int
    modified_nanoseconds: int
    hash: str
    """SHA-256, or for a file outside LFS the SHA-1 of Git's blob."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Files of one snapshot by path."""

    files: Mapping[str, Verified]
    complete: bool
    """Whether that is all of them, shards and index checked against each other."""


def write_manifest(manifest: Manifest) -> str:
    """JSON text."""
    return json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1) + "\n"


def read_manifest(text: str) -> Manifest:
    """What `write_manifest` wrote; an empty one for anything else, which costs a verification."""
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise ValueError("another format")
        return Manifest(
            files={str(path): Verified(**entry) for path, entry in document["files"].items()},
            complete=bool(document["complete"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return Manifest(files={}, complete=False)


def is_unchanged(file: Path, verified: Verified | None) -> bool:
    """Whether the file is still the one that was verified."""
    if verified is None:
        return False
    try:
        status = file.stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (verified.bytes, verified.modified_nanoseconds)


def observe_verified(file: Path, file_hash: str) -> Verified:
    """The entry of a file whose hash has just been found right."""
    status = file.stat()
    return Verified(bytes=status.st_size, modified_nanoseconds=status.st_mtime_ns, hash=file_hash)
