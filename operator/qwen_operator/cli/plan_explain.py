"""The arithmetic of a row, line by line, with the numbers put in."""

from __future__ import annotations

from collections.abc import Iterator

from qwen_operator.planning.result import CardPlan
from qwen_operator.units import GIB

COMPONENT_WORDS = {
    "kernels": "CUDA kernels and small buffers",
    "tensor_parallel": "NCCL and all-reduce buffers",
    "sampler_state": "penalty counters and top-k rows (sequences x vocabulary)",
    "expert_workspace": "workspace of the expert kernels",
    "transient_peak": "peak of one step (largest of sampler, forward pass, vision, cold compile)",
    "cuda_graphs": "CUDA graphs, as vLLM reserves them",
    "attention_workspace": "FlashInfer workspace (FP8 KV before Hopper)",
    "lora": "LoRA slots",
}


def explain_arithmetic(row: CardPlan) -> Iterator[str]:
    """Every step from the card to the token count."""
    budget, layout = row.budget, row.layout
    share = row.request.engine.gpu_memory_utilization
    yield _line(budget.card_bytes, f"{row.card.name}, as CUDA reports it")
    yield _line(budget.requested_bytes, f"x {share:g}: what vLLM may use by its own count")
    yield _line(-budget.weights_bytes, f"weights of {row.model_repository} on each GPU")
    for name, size in budget.non_kv.by_component().items():
        if size:
            yield _line(-size, COMPONENT_WORDS[name])
    yield _line(budget.kv_cache_bytes_expected, "expected for the KV cache")
    kind = "measured" if budget.measured else "inferred"
    yield _line(-budget.band_bytes, f"error band ({kind}): the plan takes the safe end")
    if budget.overcommitted_bytes:
        yield _line(-budget.overcommitted_bytes, "given back to CUDA context, load and reserve")
    yield _line(row.kv_cache_bytes, "KV cache, in whole blocks (--kv-cache-memory-bytes)")
    blocks = layout.blocks(row.kv_cache_bytes)
    yield (
        f"{blocks:,} blocks = {row.kv_cache_bytes:,} B / {layout.bytes_per_block:,} B a block of "
        f"{layout.block_tokens} tokens"
    )
    per_request = layout.blocks_per_request(row.shape.max_model_len)
    state = layout.state_blocks_per_request
    yield (
        f"{per_request:,} blocks a request = {row.shape.max_model_len:,} tokens / "
        f"{layout.block_tokens}" + (f" + {state} for recurrent state" if state else "")
    )
    yield (
        f"{row.max_concurrency:.2f} such requests at once, {row.kv_cache_tokens:,} tokens as vLLM "
        "logs them"
    )
    yield (
        f"Outside the budget: {budget.outside_bytes / GIB:.2f} GiB for the CUDA context and growth "
        f"under load, {budget.reserved_bytes / GIB:.2f} GiB reserved"
    )


def _line(size: int, words: str) -> str:
    return f"{size / GIB:9.3f} GiB  {words}"
