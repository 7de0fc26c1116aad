"""What a hub must answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import httpx2

from qwen_runtime.fetcher.failures import Wanted
from qwen_runtime.fetcher.files import Listing


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """Where the content of a file is asked for."""

    url: str
    headers: Mapping[str, str]


class Hub(Protocol):
    """Hugging Face, a mirror of it, or ModelScope."""

    def list_files(self, wanted: Wanted, revision: str) -> Listing:
        """One question: what the revision means and which files it has.

        Raises `FetchFailed` and `Transient`.
        """

    def locate(self, wanted: Wanted, commit: str, path: str) -> Download:
        """Where a file of a listed commit is."""

    @property
    def client(self) -> httpx2.Client:
        """The client that `Download` is for."""

    def close(self) -> None:
        """Close its connections."""
