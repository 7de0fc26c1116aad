"""The status of a QwenDeployment, by the rules that kstatus, Helm, Flux and Argo CD read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from qwen_contract.failure import FailureReason
from qwen_contract.report import Report
from qwen_operator.api.conditions import ConditionReason, ConditionStatus, ConditionType
from qwen_operator.planning.result import CardPlan, CardResult
from qwen_operator.reconcile.checks import (
    AVAILABLE,
    PLANNED,
    READY,
    SCHEDULED,
    WEIGHTS_READY,
    Facts,
    Verdict,
    first_verdict,
)
from qwen_operator.units import MIB

_STALLED_REASONS: frozenset[StrEnum] = frozenset(
    {
        ConditionReason.INVALID_SPEC,
        ConditionReason.UNKNOWN_MODEL,
        ConditionReason.UNKNOWN_ACCELERATOR,
        ConditionReason.PLAN_DOES_NOT_FIT,
        ConditionReason.FOREIGN_CHILD,
        FailureReason.GPU_MISMATCH,
        FailureReason.DRIVER_TOO_OLD,
        FailureReason.ACCESS_DENIED,
        FailureReason.MODEL_NOT_FOUND,
        FailureReason.WEIGHTS_MISSING,
        FailureReason.BAD_ARGUMENTS,
        FailureReason.KV_CACHE_TOO_SMALL,
        FailureReason.STATE_BLOCKS_TOO_FEW,
        FailureReason.MODEL_UNSUPPORTED,
    }
)
"""Reasons that only the user can mend: nothing will change by waiting."""
_LONGEST_MESSAGE = 1024
_LONGEST_REASON = 512
_PEAK_STEP_BYTES = 64 * MIB

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
    # Of a card that is listed twice, by its name and by its label, the more cautious row.
    ordered = sorted(facts.planned.results, key=lambda result: result.card.reserved_bytes)
    cautious = {result.card.name: result for result in ordered}
    before_rows = {row["accelerator"]: row for row in live_status.get("plan") or ()}
    rows = {
        result.card.name: _plan_row(cautious[result.card.name])
        | _measured(cautious[result.card.name], facts.reports, before_rows)
        for result in facts.planned.results
    }
    return {
        "observedGeneration": generation,
        "conditions": conditions,
        "replicas": facts.count("replicas"),
        "readyReplicas": facts.count("readyReplicas"),
        "selector": ",".join(f"{key}={value}" for key, value in facts.selector.items()),
        "plan": list(rows.values()),
    }


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
    yield ConditionType.WEIGHTS_READY, first_verdict(WEIGHTS_READY, facts)


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


def _measured(
    result: CardResult, reports: Iterable[Report], before: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What replicas on this card told, the least favourable of each; it stays while none tells,
    as long as the plan does."""
    told = [report for report in reports if report.card == result.card.name]
    if not told:
        row = before.get(result.card.name, {})
        same = isinstance(result, CardPlan) and row.get("kvCacheBytes") == result.kv_cache_bytes
        return {"measured": row["measured"]} if same and "measured" in row else {}
    measured = {
        "replicas": len(told),
        "weightsBytes": _highest(each.measured.weights_bytes for each in told),
        "kvCacheTokens": _lowest(each.measured.kv_cache_tokens for each in told),
        "deviceBytesTotal": _lowest(each.measured.device_bytes_total for each in told),
        "deviceBytesPeak": _stepped(_highest(each.measured.device_bytes_peak for each in told)),
        "startSeconds": round(max(sum(phase.seconds for phase in each.phases) for each in told)),
        "commit": next((each.commit for each in told if each.commit), None),
    }
    return {"measured": {key: value for key, value in measured.items() if value is not None}}


def _highest(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _lowest(values: Iterable[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _stepped(peak_bytes: int | None) -> int | None:
    """Rounded up, so that a status is not written for every allocation under load."""
    return None if peak_bytes is None else -(-peak_bytes // _PEAK_STEP_BYTES) * _PEAK_STEP_BYTES


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
