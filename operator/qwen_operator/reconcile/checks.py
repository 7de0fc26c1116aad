"""Conditions as chains of pure checks: the first that has something to say decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from qwen_contract import pod as places
from qwen_contract.failure import FailureReason
from qwen_contract.report import Report
from qwen_operator.api.conditions import ConditionReason, ConditionStatus
from qwen_operator.reconcile.observed import GpuUse, PodState, WeightsState
from qwen_operator.reconcile.planned import Planned


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Status, reason and sentence of one condition."""

    status: ConditionStatus
    reason: ConditionReason | FailureReason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the checks look at."""

    planned: Planned
    selector: Mapping[str, str]
    """Labels of the model pods."""
    foreign: tuple[str, ...]
    """Children's names that belong to somebody else, as ``Kind name``."""
    wanted_replicas: int
    suspended: bool
    live: Mapping[str, Any] | None
    """The Deployment as it was read; None while there is none."""
    template_is_current: bool
    """Whether the Deployment already has the template that this pass wants."""
    pods: tuple[PodState, ...]
    gpus: GpuUse | None
    reports: tuple[Report, ...] = ()
    refusal: str | None = None
    """What the API server said to a child; None when it took them all."""

    def count(self, field: str) -> int:
        """A number of the Deployment's status; absent means 0."""
        status = (self.live or {}).get("status") or {}
        return int(status.get(field) or 0)


Check = Callable[[Facts], Verdict | None]


def first_verdict(checks: Iterable[Check], facts: Facts) -> Verdict:
    """The first verdict of a chain; its last check always has one."""
    return next(verdict for check in checks if (verdict := check(facts)) is not None)


def check_plan(facts: Facts) -> Verdict | None:
    """Without a card that fits there are no pods."""
    if facts.planned.rows:
        return None
    return _false(facts.planned.reason, facts.planned.message)


def check_foreign_children(facts: Facts) -> Verdict | None:
    """A name of ours that somebody else uses is never taken from them."""
    if not facts.foreign:
        return None
    names = ", ".join(facts.foreign)
    return _false(
        ConditionReason.FOREIGN_CHILD,
        f"{names} exists and belongs to somebody else; delete or rename it, or rename this object",
    )


def check_refusal(facts: Facts) -> Verdict | None:
    """A child that the API server does not take: a quota, a claim that cannot grow, a policy."""
    return None if facts.refusal is None else _false(ConditionReason.CHILD_REFUSED, facts.refusal)


def check_zero_replicas(facts: Facts) -> Verdict | None:
    """Nothing wanted is nothing missing."""
    if facts.wanted_replicas or facts.count("replicas"):
        return None
    if facts.suspended:
        return _true(ConditionReason.SUSPENDED, "suspended; cache and settings are kept")
    return _true(ConditionReason.SCALED_TO_ZERO, "zero replicas are wanted")


def check_scheduling(facts: Facts) -> Verdict | None:
    """A pod that no node takes, explained by the GPUs there are."""
    waiting = [pod for pod in facts.pods if pod.unschedulable is not None]
    if not waiting:
        return None
    who = f"{len(waiting)} of {facts.wanted_replicas} replicas wait"
    taken = explain_gpus(facts)
    if taken is not None:
        return _false(ConditionReason.NO_FREE_GPU, f"{who}: {taken}")
    return _false(ConditionReason.UNSCHEDULABLE, f"{who}: {waiting[0].unschedulable}")


def check_template(facts: Facts) -> Verdict | None:
    """Pods of an older template say nothing of the present spec, least of all that it failed."""
    if facts.live is None or (facts.template_is_current and _is_seen(facts)):
        return None
    return check_rollout(facts)


def check_rollout(facts: Facts) -> Verdict | None:
    """New pods are on their way while the Deployment has not caught up."""
    seen = _is_seen(facts)
    updated = facts.count("updatedReplicas")
    if facts.template_is_current and seen and updated >= facts.wanted_replicas:
        return None
    return _false(
        ConditionReason.ROLLING_OUT,
        f"{updated if seen else 0} of {facts.wanted_replicas} replicas have the current plan",
    )


def check_failures(facts: Facts) -> Verdict | None:
    """A container that ended badly, in the words of its last breath."""
    failed = [pod for pod in facts.pods if not pod.ready and pod.failure is not None]
    if not failed or failed[0].failure is None:
        return None
    pod, failure = failed[0], failed[0].failure
    others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    times = f", restarted {pod.restarts} times" if pod.restarts else ""
    return _false(failure.reason, f"pod {pod.name}{others}{times}: {failure.message}")


