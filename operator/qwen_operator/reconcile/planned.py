"""From a spec to the rows of its plan, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from qwen_operator.api.conditions import ConditionReason
from qwen_operator.api.parse import parse_qwen_deployment
from qwen_operator.api.v1alpha1 import QwenDeployment
from qwen_operator.catalog.models import find_model
from qwen_operator.errors import InvalidInput
from qwen_operator.planning.from_spec import cards_of, request_of, version_for
from qwen_operator.planning.plan import plan
from qwen_operator.planning.result import CardPlan, CardResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The plan of a QwenDeployment, or one reason and sentence instead."""

    deployment: QwenDeployment | None
    results: tuple[CardResult, ...] = ()
    reason: ConditionReason
    message: str

    @property
    def rows(self) -> tuple[CardPlan, ...]:
        """The cards that fit."""
        return tuple(row for row in self.results if isinstance(row, CardPlan) and row.fits)


def plan_owner(document: Mapping[str, Any]) -> Planned:
    """Plan a QwenDeployment as the API server holds it; total."""
    deployment = None
    reason = ConditionReason.INVALID_SPEC
    try:
        deployment = parse_qwen_deployment(document)
        reason = ConditionReason.UNKNOWN_MODEL
        model = find_model(deployment.spec.model)
        reason = ConditionReason.UNKNOWN_ACCELERATOR
        cards = cards_of(deployment.spec)
    except InvalidInput as error:
        return Planned(deployment=deployment, reason=reason, message=str(error))
    request = request_of(deployment.spec, model)
    results = tuple(
        result
        for card in cards
        for result in plan(replace(request, vllm_version=version_for(card)), (card,))
    )
    reason, message = _judge(results)
    return Planned(deployment=deployment, results=results, reason=reason, message=message)


def _judge(results: tuple[CardResult, ...]) -> tuple[ConditionReason, str]:
    fitting = [row for row in results if isinstance(row, CardPlan) and row.fits]
    left_out = [row for row in results if row not in fitting]
    if not fitting:
        return ConditionReason.PLAN_DOES_NOT_FIT, _sentences(left_out)
    told = "; ".join(f"{row.card.name}: {row.reason}" for row in fitting)
    if left_out:
        return ConditionReason.PLAN_FITS_SOME_CARDS, f"{told}. Left out: {_sentences(left_out)}"
    return ConditionReason.PLAN_FITS, told


def _sentences(results: list[CardResult]) -> str:
    """Why cards cannot serve, and the nearest request that fits the first of them."""
    said = []
    for result in results:
        reason = result.reason if isinstance(result, CardPlan) else result.refusal.sentence
        said.append(f"{result.card.name}: {reason}")
    nearest = [
        alternative.sentence
        for result in results[:1]
        if isinstance(result, CardPlan)
        for alternative in result.alternatives[:2]
    ]
    hint = f". Nearest that fit {results[0].card.name}: {'; '.join(nearest)}" if nearest else ""
    return "; ".join(said) + hint
