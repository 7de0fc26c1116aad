"""From the precision a user wants to a checkpoint, a storage scheme and quantisation flags.

The checkpoint depends on model and precision alone, never on the card, so that one QwenDeployment
may span several kinds of cards from one cache of weights.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from qwen_operator.api.enums import KvCacheDtype, Precision
from qwen_operator.catalog.cards import Card, ComputeCapability
from qwen_operator.catalog.checkpoints import Checkpoint, CheckpointFormat, WeightPart
from qwen_operator.catalog.geometry import Geometry
from qwen_operator.catalog.models import Model
from qwen_operator.planning.refusal import Refusal
from qwen_operator.planning.weights import (
    SIXTEEN_BIT,
    WeightFormat,
    WeightScheme,
    uniform_scheme,
)

_AMPERE: ComputeCapability = (8, 0)
_ADA: ComputeCapability = (8, 9)
_HOPPER: ComputeCapability = (9, 0)

_STORAGE = {
    CheckpointFormat.AWQ: WeightFormat.INT4_ZERO_POINT,
    CheckpointFormat.GPTQ_INT4: WeightFormat.INT4,
    CheckpointFormat.GPTQ_INT8: WeightFormat.INT8,
    CheckpointFormat.INT8: WeightFormat.INT8,
    CheckpointFormat.FP8: WeightFormat.FP8,
    CheckpointFormat.FP8_BLOCK: WeightFormat.FP8_BLOCK,
    CheckpointFormat.NVFP4: WeightFormat.FP4,
}
_MACHETE = {WeightFormat.INT8, WeightFormat.INT4, WeightFormat.INT4_ZERO_POINT}
"""Formats that the Machete kernels take from Hopper on; before, Marlin does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightChoice:
    """The weights to load and how vLLM keeps them."""

    checkpoint: Checkpoint
    scheme: WeightScheme
    dtype: str
    """Value of ``--dtype``: the format of activations and of every 16-bit tensor."""
    quantization_args: tuple[str, ...]
    kv_cache_dtype: KvCacheDtype
    decisions: tuple[str, ...]


def choose_weights(
    model: Model, precision: Precision, kv_cache_dtype: KvCacheDtype, card: Card
) -> WeightChoice | Refusal:
    """The checkpoint for a precision and how this card runs it, or why it cannot."""
    if refusal := _check_card(precision, card):
        return refusal
    dtype = "float16" if precision is Precision.FP16 else "bfloat16"
    if kv_cache_dtype is KvCacheDtype.AUTO and precision is Precision.MIXED:
        kv_cache_dtype = KvCacheDtype.FP8
    if refusal := _check_kv_cache_dtype(kv_cache_dtype, dtype, card):
        return refusal
    published = _published(model, precision)
    if published is not None:
        if refusal := _check_kv_cache_of_checkpoint(published, kv_cache_dtype):
            return refusal
        scheme = _published_scheme(published, card)
        return WeightChoice(
            checkpoint=published,
            scheme=scheme,
            dtype=dtype,
            quantization_args=(),
            kv_cache_dtype=kv_cache_dtype,
            decisions=(_explain_checkpoint(published, card),),
        )
    sixteen_bit = model.checkpoints.get(Precision.BF16)
    if sixteen_bit is None:
        only = ", ".join(sorted(model.checkpoints))
        return Refusal(
            f"precision is {precision}, but the weights of {model.name} are {only}; "
            f"set precision to {only}, or name the 16-bit model"
        )
    if precision not in {Precision.FP8, Precision.MIXED}:
        return _refuse_unpublished(model, precision)
    mixed = precision is Precision.MIXED
    return WeightChoice(
        checkpoint=sixteen_bit,
        scheme=_online_scheme(mixed=mixed),
        dtype=dtype,
        quantization_args=_online_args(sixteen_bit, mixed=mixed),
        kv_cache_dtype=kv_cache_dtype,
        decisions=(_explain_online(sixteen_bit, card, mixed=mixed),),
    )


def _published(model: Model, precision: Precision) -> Checkpoint | None:
    if precision is Precision.FP16:
        precision = Precision.BF16
    return model.checkpoints.get(precision)


def _published_scheme(checkpoint: Checkpoint, card: Card) -> WeightScheme:
    if checkpoint.format is CheckpointFormat.BITS16:
        return SIXTEEN_BIT
    storage = _STORAGE[checkpoint.format]
    hopper = (card.compute_capability or (0, 0)) >= _HOPPER
    if storage is WeightFormat.FP8_BLOCK and hopper:
        storage = WeightFormat.FP8_BLOCK_NATIVE
    scheme = uniform_scheme(storage, group_size=checkpoint.group_size)
    scheme = replace(scheme, keeps_source_scales=hopper and storage in _MACHETE)
    return scheme.without(checkpoint.sixteen_bit_parts)


def _online_scheme(*, mixed: bool) -> WeightScheme:
    scheme = uniform_scheme(WeightFormat.FP8, quantised_at_load=True)
    return scheme.without({WeightPart.ATTENTION}) if mixed else scheme


