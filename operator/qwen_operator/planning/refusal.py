"""Why a card cannot serve a request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RefusalKind(StrEnum):
    """Whether the request itself is wrong or only too big."""

    INVALID = "Invalid"
    """No card of this kind can ever do it."""
    DOES_NOT_FIT = "DoesNotFit"
    """A larger card, or a smaller request, would do."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One sentence with field, value, limit and a way out."""

    kind: RefusalKind
    sentence: str


def invalid(sentence: str) -> Refusal:
    """A refusal of the request itself."""
    return Refusal(RefusalKind.INVALID, sentence)
