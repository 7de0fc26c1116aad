"""Why a card cannot be planned for a request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """One sentence with field, value, limit and a way out."""

    sentence: str
