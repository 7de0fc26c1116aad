"""What goes wrong with weights, in words, and what an answer of the hub means."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from qwen_contract.failure import FailureReason

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_SERVER_ERRORS: Final = range(500, 600)


class FetchFailed(Exception):
    """The end of a run; the text is one sentence with a way out."""

    def __init__(self, reason: FailureReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Transient(Exception):
    """Something that may pass; the text is half a sentence."""

    def __init__(self, what: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(what)
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The model that a run is about, for its messages."""

    repository: str
    revision: str
    endpoint: str
    has_token: bool
    field: str
    """Field of the QwenDeployment that says where the weights come from."""


def explain_status(
    wanted: Wanted,
    *,
    status: int,
    code: str,
    of_content_server: bool = False,
    retry_after_seconds: float | None = None,
) -> FetchFailed | Transient:
    """What an answer of 400 and above means; ``code`` is the hub's own name of the error.

    A content server knows no users: what it refuses is a link that has expired.
    """
    if of_content_server or status in (408, 429) or status in _SERVER_ERRORS:
        return Transient(
            f"{wanted.endpoint} answers {_words(status)}", retry_after_seconds=retry_after_seconds
        )
    repository, endpoint = wanted.repository, wanted.endpoint
    token = f"{wanted.field}.tokenSecretRef"
    if code == "RevisionNotFound":
        return FetchFailed(
            FailureReason.MODEL_NOT_FOUND,
            f"{repository} at {endpoint} has no revision {wanted.revision}; "
            "name a branch, a tag or a commit that it has in spec.revision",
        )
    if code == "GatedRepo" or status in (401, 403):
        return FetchFailed(
            FailureReason.ACCESS_DENIED,
            f"{endpoint} refuses the given token for {repository} ({status}); accept the model's "
            f"licence there with the token's account, or put another token into {token}"
            if wanted.has_token
            else f"{endpoint} refuses {repository} without a token ({status}): it is private or "
            f"gated, or its name is misspelt; put a token into a Secret and name it in {token}",
        )
    if status == HTTPStatus.NOT_FOUND:
        return FetchFailed(
            FailureReason.MODEL_NOT_FOUND,
            f"{endpoint} has no {repository} at revision {wanted.revision} that this token may "
            "see; check the spelling of spec.model and spec.revision",
        )
    return FetchFailed(
        FailureReason.DOWNLOAD_FAILED,
        f"{endpoint} answers {_words(status)} for {repository}; check {wanted.field}.endpoint",
    )


def explain_exhausted(wanted: Wanted, last: Transient) -> FetchFailed:
    """Nothing has passed in all attempts."""
    return FetchFailed(
        FailureReason.DOWNLOAD_FAILED,
        f"{wanted.repository} could not be fetched: {last}; what has arrived is kept and the next "
        "start goes on from there; check the network, spec.source.proxy and the hub's status",
    )


def explain_untrusted(wanted: Wanted, why: str) -> FetchFailed:
    """The certificate of the hub, or of a proxy in between, is not trusted."""
    return FetchFailed(
        FailureReason.DOWNLOAD_FAILED,
        f"the certificate of {wanted.endpoint} is not trusted: {why}; "
        "name the authority that issued it in spec.source.caBundle",
    )


def explain_os_error(error: OSError, folder: str) -> FetchFailed:
    """The cache cannot be read or written."""
    if error.errno in _FULL:
        return FetchFailed(
            FailureReason.DISK_FULL,
            f"the disk of {folder} became full while writing; what has arrived is kept; "
            "enlarge spec.cache.size or remove what else lies there",
        )
    return FetchFailed(
        FailureReason.DOWNLOAD_FAILED,
        f"{error.filename or folder} cannot be used: {error.strerror or error}; "
        "the cache must be writable for user 2000 or group 0",
    )


def _words(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