def _online_args(checkpoint: Checkpoint, *, mixed: bool) -> tuple[str, ...]:
    config: dict[str, object] = {"linear": "fp8_per_tensor"}
    if checkpoint.geometry.experts is not None:
        config["moe"] = "fp8_per_tensor"
    if ignored := _sixteen_bit_patterns(checkpoint.geometry, mixed=mixed):
        config["ignore"] = ignored
    return ("--quantization", "online", "--quantization-config", json.dumps(config))


def _sixteen_bit_patterns(geometry: Geometry, *, mixed: bool) -> list[str]:
    """Modules that a conversion while loading leaves in 16 bits."""
    attention = ["re:.*self_attn.*"] if mixed else []
    linear = ["re:.*linear_attn.*"] if mixed and geometry.is_hybrid else []
    vision = ["re:.*visual.*"] if geometry.vision is not None else []
    return attention + linear + vision


def _check_card(precision: Precision, card: Card) -> Refusal | None:
    capability = card.compute_capability
    if capability is None:
        if precision in {Precision.BF16, Precision.FP16}:
            return None
        return Refusal(
            f"precision is {precision}, but {card.name} runs only bf16 and fp16; "
            "set precision to bf16"
        )
    if capability >= _AMPERE:
        return None
    return Refusal(
        f"gpu is {card.name} with compute capability {capability[0]}.{capability[1]}, but "
        "bfloat16 and the Marlin kernels need 8.0 or newer; use an Ampere card or newer"
    )


def _check_kv_cache_dtype(dtype: KvCacheDtype, model_dtype: str, card: Card) -> Refusal | None:
    if dtype in {KvCacheDtype.BFLOAT16, KvCacheDtype.FLOAT16} and dtype != model_dtype:
        return Refusal(
            f"kvCacheDtype is {dtype}, but the model computes in {model_dtype}; "
            "set kvCacheDtype to auto, or to fp8 to halve the cache"
        )
    if card.is_cpu and dtype not in {
        KvCacheDtype.AUTO,
        KvCacheDtype.BFLOAT16,
        KvCacheDtype.FLOAT16,
    }:
        return Refusal(
            f"kvCacheDtype is {dtype}, but vLLM's CPU build keeps the cache in 16 bits; "
            "set kvCacheDtype to auto"
        )
    capability = card.compute_capability
    if dtype is KvCacheDtype.FP8_PER_TOKEN_HEAD and capability is not None and capability < _ADA:
        return Refusal(
            f"kvCacheDtype is {dtype}, but Triton attention reads FP8 only from compute capability "
            f"8.9 on and {card.name} has {capability[0]}.{capability[1]}; set kvCacheDtype to "
            "int8_per_token_head, or to fp8"
        )
    return None


def _check_kv_cache_of_checkpoint(checkpoint: Checkpoint, dtype: KvCacheDtype) -> Refusal | None:
    if dtype is not KvCacheDtype.FP8_E5M2 or checkpoint.format.precision is not Precision.FP8:
        return None
    return Refusal(
        f"kvCacheDtype is {dtype}, but vLLM refuses it with an FP8 checkpoint; "
        "set kvCacheDtype to fp8"
    )


def _refuse_unpublished(model: Model, precision: Precision) -> Refusal:
    there = ", ".join(sorted({*model.checkpoints, Precision.FP8, Precision.MIXED}))
    return Refusal(
        f"precision is {precision}, but there are no {precision} weights of {model.name} and vLLM "
        f"cannot convert to {precision} while loading; use {there}, or quantise the weights once "
        "and plan the quantised config.json"
    )


def _explain_checkpoint(checkpoint: Checkpoint, card: Card) -> str:
    name, capability = checkpoint.repository, card.compute_capability or (0, 0)
    match checkpoint.format:
        case CheckpointFormat.BITS16:
            return f"Weights: {name}, 16-bit as published."
        case CheckpointFormat.FP8_BLOCK if capability < _HOPPER:
            return (
                f"Weights: {name}, FP8 in blocks of 128 x 128, which this card runs weight-only "
                "(Marlin W8A16): half the memory, no faster prefill."
            )
        case CheckpointFormat.FP8 if capability < _ADA:
            return (
                f"Weights: {name}, FP8, which compute capability {capability[0]}.{capability[1]} "
                "runs weight-only (Marlin W8A16): half the memory, no faster prefill."
            )
        case CheckpointFormat.FP8 | CheckpointFormat.FP8_BLOCK:
            return f"Weights: {name}, FP8, native on this card (W8A8)."
        case CheckpointFormat.INT8:
            return f"Weights: {name}, INT8, native on this card (CUTLASS W8A8)."
        case _:
            return (
                f"Weights: {name} ({checkpoint.format}), weight-only through "
                f"{'Machete' if capability >= _HOPPER else 'Marlin'}; "
                "embedding and lm_head stay 16-bit."
            )


def _explain_online(checkpoint: Checkpoint, card: Card, *, mixed: bool) -> str:
    what = "the feed-forward layers" if mixed else "every linear layer"
    native = (card.compute_capability or (0, 0)) >= _ADA
    how = (
        "native FP8 on this card (W8A8)"
        if native
        else "weight-only on this card (Marlin W8A16): half the memory, no faster prefill"
    )
    return (
        f"Weights: {checkpoint.repository}, 16-bit on disk; vLLM converts {what} to FP8 while "
        f"loading, {how}."
    )
