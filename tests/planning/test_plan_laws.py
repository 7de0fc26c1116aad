"""Laws that hold for every plan, whatever the constants of the calibration are."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from qwen_operator.api.enums import KvCacheDtype, Precision, Profile
from qwen_operator.api.parse import parse_qwen_deployment
from qwen_operator.catalog.cards import Card, cards
from qwen_operator.catalog.models import find_model
from qwen_operator.cli.plan_rows import rows_as_dicts
from qwen_operator.cli.plan_table import render_table
from qwen_operator.cli.planned import Planned
from qwen_operator.errors import InvalidInput
from qwen_operator.planning.cost import Prices
from qwen_operator.planning.from_spec import cards_of, request_of, version_for
from qwen_operator.planning.plan import plan
from qwen_operator.planning.request import CompileCache, LoraSlots, PlanRequest
from qwen_operator.planning.result import CardPlan, CardResult
from qwen_operator.planning.row import plan_row
from qwen_operator.units import GIB
from tests.planning.examples import ALL_MODELS, HYBRID_MODELS, card_by_hand, request

LAW = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

# Half of the models do not fit small cards; those that may are worth more examples.
SMALL_MODELS = (
    "Qwen/Qwen3-0.6B",
    "Qwen/Qwen3-4B",
    "Qwen/Qwen3-8B",
    "Qwen/Qwen2.5-7B-Instruct",
    "Qwen/Qwen3.5-4B",
    "Qwen/Qwen3-VL-4B-Instruct",
    "Qwen/Qwen3-30B-A3B",
)
models = st.sampled_from(SMALL_MODELS) | st.sampled_from(ALL_MODELS)
contexts = st.sampled_from([1, 512, 8192, 32_768, 40_960, 131_072, 262_144]) | st.integers(
    min_value=1, max_value=1 << 20
)
capabilities = st.sampled_from([(8, 0), (8, 6), (8, 9), (9, 0), (12, 0)])
memories = st.floats(min_value=4, max_value=96)
cards_by_hand = st.builds(card_by_hand, memories, capabilities)
choices = st.fixed_dictionaries(
    {},
    optional={
        "max_num_seqs": st.integers(min_value=1, max_value=512),
        "max_num_batched_tokens": st.integers(min_value=512, max_value=16_384),
        "gpu_memory_utilization": st.floats(min_value=0.3, max_value=1.0),
        "kv_cache_dtype": st.sampled_from(list(KvCacheDtype)),
        "kv_offloading_gib": st.integers(min_value=1, max_value=64),
        "enforce_eager": st.booleans(),
        "prefix_caching": st.booleans(),
        "max_cudagraph_capture_size": st.integers(min_value=1, max_value=1024),
        "language_model_only": st.booleans(),
        "lora": st.builds(
            LoraSlots, max_loras=st.integers(1, 8), max_rank=st.sampled_from([8, 16, 64])
        ),
    },
)
requests = st.builds(
    request,
    models,
    precision=st.sampled_from(list(Precision)),
    context_length=contexts,
    tensor_parallel_size=st.sampled_from([1, 1, 2, 4, 8]),
    profile=st.sampled_from(list(Profile)),
    compile_cache=st.sampled_from(list(CompileCache)),
    vllm_version=st.sampled_from(["0.33.0", "0.32.0", "0.24.0"]),
    engine=choices,
)
reserves = st.sampled_from([0, 0, GIB, 4 * GIB])


def planned(asked: PlanRequest, card: Card) -> CardPlan:
    row = plan_row(asked, card)
    assume(isinstance(row, CardPlan))
    assert isinstance(row, CardPlan)
    return row


def fits(result: CardResult) -> bool:
    return isinstance(result, CardPlan) and result.fits


@LAW
@given(requests, cards_by_hand, reserves)
def test_bytes_add_up(asked: PlanRequest, card: Card, reserved: int) -> None:
    budget = planned(asked, replace(card, reserved_bytes=reserved)).budget
    assert min(budget.non_kv.by_component().values()) >= 0
    assert budget.non_kv.total == sum(budget.non_kv.by_component().values())
    assert budget.requested_bytes == (
        budget.weights_bytes + budget.non_kv.total + budget.kv_cache_bytes_expected
    )


@LAW
@given(requests, cards_by_hand, reserves)
def test_the_pool_is_at_the_safe_end_and_made_of_whole_blocks(
    asked: PlanRequest, card: Card, reserved: int
) -> None:
    row = planned(asked, replace(card, reserved_bytes=reserved))
    budget = row.budget
    safe = budget.kv_cache_bytes_expected - budget.band_bytes - budget.overcommitted_bytes
    assert 0 <= row.kv_cache_bytes <= max(0, safe)
    assert row.kv_cache_bytes % row.layout.bytes_per_block == 0
    assert max(0, safe) - row.kv_cache_bytes < row.layout.bytes_per_block


@LAW
@given(requests, cards_by_hand, reserves)
def test_nothing_is_planned_where_desktop_context_and_growth_are(
    asked: PlanRequest, card: Card, reserved: int
) -> None:
    row = planned(asked, replace(card, reserved_bytes=reserved))
    budget = row.budget
    assume(row.fits)
    used = budget.weights_bytes + budget.non_kv.total + row.kv_cache_bytes + budget.band_bytes
    assert used + reserved + budget.outside_bytes <= card.memory_bytes


@LAW
@given(requests, cards_by_hand, st.integers(min_value=0, max_value=96 * GIB))
def test_a_pool_of_the_user_s_is_taken_as_it_is(asked: PlanRequest, card: Card, pool: int) -> None:
    engine = replace(asked.engine, kv_cache_bytes=pool)
    row = planned(replace(asked, engine=engine), card)
    assert row.kv_cache_bytes == pool
    assert row.kv_cache_tokens == row.layout.tokens(pool, row.shape.max_model_len)


@LAW
@given(requests, cards_by_hand)
def test_what_fits_admits_one_request_of_full_length(asked: PlanRequest, card: Card) -> None:
    row = planned(asked, card)
    length = row.shape.max_model_len
    assert length == asked.context_length
    admits = row.kv_cache_bytes >= row.layout.bytes_for_request(length)
    assert admits == (row.longest_context_tokens >= length)
    assert admits or not row.fits
    if not asked.model.geometry.is_hybrid:
        assert row.fits == admits
    assert row.reason


@LAW
@given(requests, memories, memories, capabilities)
def test_more_memory_never_turns_fits_into_does_not_fit(
    asked: PlanRequest, one: float, other: float, capability: tuple[int, int]
) -> None:
    small, large = (card_by_hand(size, capability) for size in sorted((one, other)))
    assume(fits(plan_row(asked, small)))
    assert fits(plan_row(asked, large))


@LAW
@given(requests, cards_by_hand, contexts)
def test_a_shorter_context_never_turns_fits_into_does_not_fit(
    asked: PlanRequest, card: Card, other: int
) -> None:
    assume(fits(plan_row(asked, card)))
    shorter = replace(asked, context_length=min(other, asked.context_length))
    assert fits(plan_row(shorter, card))


@LAW
@given(requests, cards_by_hand, reserves)
def test_reserved_memory_never_gives_a_larger_pool(
    asked: PlanRequest, card: Card, reserved: int
) -> None:
    engine = replace(asked.engine, max_num_seqs=asked.engine.max_num_seqs or 8)
    fixed = replace(asked, engine=engine)
    free = planned(fixed, card)
    assert planned(fixed, replace(card, reserved_bytes=reserved)).kv_cache_bytes <= (
        free.kv_cache_bytes
    )


@LAW
@given(requests, cards_by_hand)
def test_equal_input_gives_equal_output(asked: PlanRequest, card: Card) -> None:
    assert plan(asked, [card]) == plan(replace(asked), [replace(card)])


@LAW
@given(requests, cards_by_hand, st.sampled_from([(1, 2), (2, 4), (1, 4), (4, 8)]))
def test_more_gpus_never_turn_fits_into_does_not_fit_where_they_save_memory(
    asked: PlanRequest, card: Card, sizes: tuple[int, int]
) -> None:
    engine = replace(asked.engine, max_num_seqs=asked.engine.max_num_seqs or 8)
    fewer, more = (
        plan_row(replace(asked, engine=engine, tensor_parallel_size=size), card) for size in sizes
    )
    assume(fits(fewer))
    assume(isinstance(more, CardPlan))
    saved = fewer.budget.weights_bytes - more.budget.weights_bytes
    assume(saved >= more.budget.non_kv.total - fewer.budget.non_kv.total)
    assert more.fits


@LAW
@given(requests, st.sampled_from(HYBRID_MODELS), cards_by_hand)
def test_a_fitting_hybrid_has_a_state_block_for_every_request(
    asked: PlanRequest, model: str, card: Card
) -> None:
    length = min(asked.context_length, 65_536)
    row = planned(replace(asked, model=find_model(model), context_length=length), card)
    assume(row.fits)
    assert row.shape.max_num_seqs <= row.layout.blocks(row.kv_cache_bytes)


@LAW
@given(requests, cards_by_hand)
def test_a_row_chosen_by_profile_is_full_or_the_least_of_its_profile(
    asked: PlanRequest, card: Card
) -> None:
    row = planned(replace(asked, engine=replace(asked.engine, max_num_seqs=None)), card)
    assert row.shape.max_num_seqs >= 1
    if row.fits and row.shape.max_num_seqs > 1:
        typical = {"Interactive": 4096, "ManyUsers": 1024, "LongDocuments": 32_768}
        tokens = min(typical[asked.profile], asked.context_length)
        at_once = row.layout.max_concurrency(row.kv_cache_bytes, tokens)
        assert at_once >= row.shape.max_num_seqs


def maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


ENGINES = maybe(
    maxNumSeqs=st.integers(1, 4096),
    maxNumBatchedTokens=st.integers(16, 1 << 20),
    gpuMemoryUtilizationPercent=st.integers(1, 100),
    kvCacheDtype=st.sampled_from([str(dtype) for dtype in KvCacheDtype]),
    kvOffloadingGib=st.integers(1, 4096),
    enforceEager=st.booleans(),
    enablePrefixCaching=st.booleans(),
    maxCudagraphCaptureSize=st.integers(1, 4096),
    languageModelOnly=st.booleans(),
    toolCallParser=st.sampled_from(["hermes", "none"]),
    reasoningParser=st.sampled_from(["qwen3"]),
    extraArgs=st.sampled_from([[], ["--seed", "-1"], ["--generation-config={}"]]),
)
CARD_NAMES = [card.name for card in cards()] + [
    label for card in cards() for label in card.product_labels
]
ACCELERATORS = st.lists(
    st.builds(
        lambda name, extra: {"name": name, **extra},
        st.sampled_from([*CARD_NAMES, "NVIDIA-L4-SHARED", "NVIDIA-H100", "My-Card"]),
        maybe(
            memoryMib=st.integers(1024, 1 << 20),
            computeCapability=st.sampled_from(["5.0", "7.5", "8.0", "8.6", "8.9", "9.0", "99.9"]),
            reservedMemoryMib=st.integers(0, 1 << 20),
        ),
    ),
    max_size=3,
)
SPECS = st.builds(
    lambda model, rest: {"model": model, **rest},
    st.sampled_from([*ALL_MODELS, *SMALL_MODELS, "Qwen/Qwen3-8B-AWQ", "Qwen/Nothing", "a/b"]),
    maybe(
        precision=st.sampled_from([str(precision) for precision in Precision]),
        contextLength=st.integers(1, 1 << 20) | st.sampled_from([8192, 32_768]),
        tensorParallelSize=st.integers(1, 8),
        profile=st.sampled_from([str(profile) for profile in Profile]),
        servedModelName=st.just("chat"),
        revision=st.just("main"),
        accelerators=ACCELERATORS,
        engine=ENGINES,
    ),
)


def results_of(spec: dict[str, Any]) -> tuple[CardResult, ...]:
    document = {
        "apiVersion": "qwen-operator.io/v1alpha1",
        "kind": "QwenDeployment",
        "metadata": {"name": "law"},
        "spec": spec,
    }
    parsed = parse_qwen_deployment(document).spec
    asked = request_of(parsed, find_model(parsed.model))
    return tuple(
        result
        for card in cards_of(parsed)
        for result in plan(replace(asked, vllm_version=version_for(card)), [card])
    )


@settings(LAW, max_examples=300)
@given(SPECS)
def test_every_valid_spec_gives_a_plan_or_a_reason_and_both_can_be_shown(
    spec: dict[str, Any],
) -> None:
    try:
        results = results_of(spec)
    except InvalidInput:
        return
    planned = Planned("name", results[0].request, results)
    rows = rows_as_dicts(planned, Prices(), explain=True)
    for result, row in zip(results, rows, strict=True):
        assert row["reason"]
        assert isinstance(row["fits"], bool)
        assert json.loads(json.dumps(row, allow_nan=False)) == row
        if isinstance(result, CardPlan):
            assert all(isinstance(each, str) and each for each in result.args)
    assert render_table([planned], Prices(), explain=True)
