"""A plan as plain values: the stable contract of ``-o json`` and ``-o yaml``.

Bytes are per GPU. ``weights_bytes`` + the sum of ``non_kv_bytes`` + ``kv_cache_bytes_expected`` is
``budget.requested_bytes``. Keys are only ever added. ``args`` and ``env`` are empty where nothing
fits, for such flags must not run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from qwen_operator.cli.plan_explain import explain_arithmetic
from qwen_operator.cli.planned import Planned
from qwen_operator.planning.cost import Prices, plan_cost
from qwen_operator.planning.result import CardPlan, CardResult
from qwen_operator.planning.workload import WORKLOADS


def rows_as_dicts(
    planned: Planned, prices: Prices | None = None, *, explain: bool = False
) -> Iterator[dict[str, Any]]:
    """One dictionary a card; one that cannot be planned at all ends after ``reason``."""
    for result in planned.results:
        row = _common(planned, result)
        if isinstance(result, CardPlan):
            row |= _planned(result)
            if prices is not None:
                typical = WORKLOADS[planned.request.profile].typical_request_tokens
                cost = plan_cost(result, prices, typical)
                row["cost"] = None if cost is None else asdict(cost)
            if explain:
                row["explanation"] = list(explain_arithmetic(result))
        yield row


def _common(planned: Planned, result: CardResult) -> dict[str, Any]:
    request = planned.request
    fits = isinstance(result, CardPlan) and result.fits
    return {
        "gpu": result.card.name,
        "fits": fits,
        "reason": result.reason if isinstance(result, CardPlan) else result.refusal.sentence,
        "name": planned.name,
        "model": request.model.name,
        "precision": str(request.precision),
        "context_length": request.context_length,
        "tensor_parallel_size": request.tensor_parallel_size,
    }


def _planned(row: CardPlan) -> dict[str, Any]:
    budget = row.budget
    return {
        "checkpoint": row.model_repository,
        "vllm_version": row.request.vllm_version,
        "weights_bytes": budget.weights_bytes,
        "non_kv_bytes": budget.non_kv.by_component(),
        "kv_cache_bytes_expected": budget.kv_cache_bytes_expected,
        "band_bytes": budget.band_bytes,
        "band": "measured" if budget.measured else "inferred",
        "kv_cache_bytes": row.kv_cache_bytes,
        "kv_cache_tokens": row.kv_cache_tokens,
        "max_concurrency": round(row.max_concurrency, 4),
        "max_model_len": row.shape.max_model_len,
        "longest_context_tokens": row.longest_context_tokens,
        "max_num_seqs": row.shape.max_num_seqs,
        "max_num_batched_tokens": row.shape.max_num_batched_tokens,
        "block_tokens": row.layout.block_tokens,
        "budget": {
            "card_bytes": budget.card_bytes,
            "requested_bytes": budget.requested_bytes,
            "reserved_bytes": budget.reserved_bytes,
            "outside_bytes": budget.outside_bytes,
            "overcommitted_bytes": budget.overcommitted_bytes,
        },
        "host": asdict(row.host),
        "args": list(row.args) if row.fits else [],
        "env": dict(row.env) if row.fits else {},
        "decisions": list(row.decisions),
        "warnings": list(row.warnings),
        "alternatives": [asdict(alternative) for alternative in row.alternatives],
    }
