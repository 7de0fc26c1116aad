"""The fetcher's record of the weights, which the launcher reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Final

from qwen_contract.errors import Unreadable

FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """Weights that are complete and checked."""

    folder: str
    """Holds config.json; what ``vllm serve`` is given."""
    repository: str | None
    """None for weights that lay there already."""
    commit: str | None
    """What the revision meant when it was fetched."""
    bytes: int
    """Of all files."""
    downloaded_bytes: int
    """In this run; 0 when the cache had everything."""
    seconds: float
    """Of this run, verification included."""
    verified: str
    """How: sha256, manifest, or headers."""


def in_use_file(fetched: Fetched) -> str | None:
    """Who holds a shared flock(2) on this file keeps the weights from being evicted.

    None for weights that are not in the cache, which nobody evicts.
    """
    if fetched.commit is None:
        return None
    repository = PurePosixPath(fetched.folder).parent.parent
    return str(repository / "verified" / f"{fetched.commit}.json")


def write_fetched(fetched: Fetched) -> str:
    """JSON text."""
    return json.dumps({"format": FORMAT, **asdict(fetched)}, indent=1) + "\n"


def read_fetched(text: str) -> Fetched:
    """What `write_fetched` wrote. Raises `Unreadable`."""
    try:
        document = json.loads(text)
        if document.pop("format") != FORMAT:
            raise Unreadable("the record of the weights is of another release")
        return Fetched(**document)
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"the record of the weights is damaged: {error}") from None
