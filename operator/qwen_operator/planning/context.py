"""Context length: native, or stretched by YaRN through ``--hf-overrides``."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from qwen_operator.catalog.geometry import VISION_MODEL_TYPES, Geometry
from qwen_operator.catalog.models import Model
from qwen_operator.planning.refusal import Refusal

_FACTOR_STEP = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextChoice:
    """How the model reaches its context length."""

    max_model_len: int
    max_position_embeddings: int
    """Positions that the rotary table is built for."""
    longest_tokens: int
    """Most that the model takes at all."""
    args: tuple[str, ...]
    decisions: tuple[str, ...]


def choose_context(model: Model, context_length: int) -> ContextChoice | Refusal:
    """Native positions where they suffice, else YaRN with the smallest factor that does."""
    geometry = model.geometry
    native = max(model.native_context_length, geometry.max_position_embeddings)
    limit = max(native, model.context_limit)
    if context_length <= native:
        return ContextChoice(
            max_model_len=context_length,
            max_position_embeddings=geometry.max_position_embeddings,
            longest_tokens=limit,
            args=(),
            decisions=(_explain_native(model, context_length, native),),
        )
    if context_length > limit:
        return Refusal(
            f"contextLength is {context_length}, but {model.name} takes at most {limit} tokens"
            f"{' with YaRN' if limit > native else ''}; set contextLength to {limit} or less"
        )
    base = model.native_context_length
    factor = math.ceil(context_length / base / _FACTOR_STEP) * _FACTOR_STEP
    return ContextChoice(
        max_model_len=context_length,
        max_position_embeddings=context_length,
        longest_tokens=limit,
        args=("--hf-overrides", json.dumps(_overrides(geometry, base, factor, context_length))),
        decisions=(
            f"Context: {context_length:,} tokens by YaRN with factor {factor:g} over the native "
            f"{base:,}, which costs a little quality on short prompts.",
        ),
    )


def _explain_native(model: Model, context_length: int, positions: int) -> str:
    native = model.native_context_length
    if context_length <= native:
        return f"Context: {context_length:,} tokens, within the model's native {native:,}."
    return (
        f"Context: {context_length:,} tokens, within the model's {positions:,} positions (native "
        f"{native:,}, and room for the answer)."
    )


def _overrides(
    geometry: Geometry, base: int, factor: float, context_length: int
) -> dict[str, object]:
    """Both keys: vLLM no longer derives the length from the factor (vllm-project/vllm#56446)."""
    rope: dict[str, object] = {
        "rope_type": "yarn",
        "factor": factor,
        "original_max_position_embeddings": base,
        "rope_theta": geometry.rope_theta,
        **geometry.rope_extras,
    }
    overrides: dict[str, object] = {
        "rope_parameters": rope,
        "max_position_embeddings": context_length,
    }
    return {"text_config": overrides} if geometry.model_type in VISION_MODEL_TYPES else overrides
