from datetime import UTC, datetime

import pytest

from qwen_runtime.fetcher.retries import RetryPolicy, decide_wait_seconds, read_retry_after

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def waits(policy: RetryPolicy, retry_after_seconds: float | None = None) -> list[float | None]:
    return [
        decide_wait_seconds(policy, failed_attempts=failed, retry_after_seconds=retry_after_seconds)
        for failed in range(1, policy.attempts + 1)
    ]


def test_pauses_double_up_to_the_longest_and_end() -> None:
    assert waits(RetryPolicy()) == [1, 2, 4, 8, 16, 30, None]


def test_the_hub_is_given_the_time_that_it_asks_for() -> None:
    assert waits(RetryPolicy(attempts=3), 55.0) == [55, 55, None]


def test_a_hub_that_asks_for_too_much_is_given_up() -> None:
    assert waits(RetryPolicy(attempts=3), 3600.0) == [None, None, None]


@pytest.mark.parametrize(
    ("value", "seconds"), [('"api";r=0;t=55', 55), ('"api";r=7;t=55', None), ("", None)]
)
def test_the_end_of_a_spent_window_is_read_from_ratelimit(
    value: str, seconds: float | None
) -> None:
    assert read_retry_after({"ratelimit": value}, NOW) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str, seconds: float | None) -> None:
    assert read_retry_after({"retry-after": value}, NOW) == seconds
