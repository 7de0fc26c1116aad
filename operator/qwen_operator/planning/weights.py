"""Bytes of weights that one GPU holds, tensor by tensor.

The inventory follows vLLM's fused layers (q, k and v are one tensor, gate and up another), for
these are what its allocator sees.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from qwen_operator.catalog.checkpoints import WeightPart
from qwen_operator.catalog.geometry import Geometry
from qwen_operator.planning.allocator import LoadingAllocator, block_bytes

_GROUP = 128
"""Inputs that share a scale in AWQ, GPTQ and block FP8 checkpoints."""


class WeightFormat(StrEnum):
    """How the elements of a linear layer are stored on the GPU."""

    BITS16 = "16-bit"
    FP8 = "fp8"
    """One scale a tensor or a channel."""
    FP8_BLOCK = "fp8-block"
    """One scale for 128 x 128 elements, which Marlin spreads to one for 128 inputs."""
    FP8_BLOCK_NATIVE = "fp8-block-native"
    """The same with its own scales, from Hopper on."""
    INT8 = "int8"
    """One scale for a group of inputs (GPTQ-Int8) or a channel (compressed-tensors)."""
    INT4 = "int4"
    """GPTQ: symmetric, one scale a group."""
    INT4_ZERO_POINT = "int4-zero-point"
    """AWQ: one scale and one zero point a group."""
    FP4 = "fp4"
    """NVFP4: an FP8 scale for 16 elements."""


@dataclass(frozen=True, slots=True)
class WeightTensor:
    """``copies`` tensors of ``rows`` x ``columns`` elements (outputs x inputs) on one GPU."""

    part: WeightPart
    rows: int
    columns: int
    copies: int

    @property
    def elements(self) -> int:
        """Elements of all copies."""
        return self.rows * self.columns * self.copies


def weight_tensors(geometry: Geometry, tensor_parallel_size: int) -> Iterator[WeightTensor]:
    """Every weight tensor of the language model on one of ``tensor_parallel_size`` GPUs.

    Column- and row-parallel layers are divided, KV heads are replicated where there are fewer of
    them than GPUs, norms and routers are whole on every GPU.
    """
    tp, hidden = tensor_parallel_size, geometry.hidden_size
    attention, full = geometry.attention, geometry.full_attention_layers
    heads = attention.heads // tp
    kv_heads = attention.kv_heads_per_gpu(tp)
    queries = heads * attention.head_dim
    qkv = queries * (2 if attention.output_gate else 1) + 2 * kv_heads * attention.head_dim
    yield WeightTensor(WeightPart.ATTENTION, qkv, hidden, full)
    yield WeightTensor(WeightPart.ATTENTION, hidden, queries, full)
    if attention.bias:
        yield WeightTensor(WeightPart.UNQUANTISED, qkv, 1, full)
    if attention.qk_norm:
        yield WeightTensor(WeightPart.UNQUANTISED, attention.head_dim, 2, full)

    if (linear := geometry.linear_attention) is not None:
        count = geometry.linear_attention_layers
        values = linear.value_heads * linear.value_dim // tp
        yield WeightTensor(WeightPart.ATTENTION, linear.conv_channels // tp + values, hidden, count)
        yield WeightTensor(WeightPart.ATTENTION, 2 * linear.value_heads // tp, hidden, count)
        yield WeightTensor(WeightPart.ATTENTION, hidden, values, count)
        yield WeightTensor(
            WeightPart.UNQUANTISED, linear.conv_channels // tp, linear.conv_kernel, count
        )

    if geometry.dense_layers:
        inner = geometry.intermediate_size // tp
        yield WeightTensor(WeightPart.FFN, 2 * inner, hidden, geometry.dense_layers)
        yield WeightTensor(WeightPart.FFN, hidden, inner, geometry.dense_layers)
    if (experts := geometry.experts) is not None:
        count, inner = geometry.expert_layers, experts.intermediate_size // tp
        yield WeightTensor(WeightPart.UNQUANTISED, experts.count, hidden, count)
        yield WeightTensor(WeightPart.EXPERTS, experts.count * 2 * inner, hidden, count)
        yield WeightTensor(WeightPart.EXPERTS, experts.count * hidden, inner, count)
        if shared := experts.shared_intermediate_size // tp:
            yield WeightTensor(WeightPart.FFN, 2 * shared, hidden, count)
            yield WeightTensor(WeightPart.FFN, hidden, shared, count)
            yield WeightTensor(WeightPart.UNQUANTISED, 1, hidden, count)

    yield WeightTensor(WeightPart.UNQUANTISED, 2 * geometry.layers + 1, hidden, 1)
    embeddings = 1 if geometry.tied_embeddings else 2
    yield WeightTensor(WeightPart.EMBEDDING, geometry.vocabulary // tp, hidden, embeddings)
    if geometry.vision is not None:
        yield WeightTensor(WeightPart.VISION, geometry.vision.parameters, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightScheme:
    """The format of each part of a model that a quantisation can reach."""

    attention: WeightFormat = WeightFormat.BITS16
    ffn: WeightFormat = WeightFormat.BITS16
    experts: WeightFormat = WeightFormat.BITS16
    group_size: int = _GROUP
    quantised_at_load: bool = False
    """A 16-bit checkpoint that vLLM converts layer by layer while it loads."""
    keeps_source_scales: bool = False
    """Machete repacks the scales of linear layers into new blocks; the old ones stay behind."""

    def format_of(self, part: WeightPart) -> WeightFormat:
        """Format of a part; embeddings, norms and vision stay in 16 bits."""
        match part:
            case WeightPart.ATTENTION:
                return self.attention
            case WeightPart.FFN:
                return self.ffn
            case WeightPart.EXPERTS:
                return self.experts
            case _:
                return WeightFormat.BITS16

    def without(self, parts: Collection[WeightPart]) -> WeightScheme:
        """The same scheme with some parts left in 16 bits."""

        def kept(part: WeightPart) -> WeightFormat:
            return WeightFormat.BITS16 if part in parts else self.format_of(part)

        return replace(
            self,
            attention=kept(WeightPart.ATTENTION),
            ffn=kept(WeightPart.FFN),
            experts=kept(WeightPart.EXPERTS),
        )


SIXTEEN_BIT = WeightScheme()


def uniform_scheme(
    weight_format: WeightFormat, *, group_size: int = _GROUP, quantised_at_load: bool = False
) -> WeightScheme:
    """A scheme that stores every linear layer in one format, as published checkpoints do."""
    return WeightScheme(
        attention=weight_format,
        ffn=weight_format,
        experts=weight_format,
        group_size=group_size,
        quantised_at_load=quantised_at_load,
    )


def stored_bytes(tensor: WeightTensor, scheme: WeightScheme) -> tuple[int, ...]:
    """Bytes of the buffers that hold one copy of a tensor: elements, scales, zero points."""
    elements = tensor.rows * tensor.columns
    groups = -(-tensor.columns // scheme.group_size) * tensor.rows
    match scheme.format_of(tensor.part):
        case WeightFormat.BITS16:
            return (2 * elements,)
        case WeightFormat.FP8:
            return (elements,)
        case WeightFormat.FP8_BLOCK_NATIVE:
            return (elements, 4 * groups // _GROUP)
        case WeightFormat.FP8_BLOCK | WeightFormat.INT8:
            return (elements, 2 * groups)
        case WeightFormat.INT4:
            return (elements // 2, 2 * groups)
        case WeightFormat.INT4_ZERO_POINT:
            return (elements // 2, 2 * groups, groups // 2)
        case WeightFormat.FP4:
            return (elements // 2, elements // 16)


@lru_cache(maxsize=256)
def loaded_bytes(
    geometry: Geometry,
    scheme: WeightScheme,
    tensor_parallel_size: int,
    *,
    max_position_embeddings: int,
    vision: bool,
) -> int:
    """Bytes that vLLM reports as loaded on one GPU ("Model loading took").

    Weights, what the allocator adds to them, repacked scales, and the rotary embedding's table.
    """
    tensors = [
        tensor
        for tensor in weight_tensors(geometry, tensor_parallel_size)
        if vision or tensor.part is not WeightPart.VISION
    ]
    rotary = 2 * max_position_embeddings * geometry.attention.rotary_dim
    if scheme.quantised_at_load:
        return rotary + _converted_bytes(tensors, scheme)
    return rotary + sum(tensor.copies * _resident_bytes(tensor, scheme) for tensor in tensors)


def _resident_bytes(tensor: WeightTensor, scheme: WeightScheme) -> int:
    """Allocator blocks of one copy of a tensor."""
    buffers = stored_bytes(tensor, scheme)
    doubled = (
        scheme.keeps_source_scales and len(buffers) > 1 and tensor.part is not WeightPart.EXPERTS
    )
    return sum(map(block_bytes, buffers)) + (block_bytes(buffers[1]) if doubled else 0)


def _converted_bytes(tensors: Iterable[WeightTensor], scheme: WeightScheme) -> int:
    """Blocks left after a conversion at load, which reuses the freed 16-bit blocks of a layer."""
    allocator = LoadingAllocator()
    layered = []
    for tensor in tensors:
        if scheme.format_of(tensor.part) is not WeightFormat.BITS16:
            layered.append(tensor)
            continue
        for _ in range(tensor.copies):
            allocator.allocate(2 * tensor.rows * tensor.columns)
    for layer in range(max((tensor.copies for tensor in layered), default=0)):
        for tensor in layered:
            if layer >= tensor.copies:
                continue
            source = allocator.allocate(2 * tensor.rows * tensor.columns)
            for size in stored_bytes(tensor, scheme):
                allocator.allocate(size)
            allocator.release(source)
    return allocator.allocated_bytes
