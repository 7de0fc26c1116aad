"""Requests and cards that the tests of the planner share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qwen_operator.api.enums import Precision
from qwen_operator.catalog.cards import Card, ComputeCapability, describe_card, find_card
from qwen_operator.catalog.models import find_model, model_names
from qwen_operator.catalog.vllm_versions import GPU_VLLM_VERSION
from qwen_operator.planning.plan import plan
from qwen_operator.planning.refusal import Refusal
from qwen_operator.planning.request import EngineChoices, PlanRequest
from qwen_operator.planning.result import CardPlan, CardResult, RefusedCard
from qwen_operator.units import GIB

L4 = find_card("L4")
ROUNDED_GIB = 0.005 * GIB
"""What a log line that shows two decimals of a GiB may hide."""

ALL_MODELS = model_names()
HYBRID_MODELS = tuple(name for name in ALL_MODELS if find_model(name).geometry.is_hybrid)
VISION_MODELS = tuple(name for name in ALL_MODELS if find_model(name).geometry.vision)


def card_by_hand(memory_gib: float, capability: ComputeCapability = (8, 9)) -> Card:
    return describe_card("by-hand", int(memory_gib * 1024), capability)


def request(model: str = "Qwen/Qwen3-4B", *, engine: Any = None, **fields: Any) -> PlanRequest:
    fields.setdefault("vllm_version", GPU_VLLM_VERSION)
    if "precision" in fields:
        fields["precision"] = Precision(fields["precision"])
    choices = replace(EngineChoices(), **(engine or {}))
    return PlanRequest(model=find_model(model), engine=choices, **fields)


def result_of(asked: PlanRequest, card: Card = L4) -> CardResult:
    (result,) = plan(asked, (card,))
    return result


def plan_of(asked: PlanRequest, card: Card = L4) -> CardPlan:
    result = result_of(asked, card)
    assert isinstance(result, CardPlan), result
    return result


def refusal_of(asked: PlanRequest, card: Card = L4) -> Refusal:
    result = result_of(asked, card)
    assert isinstance(result, RefusedCard), result
    return result.refusal


def value_of(args: tuple[str, ...], flag: str) -> str:
    assert args.count(flag) == 1, f"{flag} stands {args.count(flag)} times"
    return args[args.index(flag) + 1]
