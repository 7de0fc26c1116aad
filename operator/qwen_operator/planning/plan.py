"""The plan of a request: one row for each card that may serve it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from qwen_operator.catalog.cards import Card
from qwen_operator.planning.alternatives import nearest_alternatives
from qwen_operator.planning.request import PlanRequest
from qwen_operator.planning.result import CardPlan, CardResult
from qwen_operator.planning.row import plan_row


def plan(request: PlanRequest, cards: Iterable[Card]) -> tuple[CardResult, ...]:
    """One result a card, in the order of the cards; total for every valid request."""
    return tuple(_with_alternatives(plan_row(request, card)) for card in cards)


def _with_alternatives(row: CardResult) -> CardResult:
    if isinstance(row, CardPlan) and not row.fits:
        return replace(row, alternatives=nearest_alternatives(row))
    return row
