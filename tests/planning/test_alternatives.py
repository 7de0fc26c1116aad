from __future__ import annotations

from dataclasses import replace

import pytest

from qwen_operator.api.enums import KvCacheDtype, Precision
from qwen_operator.catalog.cards import Card, find_card
from qwen_operator.planning.request import PlanRequest
from qwen_operator.planning.result import Alternative
from tests.planning.examples import L4, card_by_hand, plan_of, request

# In the order in which a user would try them.

NOT_FITTING: list[tuple[PlanRequest, Card]] = [
    (request("Qwen/Qwen3-14B"), L4),
    (request("Qwen/Qwen3-8B", context_length=131_072), L4),
    (request("Qwen/Qwen3-8B", context_length=131_072, engine={"max_num_seqs": 64}), L4),
    (request("Qwen/Qwen3-32B"), find_card("RTX4090")),
    (request("Qwen/Qwen3-30B-A3B", precision="fp8"), L4),
    (request("Qwen/Qwen3-30B-A3B"), find_card("RTX4090")),
    (request("Qwen/Qwen3-4B", context_length=131_072, tensor_parallel_size=2), card_by_hand(12)),
    (request("Qwen/Qwen3.5-27B", precision="fp8"), find_card("A10G")),
    (request("Qwen/Qwen3.5-9B", context_length=262_144), card_by_hand(20)),
    (request("Qwen/Qwen3-VL-8B-Instruct", context_length=262_144), L4),
    (request("Qwen/Qwen3-4B", precision="mixed", context_length=131_072), card_by_hand(12)),
    (request("Qwen/Qwen2.5-7B-Instruct", context_length=131_072), L4),
]
NEEDS_TWO_CHANGES = (
    request("Qwen/Qwen2.5-72B-Instruct", context_length=131_072),
    find_card("RTX4090"),
)
TOO_MANY_REQUESTS = (
    request("Qwen/Qwen3.5-27B", precision="fp8", engine={"max_num_seqs": 2048}),
    card_by_hand(80),
)


def with_change(asked: PlanRequest, alternative: Alternative) -> PlanRequest:
    """The request with the fields set that an alternative names."""
    for field, value in alternative.changes.items():
        match field:
            case "contextLength":
                asked = replace(asked, context_length=value)
            case "precision":
                asked = replace(asked, precision=Precision(value))
            case "tensorParallelSize":
                asked = replace(asked, tensor_parallel_size=value)
            case "engine.kvCacheDtype":
                dtype = KvCacheDtype(value)
                asked = replace(asked, engine=replace(asked.engine, kv_cache_dtype=dtype))
            case "engine.languageModelOnly":
                asked = replace(asked, engine=replace(asked.engine, language_model_only=True))
            case "engine.maxNumSeqs":
                asked = replace(asked, engine=replace(asked.engine, max_num_seqs=value))
            case _:
                raise AssertionError(field)
    return asked


@pytest.mark.parametrize(("asked", "card"), NOT_FITTING)
def test_every_alternative_fits_when_it_is_planned(asked: PlanRequest, card: Card) -> None:
    row = plan_of(asked, card)
    assert not row.fits
    assert row.alternatives
    for alternative in row.alternatives:
        planned = plan_of(with_change(asked, alternative), card)
        assert planned.fits, alternative
        assert planned.kv_cache_tokens == alternative.kv_cache_tokens
        assert planned.max_concurrency == alternative.max_concurrency
        assert f"{planned.kv_cache_tokens:,} tokens" in alternative.sentence


@pytest.mark.parametrize(("asked", "card"), NOT_FITTING)
def test_alternatives_come_in_the_order_of_their_pain(asked: PlanRequest, card: Card) -> None:
    kept = [
        each for each in plan_of(asked, card).alternatives if "contextLength" not in each.changes
    ]
    sizes = [each.changes.get("tensorParallelSize", 1) for each in kept]
    assert sizes == sorted(sizes)
    assert len(kept) <= 4
    sentences = [each.sentence for each in plan_of(asked, card).alternatives]
    assert len(set(sentences)) == len(sentences)


@pytest.mark.parametrize(("asked", "card"), NOT_FITTING)
def test_no_alternative_is_what_was_asked_for(asked: PlanRequest, card: Card) -> None:
    for alternative in plan_of(asked, card).alternatives:
        assert with_change(asked, alternative) != asked


def test_what_fits_has_no_alternatives() -> None:
    assert plan_of(request("Qwen/Qwen3-4B")).alternatives == ()


def test_a_pinned_pool_is_a_question_and_has_no_alternatives() -> None:
    row = plan_of(request("Qwen/Qwen3-14B", engine={"kv_cache_bytes": 1 << 20}))
    assert not row.fits
    assert row.alternatives == ()


def test_the_shorter_context_is_round_and_the_longest_that_fits() -> None:
    asked = request("Qwen/Qwen3-8B", context_length=131_072)
    shorter = plan_of(asked).alternatives[0]
    tokens = shorter.changes["contextLength"]
    assert tokens % 256 == 0
    assert not plan_of(replace(asked, context_length=tokens + 1024)).fits


def test_the_fewest_gpus_that_suffice_are_offered() -> None:
    asked = request("Qwen/Qwen3-14B")
    sizes = [
        each.changes["tensorParallelSize"]
        for each in plan_of(asked).alternatives
        if "tensorParallelSize" in each.changes
    ]
    assert sizes == [2]


def test_a_cpu_is_offered_neither_gpus_nor_fp8() -> None:
    asked = request("Qwen/Qwen3-4B", context_length=131_072)
    row = plan_of(asked, find_card("CPU"))
    assert not row.fits
    assert {field for each in row.alternatives for field in each.changes} <= {"contextLength"}


def test_two_changes_are_offered_where_no_single_one_suffices() -> None:
    row = plan_of(*NEEDS_TWO_CHANGES)
    assert not row.fits
    assert row.alternatives
    assert all(len(each.changes) > 1 for each in row.alternatives)


def test_two_changes_can_be_read_by_a_program() -> None:
    asked, card = NEEDS_TWO_CHANGES
    for alternative in plan_of(asked, card).alternatives:
        assert plan_of(with_change(asked, alternative), card).fits, alternative


def test_too_many_requests_for_a_hybrid_do_not_fit() -> None:
    row = plan_of(*TOO_MANY_REQUESTS)
    assert not row.fits
    blocks = row.layout.blocks(row.kv_cache_bytes)
    assert row.reason == (
        "maxNumSeqs 2048 needs a state block for each request, but the pool has "
        f"{blocks}; set maxNumSeqs to {blocks} or less"
    )


def test_too_many_requests_for_a_hybrid_are_answered_with_fewer() -> None:
    row = plan_of(*TOO_MANY_REQUESTS)
    assert "engine.maxNumSeqs" in {field for each in row.alternatives for field in each.changes}
