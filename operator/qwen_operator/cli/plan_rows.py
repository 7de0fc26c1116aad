"""A result as a dictionary of plain values: the stable contract of ``-o json`` and ``-o yaml``.

Bytes are per GPU. ``weights_bytes`` + the sum of ``non_kv_bytes`` + ``kv_cache_bytes_expected`` is
``budget.requested_bytes``. Keys are only ever added.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from qwen_operator.cli.plan_explain import explain_arithmetic
from qwen_operator.planning.cost import Prices, plan_cost
from qwen_operator.planning.result import CardPlan, CardResult
from qwen_operator.planning.workload import WORKLOADS


def row_as_dict(
    result: CardResult, prices: Prices | None = None, *, explain: bool = False
) -> dict[str, Any]:
    """One row; a card that cannot be planned has only ``gpu``, ``fits`` and ``reason``."""
    if not isinstance(result, CardPlan):
        return {"gpu": result.card.name, "fits": False, "reason": result.refusal.sentence}
    budget, request = result.budget, result.request
    row: dict[str, Any] = {
        "gpu": result.card.name,
        "fits": result.fits,
        "reason": result.reason,
        "model": request.model.name,
        "checkpoint": result.model_repository,
        "precision": str(request.precision),
        "tensor_parallel_size": request.tensor_parallel_size,
        "vllm_version": request.vllm_version,
        "weights_bytes": budget.weights_bytes,
        "non_kv_bytes": budget.non_kv.by_component(),
        "kv_cache_bytes_expected": budget.kv_cache_bytes_expected,
        "band_bytes": budget.band_bytes,
        "band": "measured" if budget.measured else "inferred",
        "kv_cache_bytes": result.kv_cache_bytes,
        "kv_cache_tokens": result.kv_cache_tokens,
        "max_concurrency": round(result.max_concurrency, 4),
        "max_model_len": result.shape.max_model_len,
        "longest_context_tokens": result.longest_context_tokens,
        "max_num_seqs": result.shape.max_num_seqs,
        "max_num_batched_tokens": result.shape.max_num_batched_tokens,
        "block_tokens": result.layout.block_tokens,
        "budget": {
            "card_bytes": budget.card_bytes,
            "requested_bytes": budget.requested_bytes,
            "reserved_bytes": budget.reserved_bytes,
            "outside_bytes": budget.outside_bytes,
            "overcommitted_bytes": budget.overcommitted_bytes,
        },
        "host": asdict(result.host),
        "args": list(result.args),
        "env": dict(result.env),
        "decisions": list(result.decisions),
        "warnings": list(result.warnings),
        "alternatives": [asdict(alternative) for alternative in result.alternatives],
    }
    if prices is not None:
        typical = WORKLOADS[request.profile].typical_request_tokens
        cost = plan_cost(result, prices, typical)
        row["cost"] = None if cost is None else asdict(cost)
    if explain:
        row["explanation"] = list(explain_arithmetic(result))
    return row
