"""A request on one card whose qualitative choices are made; only the batch size is open."""

from __future__ import annotations

from dataclasses import dataclass

from qwen_operator.catalog.calibration import CalibrationTable, calibration_for
from qwen_operator.catalog.cards import Card
from qwen_operator.planning.context import ContextChoice, choose_context
from qwen_operator.planning.kv_cache import (
    ATTENTION_BLOCK_TOKENS,
    CPU_BLOCK_TOKENS,
    KvCacheLayout,
    kv_cache_layout,
)
from qwen_operator.planning.precision import WeightChoice, choose_weights
from qwen_operator.planning.refusal import Refusal
from qwen_operator.planning.request import PlanRequest
from qwen_operator.planning.tensor_parallel import (
    ParallelChoice,
    check_parallelism,
    choose_parallelism,
)
from qwen_operator.planning.weights import loaded_bytes
from qwen_operator.planning.workload import WORKLOADS, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is decided before the batch: weights, context, parallelism, the cut of the KV cache."""

    request: PlanRequest
    card: Card
    workload: Workload
    table: CalibrationTable
    weights: WeightChoice
    context: ContextChoice
    parallel: ParallelChoice
    layout: KvCacheLayout
    weights_bytes: int
    vision: bool


def open_case(
    request: PlanRequest, card: Card, calibration: CalibrationTable | None
) -> Case | Refusal:
    """Make the choices, or say why this card cannot be planned for."""
    if card.shared:
        return Refusal(
            f"gpu is {card.name} and shared, but a memory plan holds only for a card that no other "
            "container uses; turn time-slicing off for this node, or use a whole card"
        )
    if card.reserved_bytes >= card.memory_bytes:
        return Refusal(
            f"reservedMemoryMib is {card.reserved_bytes >> 20}, but {card.name} has only "
            f"{card.memory_bytes >> 20} MiB; reserve less"
        )
    weights = choose_weights(request.model, request.precision, request.engine.kv_cache_dtype, card)
    if isinstance(weights, Refusal):
        return weights
    context = choose_context(request.model, request.context_length)
    if isinstance(context, Refusal):
        return context
    geometry, tp = weights.checkpoint.geometry, request.tensor_parallel_size
    if request.engine.lora is not None and (geometry.experts or geometry.is_hybrid):
        return Refusal(
            f"lora is asked for {request.model.name}, but adapter slots are planned only for dense "
            "models without linear attention; leave it out, or use a dense model"
        )
    if refusal := check_parallelism(geometry, weights.scheme, tp):
        return refusal
    vision = geometry.vision is not None and not request.engine.language_model_only
    return Case(
        request=request,
        card=card,
        workload=WORKLOADS[request.profile],
        table=calibration or calibration_for(request.vllm_version, geometry.model_type),
        weights=weights,
        context=context,
        parallel=choose_parallelism(card, tp),
        layout=kv_cache_layout(
            geometry,
            tensor_parallel_size=tp,
            dtype=weights.kv_cache_dtype,
            prefix_caching=request.engine.prefix_caching,
            block_tokens=CPU_BLOCK_TOKENS if card.is_cpu else ATTENTION_BLOCK_TOKENS,
        ),
        weights_bytes=loaded_bytes(
            geometry,
            weights.scheme,
            tp,
            max_position_embeddings=context.max_position_embeddings,
            vision=vision,
        ),
        vision=vision,
    )
