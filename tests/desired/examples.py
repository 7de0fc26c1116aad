"""QwenDeployments and what is wanted for them, as the tests of the children share it."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

from qwen_operator.api.parse import parse_qwen_deployment
from qwen_operator.api.v1alpha1 import QwenDeployment, QwenDeploymentSpec
from qwen_operator.catalog.models import find_model
from qwen_operator.catalog.vllm_versions import CPU_VLLM_VERSION, GPU_VLLM_VERSION
from qwen_operator.desired.children import build_children
from qwen_operator.desired.metadata import Object
from qwen_operator.desired.wanted import ChildSettings, Wanted
from qwen_operator.planning.from_spec import cards_of, request_of
from qwen_operator.planning.plan import plan
from qwen_operator.planning.result import CardPlan

SETTINGS = ChildSettings(
    gpu_image="vllm/vllm-openai@sha256:" + "a" * 64,
    cpu_image="example.com/vllm-cpu@sha256:" + "b" * 64,
    runtime_image="example.com/qwen-runtime:1",
    operator_namespace="qwen-system",
)


def deployment(**spec: Any) -> QwenDeployment:
    document = {
        "apiVersion": "qwen-operator.io/v1alpha1",
        "kind": "QwenDeployment",
        "metadata": {"name": "chat", "namespace": "models", "uid": "0d1c-uid"},
        "spec": {"model": "Qwen/Qwen3-4B", **spec},
    }
    return parse_qwen_deployment(document)


def rows_for(spec: QwenDeploymentSpec) -> tuple[CardPlan, ...]:
    return _planned(spec.model_dump_json(by_alias=True))


@cache
def _planned(text: str) -> tuple[CardPlan, ...]:
    spec = QwenDeploymentSpec.model_validate(json.loads(text))
    request = request_of(spec, find_model(spec.model))
    rows: list[CardPlan] = []
    for card in cards_of(spec):
        version = CPU_VLLM_VERSION if card.is_cpu else GPU_VLLM_VERSION
        for row in plan(replace(request, vllm_version=version), (card,)):
            if isinstance(row, CardPlan) and row.fits:
                rows.append(row)
    return tuple(rows)


def wanted(spec: dict[str, Any] | None = None, **fields: Any) -> Wanted:
    """What is wanted for a spec, with the rows that the planner really makes unless given."""
    owner = deployment(**(spec or {}))
    fields.setdefault("rows", rows_for(owner.spec))
    fields.setdefault("settings", SETTINGS)
    return Wanted(deployment=owner, **fields)


def children_of(given: Wanted) -> dict[str, Object]:
    children = build_children(given)
    by_kind = {child["kind"]: child for child in children}
    assert len(by_kind) == len(children)
    return by_kind


def template_of(given: Wanted) -> Object:
    template: Object = children_of(given)["Deployment"]["spec"]["template"]
    return template


def model_container(given: Wanted) -> Object:
    (container,) = template_of(given)["spec"]["containers"]
    assert container["name"] == "vllm"
    return dict(container)
