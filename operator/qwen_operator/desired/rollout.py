"""Whether the model pods must restart, and why.

Kubernetes replaces the pods whenever the pod template changes. So a template is kept as it runs
until what the user asks for, the plan or the vLLM image changes: a newer operator, which may build
another template for the same wish, restarts nothing by itself. The reason of a rollout names the
fields that the user changed and what followed from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from qwen_contract import pod
from qwen_contract.plan import PlanRow
from qwen_operator import naming
from qwen_operator.desired.asked import Asked, default_of, read_asked
from qwen_operator.desired.metadata import Object
from qwen_operator.desired.own_fields import own_fields
from qwen_operator.desired.plan_config_map import content_hash
from qwen_operator.desired.volumes import PLAN_VOLUME

_PLANNED_FIELDS: Final = (
    "model",
    "servedModelName",
    "revision",
    "precision",
    "contextLength",
    "tensorParallelSize",
    "accelerators.",
    "profile",
    "engine.",
)
"""Fields that reach a pod through its plan rows, but for engine.env."""
_FIELDS_OF_OTHERS: Final = (
    "replicas",
    "suspend",
    "cache.storageClassName",
)
"""Fields that no pod template depends on."""
_LONGEST_LIST_BYTES: Final = 450
"""Of changes and of what followed, each: an event has room for 1,024 bytes of both."""
_LONGEST_CHANGE_BYTES: Final = 300
"""Room for two images with their digests; of a longer change only the path is told."""

Change = tuple[str, str, str]
"""Path, old value and new value."""


def keep_running_template(desired: Object, live: Mapping[str, Any] | None) -> Object:
    """``desired`` with the pod template that runs, unless pods have a reason to restart.

    A template that somebody has tampered with is not kept.
    """
    if live is None:
        return desired
    running = own_fields(live)
    template = running.get("spec", {}).get("template", {})
    annotations = running["metadata"].get("annotations", {})
    if annotations.get(naming.TEMPLATE_ANNOTATION) != content_hash(template):
        return desired
    if _identity(running) != _identity(desired) or _is_short_of_cache(live, running, desired):
        return desired
    metadata = desired["metadata"]
    kept = {naming.TEMPLATE_ANNOTATION: annotations[naming.TEMPLATE_ANNOTATION]}
    return {
        **desired,
        "metadata": {**metadata, "annotations": {**metadata["annotations"], **kept}},
        "spec": {**desired["spec"], "template": template},
    }


def explain_rollout(
    live: Mapping[str, Any],
    desired: Object,
    old_rows: Sequence[PlanRow],
    new_rows: Sequence[PlanRow],
) -> str | None:
    """Why applying ``desired`` replaces the pods of ``live``; None when it replaces none.

    The rows are those of the two plan ConfigMaps, as `rows_of` reads them.
    """
    running = own_fields(live)
    old_template = running.get("spec", {}).get("template", {})
    new_template = desired["spec"]["template"]
    if old_template == new_template:
        return None
    followed = [
        *_explain_rows(old_rows, new_rows),
        *_explain_template(old_template, new_template),
    ]
    asked = list(_explain_asked(read_asked(running), read_asked(desired)))
    if not asked:
        return _enumerate(_spell(change) for change in followed) or "the plan has changed"
    told = tuple(path for path, _, _ in asked)
    names = [path for path, _, _ in followed if not any(each.endswith(path) for each in told)]
    reason = _enumerate(_spell(change) for change in asked)
    return f"{reason}: {_enumerate(names)}" if names else reason


def _identity(deployment: Mapping[str, Any]) -> tuple[Asked, str, str]:
    """All that gives pods a reason to restart: the wish, the plan and vLLM itself."""
    template = deployment.get("spec", {}).get("template", {})
    return (
        {
            path: value
            for path, value in read_asked(deployment).items()
            if _reaches_template(path, read_asked(deployment))
        },
        _plan_name(template),
        _by_name(template.get("spec", {}).get("containers", []))
        .get(pod.MODEL_CONTAINER, {})
        .get("image", ""),
    )


def _is_short_of_cache(
    live: Mapping[str, Any], running: Mapping[str, Any], desired: Mapping[str, Any]
) -> bool:
    """Whether a claim has grown that no pod could be served from: the fetch is told of its size."""
    old, new = (read_asked(each).get("cache.size") for each in (running, desired))
    return old != new and not (live.get("status") or {}).get("readyReplicas")


def _reaches_template(path: str, asked: Asked) -> bool:
    """Whether pods depend on this field otherwise than by their plan."""
    if path.startswith("engine.env."):
        return True
    if path == "cache.size":
        return asked.get("cache.type") is not None
    return not path.startswith((*_PLANNED_FIELDS, *_FIELDS_OF_OTHERS))


def _plan_name(template: Mapping[str, Any]) -> str:
    plan = _by_name(template.get("spec", {}).get("volumes", [])).get(PLAN_VOLUME, {})
    return str(plan.get("configMap", {}).get("name", ""))


def _explain_asked(old: Asked, new: Asked) -> Iterator[Change]:
    for path in sorted({*old, *new}):
        before, after = old.get(path, default_of(path)), new.get(path, default_of(path))
        concerns_pods = _reaches_template(path, new) or path.startswith(_PLANNED_FIELDS)
        if before != after and concerns_pods:
            yield path, before, after


def _explain_rows(old_rows: Sequence[PlanRow], new_rows: Sequence[PlanRow]) -> list[Change]:
    """Differing facts of cards that both plans have, each fact once, and the cards that differ."""
    old, new = ({row.card.name: row for row in rows} for rows in (old_rows, new_rows))
    changes: list[Change] = []
    if set(old) != set(new):
        changes.append(("cards", ", ".join(sorted(old)), ", ".join(sorted(new))))
    for card in sorted(set(old) & set(new)):
        before, after = _facts_of(old[card]), _facts_of(new[card])
        told = {path for path, _, _ in changes}
        changes += [
            (path, before.get(path, "unset"), after.get(path, "unset"))
            for path in {**after, **before}
            if before.get(path) != after.get(path) and path not in told
        ]
    return changes


def _facts_of(row: PlanRow) -> dict[str, str]:
    facts = _flags_of(row.args) | {f"env.{name}": value for name, value in row.env.items()}
    facts |= {"vllm_version": row.vllm_version, "model": row.model}
    return facts | {f"card.{key}": str(value) for key, value in asdict(row.card).items()}


def _flags_of(args: Iterable[str]) -> dict[str, str]:
    """Values by flag, without its dashes."""
    flags: dict[str, str] = {}
    flag = ""
    for argument in args:
        if argument.startswith("--"):
            head, _, value = argument.partition("=")
            flag = head.removeprefix("--")
            flags[flag] = f"{flags.get(flag, '')} {value}".strip()
        else:
            flags[flag] = f"{flags.get(flag, '')} {argument}".strip()
    return {name: value or "set" for name, value in flags.items()}


def _explain_template(old: Object, new: Object) -> Iterator[Change]:
    for path, before, after in _differences(old, new, ()):
        if path[-3:] == (PLAN_VOLUME, "configMap", "name"):
            continue
        yield _shortened(path), before, after


def _differences(old: Any, new: Any, path: tuple[str, ...]) -> Iterator[tuple[Any, str, str]]:
    if isinstance(old, list) and isinstance(new, list) and _are_named(old) and _are_named(new):
        old, new = _by_name(old), _by_name(new)
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _differences(old.get(key), new.get(key), (*path, key))
    elif old != new:
        yield path, _value_text(old), _value_text(new)


def _are_named(items: list[Any]) -> bool:
    return all(isinstance(item, Mapping) and "name" in item for item in items)


def _by_name(items: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {item["name"]: item for item in items}


def _shortened(path: tuple[str, ...]) -> str:
    """The path without what is the same for nearly all: the model container is meant."""
    for prefix in (
        ("spec", "containers", pod.MODEL_CONTAINER),
        ("spec", "initContainers"),
        ("spec",),
        ("metadata",),
    ):
        if path[: len(prefix)] == prefix and len(path) > len(prefix):
            path = path[len(prefix) :]
            break
    if path[0] == "affinity":
        return "affinity"
    is_variable = path[0] == "env" and path[-1] == "value"
    return ".".join(path[:-1] if is_variable else path)


def _value_text(value: Any) -> str:
    return "unset" if value is None else str(value)


def _spell(change: Change) -> str:
    path, old, new = change
    spelt = f"{path} {old} → {new}"
    return spelt if len(spelt.encode()) <= _LONGEST_CHANGE_BYTES else path


def _enumerate(items: Iterable[str]) -> str:
    """The items that there is room for, at least one, and how many are left out."""
    listed, left_out = "", 0
    for item in items:
        longer = f"{listed}, {item}" if listed else item
        if listed and (left_out or len(longer.encode()) > _LONGEST_LIST_BYTES):
            left_out += 1
        else:
            listed = longer
    return f"{listed} and {left_out} more" if left_out else listed
