"""ModelScope, by the two addresses of its HTTP API that a download needs."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx2

from qwen_contract.failure import FailureReason
from qwen_runtime.fetcher.client import build_client, explain_answer, explain_broken
from qwen_runtime.fetcher.failures import FetchFailed, Wanted
from qwen_runtime.fetcher.files import Listing, RemoteFile
from qwen_runtime.fetcher.hub import Download


class ModelScope:
    """One endpoint, asked with one token or none.

    Its API names no commit, so the list of hashes stands for it, and files are asked for by the
    revision: one that moves in between is found by its hash.
    """

    def __init__(self, endpoint: str, token: str | None, revision: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._models = f"{endpoint}/api/v1/models"
        self._revision = revision
        self._client = build_client()

    @property
    def client(self) -> httpx2.Client:
        """See `Hub`."""
        return self._client

    def close(self) -> None:
        """See `Hub`."""
        self._client.close()

    def list_files(self, wanted: Wanted, revision: str) -> Listing:
        """See `Hub`; the revision is always the one of the constructor."""
        try:
            response = self._client.get(
                f"{self._models}/{wanted.repository}/repo/files",
                params={"Revision": self._revision, "Recursive": "true"},
                headers=self._headers,
            )
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise explain_broken(wanted, error) from None
        if response.is_error:
            raise explain_answer(wanted, response)
        try:
            files = tuple(_read_files(response.json()))
        except (KeyError, TypeError, ValueError) as error:
            raise FetchFailed(
                FailureReason.DOWNLOAD_FAILED,
                f"{wanted.endpoint} does not answer as ModelScope does: {error}; "
                f"check {wanted.field}.endpoint and proxies on the way",
            ) from None
        content = "".join(f"{file.path} {file.sha256}\n" for file in files)
        commit = hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
        return Listing(commit=commit, files=files)

    def locate(self, wanted: Wanted, commit: str, path: str) -> Download:
        """See `Hub`."""
        query = httpx2.QueryParams({"Revision": self._revision, "FilePath": path})
        return Download(
            url=f"{self._models}/{wanted.repository}/repo?{query}", headers=self._headers
        )


def _read_files(answer: Any) -> list[RemoteFile]:
    return sorted(
        (
            RemoteFile(
                path=str(file["Path"]),
                bytes=int(file["Size"]),
                sha256=str(file["Sha256"]),
                git_sha1=None,
            )
            for file in answer["Data"]["Files"]
            if file["Type"] != "tree"
        ),
        key=lambda file: file.path,
    )
