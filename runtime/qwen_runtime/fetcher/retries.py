"""How often and after which pause something is tried again."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

_SPENT_WINDOW: Final = re.compile(r";\s*r=0\s*;\s*t=(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Pauses double from ``first_wait_seconds``; attempts count since the last byte that came."""

    attempts: int = 7
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 30.0
    longest_asked_seconds: float = 600.0
    """A hub that asks for more is given up, and the next start of the pod tries again."""


def decide_wait_seconds(
    policy: RetryPolicy, *, failed_attempts: int, retry_after_seconds: float | None
) -> float | None:
    """The pause before the next attempt, or None for no more attempts."""
    if failed_attempts >= policy.attempts:
        return None
    if retry_after_seconds is None:
        doubled = policy.first_wait_seconds * 2.0 ** (failed_attempts - 1)
        return min(policy.longest_wait_seconds, doubled)
    if retry_after_seconds > policy.longest_asked_seconds:
        return None
    return retry_after_seconds


def read_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that the answer asks for, or None.

    Retry-After has a number or a date after ``now``; Hugging Face says when its window ends in
    RateLimit alone: ``"api";r=0;t=55``.
    """
    value = headers.get("retry-after", "").strip()
    if not value and (spent := _SPENT_WINDOW.search(headers.get("ratelimit", ""))):
        return float(spent[1])
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(value) - now).total_seconds())
    except (TypeError, ValueError):
        return None
