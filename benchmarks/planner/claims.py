"""Two claims of published guides, judged by the plan: ``make claims`` writes ``docs/claims.md``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from benchmarks.planner.markdown import table
from qwen_operator.api.enums import KvCacheDtype, Precision
from qwen_operator.catalog.cards import DEFAULT_CARD_NAMES, find_card
from qwen_operator.catalog.models import find_model, model_from_config
from qwen_operator.catalog.vllm_versions import GPU_VLLM_VERSION
from qwen_operator.planning.plan import plan
from qwen_operator.planning.request import EngineChoices, PlanRequest
from qwen_operator.planning.result import CardPlan, CardResult
from qwen_operator.units import GIB

PAGE = Path(__file__).parents[2] / "docs" / "claims.md"
_HEADINGS = ["weights", "KV cache", "card", "fits", "loaded, GiB", "KV needed, GiB",
             "KV safely left, GiB", "longest context", "what would make it so"]  # fmt: skip
_CACHES = (KvCacheDtype.BFLOAT16, KvCacheDtype.FP8)


def claim_rows(requests: Iterable[tuple[str, PlanRequest]]) -> list[list[str]]:
    """One line a request and card."""
    rows = []
    for label, request in requests:
        for result in plan(request, map(find_card, DEFAULT_CARD_NAMES)):
            rows.append(_row(label, request, result))
    return rows


def _row(label: str, request: PlanRequest, result: CardResult) -> list[str]:
    cache = "16-bit" if request.engine.kv_cache_dtype is KvCacheDtype.BFLOAT16 else "FP8"
    if not isinstance(result, CardPlan):
        return [label, cache, result.card.name, "no", "", "", "", "", result.refusal.sentence]
    changes = ", or ".join(
        alternative.sentence.split(":", maxsplit=1)[0] for alternative in result.alternatives
    )
    return [
        label,
        cache,
        result.card.name,
        "yes" if result.fits else "no",
        f"{result.budget.weights_bytes / GIB:.2f}",
        f"{result.layout.bytes_for_request(request.context_length) / GIB:.2f}",
        f"{result.kv_cache_bytes / GIB:.2f}",
        f"{result.longest_context_tokens:,}",
        changes,
    ]


def small_model_requests() -> Iterable[tuple[str, PlanRequest]]:
    """Qwen3-4B-Instruct-2507 at 262,144 tokens on one card, in every precision."""
    model = find_model("Qwen/Qwen3-4B-Instruct-2507")
    base = PlanRequest(
        model=model, vllm_version=GPU_VLLM_VERSION, context_length=262_144,
        engine=EngineChoices(max_num_seqs=4),
    )  # fmt: skip
    for cache in _CACHES:
        engine = replace(base.engine, kv_cache_dtype=cache)
        for precision in (Precision.BF16, Precision.MIXED, Precision.FP8):
            yield str(precision), replace(base, precision=precision, engine=engine)
        awq = model_from_config(model.name, _as_awq())
        yield (
            "int4 (an AWQ of your own)",
            replace(base, model=awq, precision=Precision.INT4, engine=engine),
        )
    roomy = replace(base.engine, kv_cache_dtype=KvCacheDtype.FP8, gpu_memory_utilization=0.97)
    yield (
        "int4 (an AWQ of your own), utilisation 0.97",
        replace(base, model=awq, precision=Precision.INT4, engine=roomy),
    )
    two = replace(base, tensor_parallel_size=2, precision=Precision.MIXED)
    yield "mixed, two cards", replace(two, engine=replace(base.engine, kv_cache_dtype=_CACHES[1]))


def four_card_requests() -> Iterable[tuple[str, PlanRequest]]:
    """Qwen2.5-7B-Instruct at 131,072 tokens on four cards, and on fewer."""
    base = PlanRequest(
        model=find_model("Qwen/Qwen2.5-7B-Instruct"),
        vllm_version=GPU_VLLM_VERSION,
        context_length=131_072,
    )
    for cache in _CACHES:
        engine = replace(base.engine, kv_cache_dtype=cache)
        for size in (4, 2, 1):
            for precision in (Precision.BF16, Precision.INT4):
                yield (
                    f"{precision}, {size} card{'s' if size > 1 else ''}",
                    replace(base, tensor_parallel_size=size, precision=precision, engine=engine),
                )


def _as_awq() -> dict[str, object]:
    """The config.json that an AWQ of Qwen3-4B-Instruct-2507 has; Qwen publishes none."""
    return {
        "model_type": "qwen3", "hidden_size": 2560, "intermediate_size": 9728,
        "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8,
        "head_dim": 128, "vocab_size": 151936, "tie_word_embeddings": True,
        "max_position_embeddings": 262144, "rope_theta": 5000000,
        "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128,
                                "zero_point": True},
    }  # fmt: skip


_TEXT = """\
# Two claims, checked

Published guides say both. This page is computed by `make claims`; the plan's bands are explained in
[accuracy.md](accuracy.md), its arithmetic in [memory-model.md](memory-model.md).

## "Qwen3-4B-Instruct-2507 serves 262,144 tokens on one 24 GB card in 14.5 GB"

The guides mean attention in 16 bits, feed-forward layers in 8 bits and an FP8 KV cache. **It does
not.** One request of 262,144 tokens needs 18.00 GiB of FP8 KV cache alone (73,728 bytes a token),
36 GiB in 16 bits; with 5.1 GiB of weights that is 23.1 GiB before vLLM has allocated anything, and
an RTX 4090 shows 23.52 GiB. INT8 instead of FP8 feed-forward layers weighs the same. What does
serve 262,144 tokens: two cards of any kind with an FP8 cache, or one 4090 with 4-bit weights, an
FP8 cache, four requests at a time and all of the card that load safely leaves (a utilisation of
about 0.947; the plan cuts 0.97 down to it).

{small}

## "Qwen2.5-7B serves 131,072 tokens on four RTX 4090 D"

**True, and two cards are enough.** The four KV heads divide over four GPUs, so each holds a quarter
of the cache: 1.75 GiB in 16 bits for one such request, beside 3.7 GiB of weights. It needs YaRN
with factor 4 over the native 32,768 tokens, given through `--hf-overrides` with
`max_position_embeddings` in it, and NCCL through shared memory, for GeForce cards have no
peer-to-peer access. One card is enough with 4-bit weights, or with an FP8 cache.

{four}
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(
        _TEXT.format(
            small=table(_HEADINGS, claim_rows(small_model_requests())),
            four=table(_HEADINGS, claim_rows(four_card_requests())),
        ),
        encoding="utf-8",
    )
    print(f"wrote {PAGE.relative_to(PAGE.parents[1])}")


if __name__ == "__main__":
    main()
