"""The nearest requests that fit where the one that was asked for does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from qwen_operator.api.enums import KvCacheDtype, Precision
from qwen_operator.planning.request import PlanRequest
from qwen_operator.planning.result import Alternative, CardPlan
from qwen_operator.planning.row import plan_row
from qwen_operator.planning.tensor_parallel import MAX_TENSOR_PARALLEL_SIZE
from qwen_operator.planning.units import format_bytes

_ROUND_TOKENS = 1024
_SMALLER_PRECISIONS = (Precision.FP8, Precision.MIXED, Precision.INT8, Precision.INT4)


def nearest_alternatives(row: CardPlan) -> tuple[Alternative, ...]:
    """One-change requests that fit this card; two changes where no single one does.

    Ordered as a user would try them: shorter context, smaller KV cache, smaller weights, more GPUs.
    """
    if row.fits or row.request.engine.kv_cache_bytes is not None:
        return ()
    single = [*_shorter_context(row), *_single_changes(row.request, row)]
    if any(alternative.field != "contextLength" for alternative in single):
        return tuple(single)
    return (*single, *_double_changes(row))


def _shorter_context(row: CardPlan) -> Iterator[Alternative]:
    longest = row.longest_context_tokens
    tokens = longest - longest % _ROUND_TOKENS if longest >= _ROUND_TOKENS else longest
    if tokens > 0:
        request = replace(row.request, context_length=min(tokens, row.request.context_length))
        yield from _where_it_fits(row, request, "contextLength", tokens, f"context {tokens:,}")


def _single_changes(request: PlanRequest, row: CardPlan) -> Iterator[Alternative]:
    yield from _fp8_cache(request, row, "")
    for precision in _SMALLER_PRECISIONS:
        if precision is not request.precision:
            changed = replace(request, precision=precision)
            yield from _where_it_fits(
                row, changed, "precision", precision, f"precision {precision}"
            )
    yield from _more_gpus(request, row, "")


def _double_changes(row: CardPlan) -> Iterator[Alternative]:
    for precision in (Precision.INT4, Precision.FP8):
        changed = replace(row.request, precision=precision)
        prefix = f"precision {precision} with "
        yield from _fp8_cache(changed, row, prefix)
        yield from _more_gpus(changed, row, prefix)


def _fp8_cache(request: PlanRequest, row: CardPlan, prefix: str) -> Iterator[Alternative]:
    if request.engine.kv_cache_dtype is KvCacheDtype.AUTO and not row.card.is_cpu:
        engine = replace(request.engine, kv_cache_dtype=KvCacheDtype.FP8)
        changed = replace(request, engine=engine)
        yield from _where_it_fits(
            row, changed, "engine.kvCacheDtype", "fp8", f"{prefix}KV cache in FP8"
        )


def _more_gpus(request: PlanRequest, row: CardPlan, prefix: str) -> Iterator[Alternative]:
    size = 2 * request.tensor_parallel_size
    while size <= MAX_TENSOR_PARALLEL_SIZE and not row.card.is_cpu:
        changed = replace(request, tensor_parallel_size=size)
        found = tuple(
            _where_it_fits(row, changed, "tensorParallelSize", size, f"{prefix}{size} such cards")
        )
        if found:
            yield from found
            return
        size *= 2


def _where_it_fits(
    row: CardPlan, request: PlanRequest, field: str, value: str | int, change: str
) -> Iterator[Alternative]:
    result = plan_row(request, row.card)
    if isinstance(result, CardPlan) and result.fits:
        yield Alternative(
            field=field,
            value=value,
            sentence=(
                f"{change}: {format_bytes(result.kv_cache_bytes)} of KV cache, "
                f"{result.kv_cache_tokens:,} tokens, {result.max_concurrency:.2f} requests of "
                f"{result.shape.max_model_len:,} tokens at once"
            ),
            kv_cache_tokens=result.kv_cache_tokens,
            max_concurrency=result.max_concurrency,
        )