def check_weight_failures(facts: Facts) -> Verdict | None:
    """The same, of the fetch alone."""
    failed = [pod for pod in facts.pods if pod.weights is WeightsState.FAILED]
    return check_failures(replace(facts, pods=tuple(failed)))


def check_weights(facts: Facts) -> Verdict | None:
    """Weights come before anything else can be said of a pod."""
    fetching = [pod for pod in facts.pods if pod.weights is WeightsState.FETCHING]
    if not fetching:
        return None
    return _false(
        ConditionReason.FETCHING_WEIGHTS,
        f"{len(fetching)} of {facts.wanted_replicas} replicas fetch or check their weights; "
        f"progress: kubectl logs {fetching[0].name} -c {places.WEIGHTS_CONTAINER}",
    )


def conclude_weights(facts: Facts) -> Verdict:
    """Every pod has its weights, or nobody has looked yet."""
    have = sum(pod.weights is WeightsState.READY for pod in facts.pods)
    if not have or have < facts.wanted_replicas:
        return Verdict(
            status=ConditionStatus.UNKNOWN,
            reason=ConditionReason.NOT_OBSERVED,
            message="no pod has begun to fetch them",
        )
    return _true(ConditionReason.WEIGHTS_FETCHED, "complete and checked")


def check_readiness(facts: Facts) -> Verdict | None:
    """Every wanted replica answers."""
    ready = facts.count("readyReplicas")
    if ready >= facts.wanted_replicas:
        return None
    reasons = [pod.waiting for pod in facts.pods if not pod.ready and pod.waiting]
    because = f": {reasons[0]}" if reasons else ""
    return _false(
        ConditionReason.PODS_NOT_READY,
        f"{ready} of {facts.wanted_replicas} replicas ready{because}",
    )


def conclude_serving(facts: Facts) -> Verdict:
    """Nothing is missing."""
    return _true(ConditionReason.SERVING, f"{facts.count('readyReplicas')} replicas serve")


def conclude_planned(facts: Facts) -> Verdict:
    """The plan holds for at least one card."""
    return _true(facts.planned.reason, facts.planned.message)


def conclude_scheduled(facts: Facts) -> Verdict:
    """Every pod has a node, or there is none yet."""
    if sum(pod.scheduled for pod in facts.pods) < facts.wanted_replicas:
        return Verdict(
            status=ConditionStatus.UNKNOWN,
            reason=ConditionReason.NOT_OBSERVED,
            message="the scheduler has not seen all pods yet",
        )
    return _true(ConditionReason.PODS_SCHEDULED, "every pod has a node")


READY = (
    check_plan,
    check_foreign_children,
    check_refusal,
    check_zero_replicas,
    check_template,
    check_scheduling,
    check_failures,
    check_weights,
    check_rollout,
    check_readiness,
    conclude_serving,
)
PLANNED = (check_plan, conclude_planned)
SCHEDULED = (check_plan, check_zero_replicas, check_scheduling, conclude_scheduled)
WEIGHTS_READY = (
    check_plan,
    check_zero_replicas,
    check_weight_failures,
    check_weights,
    conclude_weights,
)
AVAILABLE = (check_plan, check_zero_replicas, check_readiness, conclude_serving)


def explain_gpus(facts: Facts) -> str | None:
    """Which GPUs are taken; None where nodes were not read or enough GPUs are free."""
    if facts.gpus is None or not facts.planned.rows:
        return None
    needed = facts.planned.rows[0].request.tensor_parallel_size
    said = []
    for row in facts.planned.rows:
        labels = (row.card.name, *row.card.product_labels)
        total = sum(facts.gpus.total.get(label, 0) for label in labels)
        free = sum(facts.gpus.free.get(label, 0) for label in labels)
        if free >= needed:
            return None
        if total:
            said.append(f"{total - free} of {total} {row.card.name} taken")
    if not said:
        names = ", ".join(row.card.name for row in facts.planned.rows)
        return f"no node has a card that fits ({names})"
    return "no free GPU: " + ", ".join(said)


def _is_seen(facts: Facts) -> bool:
    """Whether Kubernetes has looked at the Deployment as it is now."""
    return facts.live is not None and facts.count("observedGeneration") >= int(
        facts.live["metadata"].get("generation", 0)
    )


def _true(reason: ConditionReason, message: str) -> Verdict:
    return Verdict(status=ConditionStatus.TRUE, reason=reason, message=message)


def _false(reason: ConditionReason | FailureReason, message: str) -> Verdict:
    return Verdict(status=ConditionStatus.FALSE, reason=reason, message=message)
