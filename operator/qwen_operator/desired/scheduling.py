"""Where the model pods may run: the cards that fit, and what the user adds."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from typing import Any, Final

from pydantic import BaseModel

from qwen_operator import naming
from qwen_operator.api.v1alpha1 import TopologySpreadConstraint
from qwen_operator.desired.metadata import Object, build_selector
from qwen_operator.desired.plan_config_map import product_labels
from qwen_operator.desired.wanted import Wanted
from qwen_operator.errors import InvalidInput

_AFFINITY_FIELD: Final = "spec.podTemplate.spec.affinity"
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_TERMS: Final = "nodeSelectorTerms"
_EXPRESSIONS: Final = "matchExpressions"


def build_scheduling(wanted: Wanted) -> Object:
    """The fields of the pod spec that the scheduler reads, absent where there is nothing to say."""
    asked = wanted.spec.pod_template.spec
    fields: Object = {
        "nodeSelector": {**asked.node_selector},
        "affinity": _build_affinity(wanted),
        "tolerations": [
            *_build_gpu_tolerations(wanted),
            *(_as_json(each) for each in asked.tolerations),
        ],
        "topologySpreadConstraints": [
            _build_spread(each, build_selector(wanted))
            for each in asked.topology_spread_constraints
        ],
        "priorityClassName": asked.priority_class_name,
        "schedulerName": asked.scheduler_name,
        "runtimeClassName": asked.runtime_class_name,
    }
    return {key: value for key, value in fields.items() if value}


def _build_gpu_tolerations(wanted: Wanted) -> list[Object]:
    if wanted.on_cpu:
        return []
    return [{"key": naming.GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}]


def _build_spread(asked: TopologySpreadConstraint, model_pods: Object) -> Object:
    counted = _without_empty(asked.label_selector) or {"matchLabels": model_pods}
    return {**_as_json(asked), "labelSelector": counted}


def _build_affinity(wanted: Wanted) -> Object:
    """The user's affinity, with the cards ANDed to each alternative of its required nodes."""
    asked: Object = _without_empty(dict(wanted.spec.pod_template.spec.affinity))
    terms = _build_card_terms(wanted)
    if not terms:
        return asked
    node_affinity = _section(asked, "nodeAffinity", _AFFINITY_FIELD)
    required = _section(node_affinity, _REQUIRED, f"{_AFFINITY_FIELD}.nodeAffinity")
    theirs = required.get(_TERMS) or [{}]
    if not _are_terms(theirs):
        raise _malformed(
            f"{_AFFINITY_FIELD}.nodeAffinity.{_REQUIRED}.{_TERMS}",
            theirs,
            "a list of objects with a list of matchExpressions",
        )
    merged = [
        deepcopy(term | {_EXPRESSIONS: [*ours[_EXPRESSIONS], *term.get(_EXPRESSIONS, [])]})
        for ours, term in product(terms, theirs)
    ]
    return {**asked, "nodeAffinity": {**node_affinity, _REQUIRED: {**required, _TERMS: merged}}}


def _build_card_terms(wanted: Wanted) -> list[Object]:
    """One alternative for each label that names cards: a cloud's own label is there before GPU
    feature discovery has run, as on a node that is added for this very pod."""
    values: dict[str, set[str]] = {}
    for row in wanted.cards:
        if row.card.is_cpu:
            continue
        values.setdefault(naming.GPU_PRODUCT_LABEL, set()).update(product_labels(row))
        for label, named in row.card.cloud_labels.items():
            values.setdefault(label, set()).update(named)
    ours_first = sorted(values, key=lambda label: (label != naming.GPU_PRODUCT_LABEL, label))
    return [
        {
            _EXPRESSIONS: [
                {"key": label, "operator": "In", "values": sorted(values[label])},
                # The plan is void where others use the card too. Nodes without the label pass.
                {
                    "key": naming.GPU_SHARING_LABEL,
                    "operator": "NotIn",
                    "values": ["mps", "time-slicing"],
                },
            ]
        }
        for label in ours_first
    ]


def _are_terms(terms: Any) -> bool:
    return isinstance(terms, list) and all(
        isinstance(term, dict) and isinstance(term.get(_EXPRESSIONS, []), list) for term in terms
    )


def _section(parent: Object, key: str, field: str) -> Object:
    section = parent.get(key) or {}
    if not isinstance(section, dict):
        raise _malformed(f"{field}.{key}", section, "an object")
    return section


def _malformed(field: str, value: object, kind: str) -> InvalidInput:
    return InvalidInput(field, value, f"it must be {kind}", "write it as in any pod")


def _as_json(model: BaseModel) -> Object:
    asked: Object = _without_empty(model.model_dump(mode="json", by_alias=True))
    return asked


def _without_empty(value: Any) -> Any:
    """Without nulls, empty texts and empty lists, which the API server would drop; an empty object
    may mean "all" and stays."""
    if isinstance(value, dict):
        kept = {key: _without_empty(each) for key, each in value.items()}
        return {key: each for key, each in kept.items() if each not in (None, "", [])}
    if isinstance(value, list):
        return [_without_empty(each) for each in value]
    return value
