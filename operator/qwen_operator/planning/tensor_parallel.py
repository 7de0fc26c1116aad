"""Which tensor-parallel sizes a model admits, and what they need on cards without NVLink."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qwen_operator.api.spec import MAX_TENSOR_PARALLEL_SIZE
from qwen_operator.catalog.cards import Card
from qwen_operator.catalog.checkpoints import WeightPart
from qwen_operator.catalog.geometry import Geometry
from qwen_operator.planning.refusal import Refusal
from qwen_operator.planning.weights import WeightFormat, WeightScheme

_FP8_BLOCK = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelChoice:
    """Flags and environment of one tensor-parallel size."""

    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    decisions: tuple[str, ...]


def choose_parallelism(card: Card, tensor_parallel_size: int) -> ParallelChoice:
    """How the GPUs of one replica talk on this card."""
    args = ("--tensor-parallel-size", str(tensor_parallel_size))
    if tensor_parallel_size == 1 or card.is_cpu or card.peer_to_peer:
        return ParallelChoice(args=args, env=(), decisions=())
    return ParallelChoice(
        args=(*args, "--disable-custom-all-reduce"),
        env=(("NCCL_P2P_DISABLE", "1"), ("NCCL_IB_DISABLE", "1")),
        decisions=(
            f"Tensor parallelism over PCIe: {card.name} has no peer-to-peer access, so NCCL goes "
            "through shared memory and vLLM's own all-reduce is off; put the cards on one socket.",
        ),
    )


def check_parallelism(
    geometry: Geometry, scheme: WeightScheme, tensor_parallel_size: int
) -> Refusal | None:
    """Why the model cannot be divided by this size, or None."""
    for reason in _obstacles(geometry, scheme, tensor_parallel_size):
        sizes = [
            size
            for size in range(1, MAX_TENSOR_PARALLEL_SIZE + 1)
            if not any(_obstacles(geometry, scheme, size))
        ]
        return Refusal(
            f"tensorParallelSize is {tensor_parallel_size}, but {reason}; "
            f"use {' or '.join(map(str, sizes))}"
        )
    return None


def _obstacles(geometry: Geometry, scheme: WeightScheme, tp: int) -> Iterator[str]:
    attention = geometry.attention
    if attention.heads % tp:
        yield f"{attention.heads} attention heads are not divisible by it"
    if attention.kv_heads % tp and tp % attention.kv_heads:
        yield f"{attention.kv_heads} KV heads can neither be divided by it nor repeated evenly"
    if geometry.vocabulary % tp:
        yield f"a vocabulary of {geometry.vocabulary} is not divisible by it"
    if (linear := geometry.linear_attention) is not None and linear.key_heads % tp:
        yield f"{linear.key_heads} linear-attention heads are not divisible by it"
    for part, name, width in _divided_inputs(geometry):
        if width % tp:
            yield f"a {name} width of {width} is not divisible by it"
        elif tp > 1 and width // tp % (block := _shard_block(scheme, part)):
            yield (
                f"a {name} width of {width} gives shards of {width // tp}, which the "
                f"checkpoint's blocks of {block} do not divide"
            )


def _divided_inputs(geometry: Geometry) -> Iterator[tuple[WeightPart, str, int]]:
    """Inputs of the layers that tensor parallelism divides by row, whose groups must stay whole."""
    attention = geometry.attention
    yield WeightPart.ATTENTION, "attention", attention.heads * attention.head_dim
    if (linear := geometry.linear_attention) is not None:
        yield WeightPart.ATTENTION, "linear-attention", linear.value_heads * linear.value_dim
    if geometry.dense_layers:
        yield WeightPart.FFN, "feed-forward", geometry.intermediate_size
    if (experts := geometry.experts) is not None:
        yield WeightPart.EXPERTS, "feed-forward", experts.intermediate_size
        if experts.shared_intermediate_size:
            yield WeightPart.FFN, "shared feed-forward", experts.shared_intermediate_size


def _shard_block(scheme: WeightScheme, part: WeightPart) -> int:
    """Elements that a shard must keep together; 1 where any shard will do."""
    match scheme.format_of(part):
        case WeightFormat.FP8_BLOCK | WeightFormat.FP8_BLOCK_NATIVE:
            return _FP8_BLOCK
        case WeightFormat.INT4 | WeightFormat.INT4_ZERO_POINT | WeightFormat.INT8:
            return scheme.group_size
        case _:
            return 1
