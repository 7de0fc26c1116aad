"""The status of a QwenDeployment, by the rules that kstatus, Helm, Flux and Argo CD read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from qwen_operator import naming
from qwen_operator.api.conditions import ConditionReason, ConditionStatus, ConditionType
from qwen_operator.planning.result import CardPlan, CardResult
from qwen_operator.reconcile.checks import (
    AVAILABLE,
    PLANNED,
    READY,
    SCHEDULED,
    Facts,
    Verdict,
    first_verdict,
)

_STALLED_REASONS = frozenset(
    {
        ConditionReason.INVALID_SPEC,
        ConditionReason.UNKNOWN_MODEL,
        ConditionReason.UNKNOWN_ACCELERATOR,
        ConditionReason.PLAN_DOES_NOT_FIT,
        ConditionReason.FOREIGN_CHILD,
    }
)
"""Reasons that only the user can mend: nothing will change by waiting."""
_LONGEST_MESSAGE = 1024
_LONGEST_REASON = 512

Status = dict[str, Any]


def build_status(
    facts: Facts, live_status: Mapping[str, Any], generation: int, now: datetime
) -> Status:
    """The whole status; a condition keeps its transition time while its status stays."""
    before = {each["type"]: each for each in live_status.get("conditions") or ()}
    conditions = [
        _condition(kind, verdict, before.get(kind), generation, now)
        for kind, verdict in _verdicts(facts)
    ]
    return {
        "observedGeneration": generation,
        "conditions": conditions,
        "replicas": facts.count("replicas"),
        "readyReplicas": facts.count("readyReplicas"),
        "selector": f"{naming.INSTANCE_LABEL}={_name(facts)}",
        "plan": [_plan_row(result) for result in facts.planned.results],
    }


def _name(facts: Facts) -> str:
    deployment = facts.planned.deployment
    return deployment.metadata.name if deployment else ""


def _verdicts(facts: Facts) -> Iterator[tuple[ConditionType, Verdict]]:
    """Conditions in the order a reader asks; Reconciling and Stalled only while they are True."""
    ready = first_verdict(READY, facts)
    yield ConditionType.READY, ready
    if ready.status is not ConditionStatus.TRUE:
        stalled = ready.reason in _STALLED_REASONS
        kind = ConditionType.STALLED if stalled else ConditionType.RECONCILING
        yield (
            kind,
            Verdict(status=ConditionStatus.TRUE, reason=ready.reason, message=ready.message),
        )
    yield ConditionType.PLANNED, first_verdict(PLANNED, facts)
    yield ConditionType.SCHEDULED, first_verdict(SCHEDULED, facts)
    yield ConditionType.AVAILABLE, first_verdict(AVAILABLE, facts)
    for kind in (ConditionType.WEIGHTS_READY, ConditionType.SCALING_ACTIVE):
        yield (
            kind,
            Verdict(
                status=ConditionStatus.UNKNOWN,
                reason=ConditionReason.NOT_OBSERVED,
                message="not looked at yet",
            ),
        )


def _condition(
    kind: ConditionType,
    verdict: Verdict,
    before: Mapping[str, Any] | None,
    generation: int,
    now: datetime,
) -> dict[str, Any]:
    same = before is not None and before.get("status") == verdict.status
    return {
        "type": str(kind),
        "status": str(verdict.status),
        "reason": str(verdict.reason),
        "message": _shortened(verdict.message, _LONGEST_MESSAGE),
        "lastTransitionTime": (
            before["lastTransitionTime"]
            if same and before is not None
            else now.strftime("%Y-%m-%dT%H:%M:%SZ")
        ),
        "observedGeneration": generation,
    }


def _plan_row(result: CardResult) -> dict[str, Any]:
    if not isinstance(result, CardPlan):
        return {
            "accelerator": result.card.name,
            "fits": False,
            "reason": _shortened(result.refusal.sentence, _LONGEST_REASON),
        }
    return {
        "accelerator": result.card.name,
        "fits": result.fits,
        "reason": _shortened(result.reason, _LONGEST_REASON),
        "kvCacheTokens": result.kv_cache_tokens,
        "kvCacheBytes": result.kv_cache_bytes,
        "maxConcurrency": f"{result.max_concurrency:.2f}",
    }


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
