"""A sentence for each choice of a plan, and for each thing a user should beware of."""

from __future__ import annotations

from collections.abc import Iterator

from qwen_operator.api.enums import KvCacheDtype
from qwen_operator.planning.case import Case
from qwen_operator.planning.engine_args import EngineSettings
from qwen_operator.planning.result import Budget
from qwen_operator.units import format_bytes


def explain_choices(case: Case, settings: EngineSettings) -> Iterator[str]:
    """One sentence a choice, in the order a reader asks."""
    yield from case.weights.decisions
    yield from case.context.decisions
    yield _explain_kv_cache(case)
    yield _explain_batch(case, settings)
    yield from case.parallel.decisions
    if state_blocks := case.layout.state_blocks_per_request:
        yield (
            f"Hybrid model: blocks of {case.layout.block_tokens} tokens; each running request pins "
            f"{state_blocks} of them for its recurrent state, so max-num-seqs stays below the "
            "number of blocks."
        )
    if settings.kv_offloading_gib:
        yield (
            f"Offloading: {settings.kv_offloading_gib} GiB of main memory keep KV cache that "
            "leaves the card."
        )


def explain_warnings(case: Case, budget: Budget, kv_cache_bytes: int) -> Iterator[str]:
    """What makes this plan less sure than others, or less than what was asked for."""
    request = case.request
    if kv_cache_bytes > max(0, budget.kv_cache_bytes_safe):
        yield (
            f"You ask for {format_bytes(kv_cache_bytes)} of KV cache, but only "
            f"{format_bytes(max(0, budget.kv_cache_bytes_safe))} is safely there."
        )
    elif budget.overcommitted_bytes:
        yield (
            f"Utilisation {request.engine.gpu_memory_utilization:g} leaves too little for the CUDA "
            "context, load growth and what is reserved; the plan gives back "
            f"{format_bytes(budget.overcommitted_bytes)}."
        )
    if case.card.is_cpu:
        yield (
            "Nobody has measured vLLM's CPU build; what it uses beside weights and KV cache is "
            "taken from GPUs."
        )
    elif not case.table.exact:
        yield (
            f"vLLM {request.vllm_version} was not measured; the constants are those of "
            f"{case.table.version}, with a wider band."
        )
    if request.model.unverified:
        yield f"Not verified for this model: {request.model.unverified}"


def _explain_kv_cache(case: Case) -> str:
    layout, dtype = case.layout, case.weights.kv_cache_dtype
    per_token = layout.bytes_per_block // layout.block_tokens
    name = "16-bit" if dtype is KvCacheDtype.AUTO else str(dtype)
    where = "a token" if case.card.is_cpu else "a token on each GPU"
    return (
        f"KV cache: {name}, {per_token:,} bytes {where}, pinned in bytes so that the start neither "
        "measures nor depends on a warm compile cache."
    )


def _explain_batch(case: Case, settings: EngineSettings) -> str:
    requests, tokens = settings.max_num_seqs, settings.max_num_batched_tokens
    many = "request" if requests == 1 else "requests"
    chosen = "" if case.request.engine.max_num_seqs else f" ({case.workload.sentence})"
    return f"Batch: at most {requests:,} {many} and {tokens:,} tokens a step{chosen}."
