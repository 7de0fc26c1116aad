"""The nearest requests that fit where the one that was asked for does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from qwen_operator.api.enums import KvCacheDtype, Precision
from qwen_operator.planning.request import PlanRequest
from qwen_operator.planning.result import Alternative, CardPlan
from qwen_operator.planning.row import plan_row
from qwen_operator.planning.tensor_parallel import MAX_TENSOR_PARALLEL_SIZE
from qwen_operator.planning.units import format_bytes

_ROUND_TOKENS = 1024
_SMALLER_PRECISIONS = (Precision.FP8, Precision.MIXED, Precision.INT8, Precision.INT4)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A changed request, what was changed as fields of the spec, and in words."""

    request: PlanRequest
    changes: dict[str, str | int]
    words: str


def nearest_alternatives(row: CardPlan) -> tuple[Alternative, ...]:
    """One-change requests that fit this card; two changes where only less context would do.

    Ordered as a user would try them: less context, fewer requests, a smaller KV cache, smaller
    weights, more GPUs.
    """
    if row.fits or row.request.engine.kv_cache_bytes is not None:
        return ()
    unchanged = _Candidate(row.request, {}, "")
    shorter = _fitting(row, _shorter_context(row))
    single = _fitting(row, _single_changes(unchanged, row))
    if single:
        return (*shorter, *single)
    return (*shorter, *_fitting(row, _double_changes(unchanged, row)))


def _shorter_context(row: CardPlan) -> Iterator[_Candidate]:
    longest = min(row.longest_context_tokens, row.request.context_length)
    tokens = longest - longest % _ROUND_TOKENS if longest >= _ROUND_TOKENS else longest
    if 0 < tokens < row.request.context_length:
        request = replace(row.request, context_length=tokens)
        yield _Candidate(request, {"contextLength": tokens}, f"context {tokens:,}")


def _single_changes(base: _Candidate, row: CardPlan) -> Iterator[_Candidate]:
    yield from _fewer_requests(base, row)
    yield from _fp8_cache(base, row)
    for precision in _SMALLER_PRECISIONS:
        if precision is not base.request.precision:
            yield _with_precision(base, precision)
    yield from _more_gpus(base, row)


def _double_changes(base: _Candidate, row: CardPlan) -> Iterator[_Candidate]:
    for precision in (Precision.INT4, Precision.FP8):
        changed = _with_precision(base, precision)
        yield from _fp8_cache(changed, row)
        yield from _more_gpus(changed, row)


def _fewer_requests(base: _Candidate, row: CardPlan) -> Iterator[_Candidate]:
    """For a hybrid model, whose every request needs a block for its state."""
    wished, blocks = base.request.engine.max_num_seqs, row.layout.blocks(row.kv_cache_bytes)
    if wished is None or not 0 < blocks < wished or not row.layout.state_blocks_per_request:
        return
    engine = replace(base.request.engine, max_num_seqs=blocks)
    yield _changed(
        base, replace(base.request, engine=engine), "engine.maxNumSeqs", blocks,
        f"at most {blocks} requests at a time",
    )  # fmt: skip


def _with_precision(base: _Candidate, precision: Precision) -> _Candidate:
    request = replace(base.request, precision=precision)
    return _changed(base, request, "precision", str(precision), f"precision {precision}")


def _fp8_cache(base: _Candidate, row: CardPlan) -> Iterator[_Candidate]:
    engine = base.request.engine
    if engine.kv_cache_dtype is KvCacheDtype.AUTO and not row.card.is_cpu:
        request = replace(base.request, engine=replace(engine, kv_cache_dtype=KvCacheDtype.FP8))
        yield _changed(base, request, "engine.kvCacheDtype", "fp8", "KV cache in FP8")


def _more_gpus(base: _Candidate, row: CardPlan) -> Iterator[_Candidate]:
    """The smallest power of two times the GPUs that fits."""
    size = 2 * base.request.tensor_parallel_size
    while size <= MAX_TENSOR_PARALLEL_SIZE and not row.card.is_cpu:
        request = replace(base.request, tensor_parallel_size=size)
        if (result := plan_row(request, row.card)) and isinstance(result, CardPlan) and result.fits:
            yield _changed(base, request, "tensorParallelSize", size, f"{size} such cards")
            return
        size *= 2


def _changed(
    base: _Candidate, request: PlanRequest, field: str, value: str | int, words: str
) -> _Candidate:
    joined = f"{base.words} with {words}" if base.words else words
    return _Candidate(request, {**base.changes, field: value}, joined)


def _fitting(row: CardPlan, candidates: Iterator[_Candidate]) -> tuple[Alternative, ...]:
    return tuple(
        Alternative(
            changes=candidate.changes,
            sentence=(
                f"{candidate.words}: {format_bytes(result.kv_cache_bytes)} of KV cache, "
                f"{result.kv_cache_tokens:,} tokens, {result.max_concurrency:.2f} requests of "
                f"{result.shape.max_model_len:,} tokens at once"
            ),
            kv_cache_tokens=result.kv_cache_tokens,
            max_concurrency=result.max_concurrency,
        )
        for candidate in candidates
        if isinstance(result := plan_row(candidate.request, row.card), CardPlan) and result.fits
    )
