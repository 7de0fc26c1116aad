"""Whether a pool of KV cache serves a request, and why not."""

from __future__ import annotations

from qwen_operator.planning.case import Case
from qwen_operator.planning.result import Budget
from qwen_operator.units import format_bytes


def judge(case: Case, budget: Budget, kv_cache_bytes: int, max_num_seqs: int) -> tuple[bool, str]:
    """Whether it fits, and one sentence with the numbers that decide."""
    layout, tokens = case.layout, case.context.max_model_len
    most = budget.kv_cache_bytes_expected + budget.band_bytes
    if case.request.engine.kv_cache_bytes is not None and kv_cache_bytes > max(0, most):
        return False, (
            f"you ask for {format_bytes(kv_cache_bytes)} of KV cache, but beside weights and vLLM "
            f"itself there are at most {format_bytes(max(0, most))}"
        )
    needed = layout.bytes_for_request(tokens)
    if kv_cache_bytes < needed:
        return False, (
            f"contextLength {tokens:,} needs {format_bytes(needed)} of KV cache, but "
            f"{_what_there_is(case, budget, kv_cache_bytes)}"
        )
    blocks = layout.blocks(kv_cache_bytes)
    if layout.state_blocks_per_request and max_num_seqs > blocks:
        return False, (
            f"maxNumSeqs {max_num_seqs} needs a state block for each request, but the pool has "
            f"{blocks}; set maxNumSeqs to {blocks} or less"
        )
    return True, (
        f"{format_bytes(kv_cache_bytes)} of KV cache holds "
        f"{layout.tokens(kv_cache_bytes, tokens):,} tokens"
    )


def _what_there_is(case: Case, budget: Budget, kv_cache_bytes: int) -> str:
    holds = f"which holds {case.layout.longest_request(kv_cache_bytes):,} tokens"
    if case.request.engine.kv_cache_bytes is not None:
        return f"{format_bytes(kv_cache_bytes)} is what you ask for, {holds}"
    if kv_cache_bytes:
        return f"{format_bytes(kv_cache_bytes)} is safely left, {holds}"
    return (
        f"beside {format_bytes(budget.weights_bytes)} of weights and "
        f"{format_bytes(budget.non_kv.total)} that vLLM itself uses nothing is safely left"
    )
