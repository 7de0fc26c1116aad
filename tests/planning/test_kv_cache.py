from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.planner.measurements import Measurement, load_measurements
from qwen_operator.api.enums import KvCacheDtype
from qwen_operator.catalog.models import find_model
from qwen_operator.planning.kv_cache import (
    CPU_BLOCK_TOKENS,
    KvCacheLayout,
    kv_cache_layout,
)
from qwen_operator.units import GIB
from tests.planning.examples import ALL_MODELS, HYBRID_MODELS, ROUNDED_GIB, plan_of

DENSE_MODELS = tuple(name for name in ALL_MODELS if name not in HYBRID_MODELS)
AUTO, FP8 = KvCacheDtype.AUTO, KvCacheDtype.FP8


def layout_of(
    model: str,
    *,
    tp: int = 1,
    dtype: KvCacheDtype = AUTO,
    prefix_caching: bool = True,
    **more: int,
) -> KvCacheLayout:
    return kv_cache_layout(
        find_model(model).geometry,
        tensor_parallel_size=tp,
        dtype=dtype,
        prefix_caching=prefix_caching,
        **more,
    )


def token_bytes(layout: KvCacheLayout) -> float:
    return layout.bytes_per_block / layout.block_tokens


STARTED = [run for run in load_measurements() if run.run.get("kv_tokens") is not None]
REFUSED = [run for run in load_measurements() if run.refused and run.available_kv_gib is not None]


@pytest.mark.parametrize("run", STARTED, ids=lambda run: run.key)
def test_a_measured_pool_holds_the_tokens_that_vllm_logged(run: Measurement) -> None:
    layout = plan_of(run.request, run.card).layout
    least, most = run.kv_bytes_bounds
    length = run.request.context_length
    assert layout.tokens(least, length) <= run.run["kv_tokens"] <= layout.tokens(most, length)


@pytest.mark.parametrize("run", STARTED, ids=lambda run: run.key)
def test_a_measured_pool_gives_the_concurrency_that_vllm_logged(run: Measurement) -> None:
    layout = plan_of(run.request, run.card).layout
    least, most = (
        layout.max_concurrency(pool, run.request.context_length) for pool in run.kv_bytes_bounds
    )
    assert least - 0.005 <= run.run["max_concurrency"] <= most + 0.005


@pytest.mark.parametrize(
    "run", [run for run in STARTED if run.pinned_kv_bytes], ids=lambda run: run.key
)
def test_a_pinned_pool_is_planned_to_the_token(run: Measurement) -> None:
    engine = replace(run.request.engine, kv_cache_bytes=run.pinned_kv_bytes)
    row = plan_of(replace(run.request, engine=engine), run.card)
    assert row.kv_cache_bytes == run.pinned_kv_bytes
    assert row.kv_cache_tokens == run.run["kv_tokens"]
    assert round(row.max_concurrency, 2) == run.run["max_concurrency"]


@pytest.mark.parametrize("run", REFUSED, ids=lambda run: run.key)
def test_a_pool_that_vllm_refused_is_too_small_here_too(run: Measurement) -> None:
    layout = plan_of(run.request, run.card).layout
    assert layout.bytes_for_request(run.request.context_length) > run.available_kv_gib * GIB


class PublicLog(NamedTuple):
    model: str
    dtype: KvCacheDtype
    tp: int
    available_gib: float
    length: int
    tokens: int


PUBLIC_LOGS = [
    PublicLog("Qwen/Qwen3-8B", AUTO, 1, 8.60, 40_960, 62_608),
    PublicLog("Qwen/Qwen3-14B", AUTO, 1, 11.57, 40_960, 75_824),
    PublicLog("Qwen/Qwen3-4B", AUTO, 1, 10.74, 8_192, 78_208),
    PublicLog("Qwen/Qwen3-Coder-30B-A3B-Instruct", AUTO, 2, 10.22, 32_768, 223_168),
    PublicLog("Qwen/Qwen2.5-32B-Instruct", AUTO, 2, 7.71, 32_768, 63_152),
    PublicLog("Qwen/Qwen3.6-35B-A3B", FP8, 1, 5.98, 131_072, 567_978),
]


