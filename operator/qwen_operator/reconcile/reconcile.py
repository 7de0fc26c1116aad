"""One pass: from what was read to what shall be written. Pure and total."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from qwen_contract.plan import PlanRow
from qwen_operator import naming
from qwen_operator.api.conditions import ConditionReason
from qwen_operator.desired.children import build_children, owned_kinds
from qwen_operator.desired.metadata import Object, selector_of
from qwen_operator.desired.own_fields import own_fields
from qwen_operator.desired.plan_config_map import rows_of
from qwen_operator.desired.quantities import parse_quantity
from qwen_operator.desired.rollout import explain_rollout, keep_running_template
from qwen_operator.desired.wanted import ChildSettings, ExistingClaim, Wanted
from qwen_operator.errors import InvalidInput
from qwen_operator.reconcile.checks import Facts
from qwen_operator.reconcile.observed import Live, Observed
from qwen_operator.reconcile.outcome import Event, Outcome, Removal
from qwen_operator.reconcile.planned import Planned, plan_owner
from qwen_operator.reconcile.status import build_status

_PENDING_SECONDS = 15.0
"""A waiting pod is looked at again, for no event tells that a GPU somewhere became free, nor that a
stranger's child has gone."""
_UNREADABLE = frozenset(
    {
        ConditionReason.INVALID_SPEC,
        ConditionReason.UNKNOWN_MODEL,
        ConditionReason.UNKNOWN_ACCELERATOR,
    }
)
"""An operator that does not understand a spec, after going back to an older release, takes nothing
away: models go on serving and keep their weights."""

Key = tuple[str, str]


def reconcile(
    observed: Observed, settings: ChildSettings, *, refusal: str | None = None
) -> Outcome:
    """Decide what to apply, prune and tell, and when to look again.

    ``refusal`` is what the API server said to a child of this very pass, for the status.
    """
    planned = plan_owner(observed.owner)
    desired, planned = _children(observed, planned, settings)
    foreign = {
        key: observed.children[key]
        for key in desired
        if key in observed.children and not observed.is_ours(observed.children[key])
    }
    live_deployment = _deployment(observed)
    apply = tuple(
        child
        for key, child in desired.items()
        if key not in foreign
        # Pods would use what belongs to somebody else.
        and not (foreign and key[0] == "Deployment")
        and not _is_applied(child, observed.children.get(key))
    )
    facts = replace(
        _facts(observed, planned, tuple(foreign), desired, live_deployment), refusal=refusal
    )
    live_status = observed.owner.get("status") or {}
    status = build_status(
        facts, live_status, int(observed.owner["metadata"]["generation"]), observed.now
    )
    waiting = bool(foreign) or any(pod.unschedulable for pod in observed.pods)
    return Outcome(
        apply=apply,
        prune=() if planned.reason in _UNREADABLE else tuple(_removals(observed, desired)),
        status=None if _same(status, live_status) else status,
        rollout_events=tuple(_rollout_events(observed, apply, live_deployment)),
        condition_events=tuple(_condition_events(status, live_status)),
        requeue_after_seconds=_PENDING_SECONDS if waiting else None,
    )


def _children(
    observed: Observed, planned: Planned, settings: ChildSettings
) -> tuple[dict[Key, Object], Planned]:
    """Desired children by kind and name, and the plan, which a malformed affinity voids."""
    if planned.deployment is None:
        return {}, planned
    wanted = Wanted(
        deployment=planned.deployment,
        rows=planned.rows,
        settings=settings,
        existing_claim=_existing_claim(observed),
    )
    try:
        children = build_children(wanted)
    except InvalidInput as error:
        stalled = Planned(
            deployment=planned.deployment, reason=ConditionReason.INVALID_SPEC, message=str(error)
        )
        return _children(observed, stalled, settings)
    live = _deployment(observed)
    keyed = {
        (child["kind"], child["metadata"]["name"]): (
            keep_running_template(child, live)
            if child["kind"] == "Deployment" and live is not None and observed.is_ours(live)
            else child
        )
        for child in children
    }
    return keyed, planned


