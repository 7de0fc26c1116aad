"""The plan of one QwenDeployment, as the command prints it."""

from __future__ import annotations

from dataclasses import dataclass

from qwen_operator.planning.request import PlanRequest
from qwen_operator.planning.result import CardPlan, CardResult


@dataclass(frozen=True, slots=True)
class Planned:
    """A QwenDeployment's name, what was asked for, and one result a card."""

    name: str
    request: PlanRequest
    results: tuple[CardResult, ...]

    @property
    def rows(self) -> tuple[CardPlan, ...]:
        """The cards that could be budgeted, whether it fits them or not."""
        return tuple(result for result in self.results if isinstance(result, CardPlan))

    @property
    def fitting(self) -> tuple[CardPlan, ...]:
        """The cards that can serve it."""
        return tuple(row for row in self.rows if row.fits)