@pytest.mark.parametrize("log", PUBLIC_LOGS, ids=lambda log: log.model)
def test_a_public_log_is_reproduced_within_its_rounding(log: PublicLog) -> None:
    layout = layout_of(log.model, dtype=log.dtype, tp=log.tp)
    middle = log.available_gib * GIB
    least = layout.tokens(int(middle - ROUNDED_GIB), log.length)
    most = layout.tokens(int(middle + ROUNDED_GIB), log.length)
    assert least <= log.tokens <= most


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("Qwen/Qwen2.5-0.5B", 12_288),
        ("Qwen/Qwen2.5-1.5B", 28_672),
        ("Qwen/Qwen2.5-3B", 36_864),
        ("Qwen/Qwen2.5-7B", 57_344),
        ("Qwen/Qwen2.5-14B", 196_608),
        ("Qwen/Qwen2.5-32B", 262_144),
        ("Qwen/Qwen2.5-72B", 327_680),
        ("Qwen/Qwen3-0.6B", 114_688),
        ("Qwen/Qwen3-1.7B", 114_688),
        ("Qwen/Qwen3-4B", 147_456),
        ("Qwen/Qwen3-8B", 147_456),
        ("Qwen/Qwen3-14B", 163_840),
        ("Qwen/Qwen3-32B", 262_144),
        ("Qwen/Qwen3-30B-A3B", 98_304),
        ("Qwen/Qwen3-235B-A22B", 192_512),
        ("Qwen/Qwen3-Next-80B-A3B-Instruct", 24_576),
        ("Qwen/Qwen3.5-4B", 32_768),
        ("Qwen/Qwen3.5-9B", 32_768),
        ("Qwen/Qwen3.5-27B", 65_536),
        ("Qwen/Qwen3.5-35B-A3B", 20_480),
    ],
)
def test_a_token_takes_the_known_bytes_and_half_of_them_in_fp8(model: str, size: int) -> None:
    assert token_bytes(layout_of(model)) == size
    assert token_bytes(layout_of(model, dtype=FP8)) == size / 2
    assert token_bytes(layout_of(model, dtype=KvCacheDtype.FP8_E5M2)) == size / 2


@pytest.mark.parametrize("dtype", [KvCacheDtype.BFLOAT16, KvCacheDtype.FLOAT16])
def test_naming_a_16_bit_cache_changes_nothing(dtype: KvCacheDtype) -> None:
    assert layout_of("Qwen/Qwen3-8B", dtype=dtype) == layout_of("Qwen/Qwen3-8B")


@pytest.mark.parametrize(
    ("dtype", "bytes_per_head"),
    [
        (KvCacheDtype.INT8_PER_TOKEN_HEAD, 2 * 128 + 8),
        (KvCacheDtype.FP8_PER_TOKEN_HEAD, 2 * 128 + 8),
        (KvCacheDtype.INT4_PER_TOKEN_HEAD, 2 * 64 + 8),
    ],
)
def test_a_per_token_head_format_keeps_eight_bytes_of_scales(
    dtype: KvCacheDtype, bytes_per_head: int
) -> None:
    assert token_bytes(layout_of("Qwen/Qwen3-8B", dtype=dtype)) == 36 * 8 * bytes_per_head


@pytest.mark.parametrize(("tp", "heads"), [(1, 4), (2, 2), (4, 1), (8, 1)])
def test_kv_heads_are_divided_and_then_repeated(tp: int, heads: int) -> None:
    layout = layout_of("Qwen/Qwen3-30B-A3B", tp=tp)
    assert token_bytes(layout) == 48 * heads * 2 * 128 * 2


