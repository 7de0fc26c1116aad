"""Hugging Face and its mirrors, through their own library.

The library answers which files there are and where; it does not fetch their content, for its own
download drops what has arrived when it is interrupted, and verifies no hash.
"""

from __future__ import annotations

import httpx2
from huggingface_hub import HfApi, close_session, get_session, hf_hub_url, set_client_factory
from huggingface_hub.errors import HfHubHTTPError

from qwen_contract.failure import FailureReason
from qwen_runtime.fetcher.client import build_client, explain_answer, explain_broken
from qwen_runtime.fetcher.failures import FetchFailed, Wanted
from qwen_runtime.fetcher.files import Listing, RemoteFile, is_commit
from qwen_runtime.fetcher.hub import Download


class HuggingFace:
    """One endpoint, asked with one token or none."""

    def __init__(self, endpoint: str, token: str | None) -> None:
        set_client_factory(build_client)
        self._endpoint = endpoint
        self._token = token or False
        self._api = HfApi(endpoint=endpoint, token=self._token)

    @property
    def client(self) -> httpx2.Client:
        """The one that the library uses."""
        return get_session()

    def close(self) -> None:
        """See `Hub`."""
        close_session()

    def list_files(self, wanted: Wanted, revision: str) -> Listing:
        """See `Hub`."""
        try:
            model = self._api.model_info(wanted.repository, revision=revision, files_metadata=True)
        except HfHubHTTPError as error:
            raise explain_answer(wanted, error.response) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise explain_broken(wanted, error) from None
        except (ValueError, TypeError, KeyError) as error:
            raise _not_a_hub(wanted, str(error)) from None
        if model.sha is None or not is_commit(model.sha):
            raise _not_a_hub(wanted, "its answer names no commit")
        return Listing(
            commit=model.sha,
            files=tuple(
                RemoteFile(
                    path=file.rfilename,
                    bytes=file.size or 0,
                    sha256=file.lfs.sha256 if file.lfs is not None else None,
                    git_sha1=file.blob_id,
                )
                for file in model.siblings or ()
            ),
        )

    def locate(self, wanted: Wanted, commit: str, path: str) -> Download:
        """See `Hub`."""
        return Download(
            url=hf_hub_url(wanted.repository, path, revision=commit, endpoint=self._endpoint),
            headers={"Authorization": f"Bearer {self._token}"} if self._token else {},
        )


def _not_a_hub(wanted: Wanted, why: str) -> FetchFailed:
    return FetchFailed(
        FailureReason.DOWNLOAD_FAILED,
        f"{wanted.endpoint} does not answer as a Hugging Face hub does: {why}; "
        f"check {wanted.field}.endpoint and proxies on the way",
    )
