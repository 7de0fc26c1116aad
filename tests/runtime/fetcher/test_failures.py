import errno

import pytest

from qwen_contract.failure import FailureReason
from qwen_runtime.fetcher.failures import (
    FetchFailed,
    Transient,
    Wanted,
    explain_os_error,
    explain_status,
)


def wanted(*, has_token: bool = False) -> Wanted:
    return Wanted(
        repository="Qwen/Tiny",
        revision="main",
        endpoint="https://hub.example",
        has_token=has_token,
        field="spec.source.huggingFace",
    )


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (401, "", FailureReason.ACCESS_DENIED),
        (403, "GatedRepo", FailureReason.ACCESS_DENIED),
        (404, "RepoNotFound", FailureReason.MODEL_NOT_FOUND),
        (404, "RevisionNotFound", FailureReason.MODEL_NOT_FOUND),
        (404, "", FailureReason.MODEL_NOT_FOUND),
        (400, "", FailureReason.DOWNLOAD_FAILED),
        (451, "", FailureReason.DOWNLOAD_FAILED),
    ],
)
@pytest.mark.parametrize("has_token", [True, False])
def test_an_answer_that_stays_has_a_reason_and_a_way_out(
    status: int, code: str, reason: FailureReason, has_token: bool
) -> None:
    failed = explain_status(wanted(has_token=has_token), status=status, code=code)
    assert isinstance(failed, FetchFailed)
    assert failed.reason is reason
    assert "spec." in str(failed)
    assert "\n" not in str(failed)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520])
def test_an_answer_that_may_pass_is_tried_again(status: int) -> None:
    assert isinstance(explain_status(wanted(), status=status, code=""), Transient)


def test_a_link_to_content_that_expired_is_asked_for_again() -> None:
    refused = explain_status(wanted(), status=403, code="", of_content_server=True)
    assert isinstance(refused, Transient)


def test_who_has_no_token_is_told_where_to_put_one() -> None:
    assert "spec.source.huggingFace.tokenSecretRef" in str(
        explain_status(wanted(), status=401, code="")
    )


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, FailureReason.DISK_FULL),
        (errno.EDQUOT, FailureReason.DISK_FULL),
        (errno.EACCES, FailureReason.DOWNLOAD_FAILED),
        (errno.EROFS, FailureReason.DOWNLOAD_FAILED),
    ],
)
def test_a_disk_that_is_full_is_told_from_one_that_may_not_be_written(
    number: int, reason: FailureReason
) -> None:
    assert explain_os_error(OSError(number, "text"), "/cache").reason is reason