@pytest.mark.parametrize("model", DENSE_MODELS)
def test_a_model_without_states_has_blocks_of_sixteen_tokens(model: str) -> None:
    layout = layout_of(model)
    assert (layout.block_tokens, layout.state_blocks_per_request) == (16, 0)
    assert layout_of(model, prefix_caching=False) == layout
    assert layout_of(model, block_tokens=CPU_BLOCK_TOKENS).block_tokens == 128


# Blocks in tokens that vLLM's logs show for 16-bit and for FP8.
HYBRID_BLOCKS = {
    "Qwen/Qwen3-Next-80B-A3B-Instruct": (544, 1072),
    "Qwen/Qwen3.5-0.8B": (544, 1072),
    "Qwen/Qwen3.5-4B": (528, 1056),
    "Qwen/Qwen3.5-9B": (528, 1056),
    "Qwen/Qwen3.5-27B": (784, 1568),
    "Qwen/Qwen3.8-27B": (784, 1568),
    "Qwen/Qwen3.5-35B-A3B": (1056, 2096),
    "Qwen/Qwen3.5-122B-A10B": (2096, 4176),
    "Qwen/Qwen3.5-397B-A17B": (2096, 4176),
}


@pytest.mark.parametrize("model", HYBRID_BLOCKS)
def test_a_block_of_a_hybrid_holds_one_state(model: str) -> None:
    assert (
        layout_of(model).block_tokens,
        layout_of(model, dtype=FP8).block_tokens,
    ) == HYBRID_BLOCKS[model]


def test_tensor_parallelism_keeps_the_block_until_kv_heads_repeat() -> None:
    model = "Qwen/Qwen3.5-27B"
    assert {layout_of(model, tp=tp).block_tokens for tp in (1, 2, 4)} == {784}
    assert layout_of(model, tp=8).block_tokens < 784


@pytest.mark.parametrize("model", HYBRID_MODELS)
def test_a_request_of_a_hybrid_pins_two_states_a_group_with_prefix_caching(model: str) -> None:
    geometry = find_model(model).geometry
    groups = -(-geometry.linear_attention_layers // geometry.full_attention_layers)
    assert layout_of(model).state_blocks_per_request == 2 * groups
    assert layout_of(model, prefix_caching=False).state_blocks_per_request == groups


def test_a_long_request_of_27b_needs_the_known_number_of_blocks() -> None:
    layout = layout_of("Qwen/Qwen3.6-27B")
    assert layout.blocks_per_request(40_960) == 59
    assert layout.bytes_per_block == 49 * (1 << 20)


layouts = st.builds(
    layout_of,
    st.sampled_from(ALL_MODELS),
    tp=st.sampled_from([1, 2, 4, 8]),
    dtype=st.sampled_from(list(KvCacheDtype)),
    prefix_caching=st.booleans(),
)
pools = st.integers(min_value=-GIB, max_value=96 * GIB)
lengths = st.integers(min_value=1, max_value=1 << 20)


@given(layouts, lengths)
def test_the_smallest_pool_for_a_request_is_the_smallest(layout: KvCacheLayout, n: int) -> None:
    needed = layout.bytes_for_request(n)
    assert layout.longest_request(needed) >= n
    assert layout.longest_request(needed - 1) < n


@given(layouts, pools, lengths)
def test_a_pool_that_admits_a_request_has_a_concurrency_of_one(
    layout: KvCacheLayout, pool: int, n: int
) -> None:
    assert layout.tokens(pool, n) >= 0
    if pool >= layout.bytes_for_request(n):
        assert layout.max_concurrency(pool, n) > 1
        assert layout.tokens(pool, n) >= n
    assert layout.max_concurrency(pool, n) * n == pytest.approx(layout.tokens(pool, n), abs=1)


@given(layouts, pools, pools, lengths)
def test_a_larger_pool_never_holds_less(
    layout: KvCacheLayout, one: int, other: int, n: int
) -> None:
    small, large = sorted((one, other))
    assert layout.tokens(small, n) <= layout.tokens(large, n)
    assert layout.longest_request(small) <= layout.longest_request(large)