def _existing_claim(observed: Observed) -> ExistingClaim | None:
    name = naming.cache_claim_name(observed.owner["metadata"]["name"])
    live = observed.children.get(("PersistentVolumeClaim", name))
    if live is None or not observed.is_ours(live):
        return None
    spec = live["spec"]
    return ExistingClaim(
        requested_bytes=int(parse_quantity(spec["resources"]["requests"]["storage"])),
        access_modes=tuple(spec["accessModes"]),
    )


def _deployment(observed: Observed) -> Live | None:
    return observed.children.get(("Deployment", observed.owner["metadata"]["name"]))


def _is_applied(child: Object, live: Live | None) -> bool:
    return live is not None and own_fields(live) == child


def _facts(
    observed: Observed,
    planned: Planned,
    foreign: tuple[Key, ...],
    desired: Mapping[Key, Object],
    live: Live | None,
) -> Facts:
    spec = planned.deployment.spec if planned.deployment else None
    suspended = bool(spec and spec.suspend)
    wanted = desired.get(("Deployment", observed.owner["metadata"]["name"]))
    ours = live if live is not None and observed.is_ours(live) else None
    return Facts(
        planned=planned,
        selector=selector_of(observed.owner["metadata"]["name"]),
        foreign=tuple(f"{kind} {name}" for kind, name in foreign),
        wanted_replicas=int(wanted["spec"]["replicas"]) if wanted else 0,
        suspended=suspended,
        live=ours,
        template_is_current=(
            wanted is not None
            and ours is not None
            and own_fields(ours).get("spec", {}).get("template") == wanted["spec"]["template"]
        ),
        pods=observed.pods,
        gpus=observed.gpus,
        reports=observed.reports,
    )


def _removals(observed: Observed, desired: Mapping[Key, Object]) -> Iterator[Removal]:
    """Children of ours that nobody wants any more, pods' owners first."""
    for kind in owned_kinds():
        for (child_kind, name), child in observed.children.items():
            if child_kind != kind.kind or (child_kind, name) in desired:
                continue
            # A pod that is still draining reads the plan it was started with.
            in_use = child_kind == "ConfigMap" and name in observed.mounted_config_maps
            if in_use or not observed.is_ours(child) or "deletionTimestamp" in child["metadata"]:
                continue
            yield Removal(
                api_version=kind.api_version,
                kind=kind.kind,
                plural=kind.plural,
                name=name,
                uid=child["metadata"]["uid"],
                resource_version=child["metadata"]["resourceVersion"],
            )


def _rollout_events(
    observed: Observed, apply: tuple[Object, ...], live: Live | None
) -> Iterator[Event]:
    """Why pods restart, when they do."""
    for child in apply:
        if child["kind"] != "Deployment" or live is None or not observed.is_ours(live):
            continue
        new_rows = next((rows_of(each) for each in apply if each["kind"] == "ConfigMap"), None)
        old_rows = _rows_mounted(observed, own_fields(live))
        reason = explain_rollout(live, child, old_rows, old_rows if new_rows is None else new_rows)
        if reason is not None:
            yield Event(reason="RollingOut", message=reason)


def _rows_mounted(observed: Observed, deployment: Mapping[str, Any]) -> tuple[PlanRow, ...]:
    volumes = deployment.get("spec", {}).get("template", {}).get("spec", {}).get("volumes", ())
    for volume in volumes:
        name = volume.get("configMap", {}).get("name")
        config_map = observed.children.get(("ConfigMap", name)) if name else None
        if config_map is not None:
            return rows_of(config_map)
    return ()


def _condition_events(status: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[Event]:
    """One event when Ready's reason changes: the reason a user would ask for."""
    old = {each["type"]: each for each in before.get("conditions") or ()}
    for condition in status["conditions"]:
        if condition["type"] != "Ready":
            continue
        if old.get("Ready", {}).get("reason") == condition["reason"]:
            continue
        stalled = any(each["type"] == "Stalled" for each in status["conditions"])
        yield Event(reason=condition["reason"], message=condition["message"], warning=stalled)


def _same(status: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    return all(live.get(key) == value for key, value in status.items())
