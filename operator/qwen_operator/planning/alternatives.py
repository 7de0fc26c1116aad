"""The nearest requests that fit where the one that was asked for does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from qwen_operator.api.enums import KvCacheDtype, Precision
from qwen_operator.api.spec import MAX_TENSOR_PARALLEL_SIZE
from qwen_operator.planning.request import PlanRequest
from qwen_operator.planning.result import Alternative, CardPlan
from qwen_operator.planning.row import plan_row
from qwen_operator.planning.workload import WORKLOADS
from qwen_operator.units import format_bytes

_ROUND_TOKENS = 256
_MOST_SHOWN = 4
_SMALLER_PRECISIONS = (Precision.FP8, Precision.MIXED, Precision.INT8, Precision.INT4)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A changed request: the fields of the spec that changed, in words and as an option."""

    request: PlanRequest
    changes: dict[str, str | int]
    words: tuple[str, ...]


def nearest_alternatives(row: CardPlan) -> tuple[Alternative, ...]:
    """The longest context as it is, then up to four requests that keep the context.

    Ordered by the number of GPUs, then by the number of changes. Only needful changes are shown:
    none that a shown alternative does without. Empty where eight such cards cannot serve it.
    """
    if row.fits or row.request.engine.kv_cache_bytes is not None:
        return ()
    shorter = [_fitting(row, candidate) for candidate in _shorter_context(row)]
    return (*(each for each in shorter if each), *_needful(row))


def _needful(row: CardPlan) -> list[Alternative]:
    shown: list[Alternative] = []
    for size in _gpu_counts(row):
        # On more GPUs only what fits there and fewer GPUs could not do at all.
        if len(shown) >= _MOST_SHOWN or (shown and size > 2 * row.request.tensor_parallel_size):
            break
        for candidate in sorted(_changes(row, size), key=lambda each: len(each.changes)):
            superfluous = any(each.changes.items() <= candidate.changes.items() for each in shown)
            if superfluous or len(shown) >= _MOST_SHOWN:
                continue
            if (alternative := _fitting(row, candidate)) is not None:
                shown.append(alternative)
    return shown


def _gpu_counts(row: CardPlan) -> Iterator[int]:
    size = row.request.tensor_parallel_size
    yield size
    while (size := 2 * size) <= MAX_TENSOR_PARALLEL_SIZE and not row.card.is_cpu:
        yield size


def _changes(row: CardPlan, size: int) -> Iterator[_Candidate]:
    """Every combination of batch, vision, cache and precision on this many GPUs."""
    base = _Candidate(row.request, {}, ())
    if size != row.request.tensor_parallel_size:
        base = _Candidate(
            replace(row.request, tensor_parallel_size=size),
            {"tensorParallelSize": size},
            (f"{size} such cards",),
        )
    for candidate in (base, *_smaller_batch(base, row)):
        for with_vision in (candidate, *_without_vision(candidate)):
            for with_precision, fp8 in product(_precisions(with_vision), (False, True)):
                changed = _with_fp8_cache(with_precision, row) if fp8 else with_precision
                if changed is not None and changed.changes:
                    yield changed


def _precisions(base: _Candidate) -> Iterator[_Candidate]:
    yield base
    for precision in _SMALLER_PRECISIONS:
        if precision is not base.request.precision:
            request = replace(base.request, precision=precision)
            yield _changed(base, request, "precision", str(precision), f"precision {precision}")


def _with_fp8_cache(base: _Candidate, row: CardPlan) -> _Candidate | None:
    engine = base.request.engine
    mixed = base.request.precision is Precision.MIXED
    if engine.kv_cache_dtype is not KvCacheDtype.AUTO or row.card.is_cpu or mixed:
        return None
    request = replace(base.request, engine=replace(engine, kv_cache_dtype=KvCacheDtype.FP8))
    return _changed(base, request, "engine.kvCacheDtype", "fp8", "KV cache in FP8")


def _smaller_batch(base: _Candidate, row: CardPlan) -> Iterator[_Candidate]:
    """The largest usual batch below what was asked for that fits, the pool's blocks at most."""
    wished = base.request.engine.max_num_seqs
    if wished is None:
        return
    usual = [size for size in WORKLOADS[base.request.profile].max_num_seqs if size < wished]
    for size in usual:
        request = replace(base.request, engine=replace(base.request.engine, max_num_seqs=size))
        result = plan_row(request, row.card)
        if isinstance(result, CardPlan) and result.fits:
            words = f"at most {size} requests at a time"
            yield _changed(base, request, "engine.maxNumSeqs", size, words)
            return


def _without_vision(base: _Candidate) -> Iterator[_Candidate]:
    engine = base.request.engine
    if base.request.model.geometry.vision is None or engine.language_model_only:
        return
    request = replace(base.request, engine=replace(engine, language_model_only=True))
    yield _changed(base, request, "engine.languageModelOnly", "true", "no vision tower")


def _shorter_context(row: CardPlan) -> Iterator[_Candidate]:
    longest = min(row.longest_context_tokens, row.request.context_length)
    tokens = longest - longest % _ROUND_TOKENS if longest >= _ROUND_TOKENS else longest
    if 0 < tokens < row.request.context_length:
        request = replace(row.request, context_length=tokens)
        yield _Candidate(request, {"contextLength": tokens}, (f"context {tokens:,}",))


def _changed(
    base: _Candidate, request: PlanRequest, field: str, value: str | int, words: str
) -> _Candidate:
    return _Candidate(request, {**base.changes, field: value}, (*base.words, words))


def _fitting(row: CardPlan, candidate: _Candidate) -> Alternative | None:
    result = plan_row(candidate.request, row.card)
    if not isinstance(result, CardPlan) or not result.fits:
        return None
    each = " a card" if candidate.request.tensor_parallel_size > 1 else ""
    return Alternative(
        changes=candidate.changes,
        sentence=(
            f"{', '.join(candidate.words)}: {format_bytes(result.kv_cache_bytes)} of KV "
            f"cache{each}, {result.kv_cache_tokens:,} tokens, {result.max_concurrency:.2f} "
            f"requests of {result.shape.max_model_len:,} at once"
        ),
        kv_cache_tokens=result.kv_cache_tokens,
        max_concurrency=result.max_concurrency,
    )
