from __future__ import annotations

from dataclasses import replace

import pytest

from qwen_operator.catalog.cards import ComputeCapability, find_card
from qwen_operator.catalog.checkpoints import WeightPart
from qwen_operator.catalog.models import find_model
from qwen_operator.planning.tensor_parallel import (
    MAX_TENSOR_PARALLEL_SIZE,
    check_parallelism,
    choose_parallelism,
)
from qwen_operator.planning.weights import SIXTEEN_BIT, WeightFormat, uniform_scheme
from tests.planning.examples import ALL_MODELS, L4, card_by_hand, plan_of, refusal_of, request

FP8_BLOCK = uniform_scheme(WeightFormat.FP8_BLOCK)
AWQ = uniform_scheme(WeightFormat.INT4_ZERO_POINT)
GPTQ8 = uniform_scheme(WeightFormat.INT8)


def admissible(model: str, scheme: object = SIXTEEN_BIT) -> list[int]:
    geometry = find_model(model).geometry
    sizes = range(1, MAX_TENSOR_PARALLEL_SIZE + 1)
    return [size for size in sizes if check_parallelism(geometry, scheme, size) is None]


@pytest.mark.parametrize("model", ALL_MODELS)
def test_one_gpu_is_always_admissible(model: str) -> None:
    for scheme in (SIXTEEN_BIT, FP8_BLOCK, AWQ, GPTQ8):
        assert 1 in admissible(model, scheme)


@pytest.mark.parametrize(
    ("model", "scheme", "sizes"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct", SIXTEEN_BIT, [1, 2]),
        ("Qwen/Qwen2.5-1.5B-Instruct", SIXTEEN_BIT, [1, 2, 4]),
        ("Qwen/Qwen2.5-7B-Instruct", SIXTEEN_BIT, [1, 2, 4]),
        ("Qwen/Qwen2.5-7B-Instruct", AWQ, [1, 2, 4]),
        ("Qwen/Qwen2.5-14B-Instruct", SIXTEEN_BIT, [1, 2, 4, 8]),
        ("Qwen/Qwen2.5-14B-Instruct", AWQ, [1, 2, 4]),
        ("Qwen/Qwen2.5-14B-Instruct", GPTQ8, [1, 2, 4]),
        ("Qwen/Qwen2.5-32B-Instruct", AWQ, [1, 2, 4, 8]),
        ("Qwen/Qwen3-8B", FP8_BLOCK, [1, 2, 4, 8]),
        ("Qwen/Qwen3-30B-A3B", SIXTEEN_BIT, [1, 2, 4, 8]),
        ("Qwen/Qwen3-30B-A3B", uniform_scheme(WeightFormat.FP8), [1, 2, 4, 8]),
        ("Qwen/Qwen3-30B-A3B", FP8_BLOCK, [1, 2]),
        ("Qwen/Qwen3.5-27B", SIXTEEN_BIT, [1, 2, 4, 8]),
        ("Qwen/Qwen3-Next-80B-A3B-Instruct", FP8_BLOCK, [1, 2, 4]),
    ],
)
def test_a_model_can_be_divided_by_these_sizes(
    model: str, scheme: object, sizes: list[int]
) -> None:
    assert admissible(model, scheme) == sizes


def test_the_padded_awq_checkpoint_of_72b_can_be_divided_where_the_model_could_not() -> None:
    plan_of(request("Qwen/Qwen2.5-72B-Instruct", precision="int4", tensor_parallel_size=8))
    geometry = find_model("Qwen/Qwen2.5-72B-Instruct").geometry
    assert check_parallelism(geometry, AWQ, 8) is not None


@pytest.mark.parametrize("capability", [(8, 6), (8, 9), (9, 0)])
def test_the_blocks_of_30b_fp8_forbid_four_gpus(capability: ComputeCapability) -> None:
    asked = request("Qwen/Qwen3-30B-A3B", precision="fp8", tensor_parallel_size=4)
    refusal = refusal_of(asked, card_by_hand(24, capability))
    assert refusal.sentence == (
        "tensorParallelSize is 4, but a feed-forward width of 768 gives shards of 192, which the "
        "checkpoint's blocks of 128 do not divide; use 1 or 2"
    )


@pytest.mark.parametrize(
    ("model", "size", "words"),
    [
        ("Qwen/Qwen3-8B", 3, "32 attention heads are not divisible by it; use 1 or 2 or 4 or 8"),
        ("Qwen/Qwen2.5-7B-Instruct", 8, "28 attention heads are not divisible by it; use 1 or 2"),
        ("Qwen/Qwen2.5-7B-Instruct", 7, "4 KV heads can neither be divided by it nor repeated"),
        ("Qwen/Qwen3.5-27B", 3, "4 KV heads can neither"),
    ],
)
def test_a_refusal_names_the_obstacle_and_the_sizes_that_work(
    model: str, size: int, words: str
) -> None:
    refusal = check_parallelism(find_model(model).geometry, SIXTEEN_BIT, size)
    assert refusal is not None
    assert refusal.sentence.startswith(f"tensorParallelSize is {size}, but {words}")


def test_parts_left_in_16_bits_may_be_cut_anywhere() -> None:
    geometry = find_model("Qwen/Qwen2.5-14B-Instruct").geometry
    assert check_parallelism(geometry, AWQ, 8) is not None
    assert check_parallelism(geometry, AWQ.without({WeightPart.FFN}), 8) is None


def test_attention_output_must_keep_whole_groups_too() -> None:
    # 14 heads of 64 on two GPUs: 448 inputs of o_proj, three and a half groups of 128.
    geometry = find_model("Qwen/Qwen2.5-0.5B-Instruct").geometry
    assert check_parallelism(geometry, AWQ, 2) is not None


def test_one_gpu_needs_no_settings_to_talk() -> None:
    choice = choose_parallelism(L4, 1)
    assert choice.args == ("--tensor-parallel-size", "1")
    assert not choice.env
    assert not choice.decisions


@pytest.mark.parametrize("name", ["RTX4090", "RTX4090D", "L4", "A10G"])
def test_cards_without_peer_access_talk_through_main_memory(name: str) -> None:
    choice = choose_parallelism(find_card(name), 2)
    assert "--disable-custom-all-reduce" in choice.args
    assert dict(choice.env)["NCCL_P2P_DISABLE"] == "1"
    assert name in " ".join(choice.decisions)


def test_cards_with_peer_access_keep_vllms_own_all_reduce() -> None:
    choice = choose_parallelism(replace(L4, peer_to_peer=True), 4)
    assert choice.args == ("--tensor-parallel-size", "4")
    assert not choice.env


def test_a_cpu_has_no_nccl() -> None:
    choice = choose_parallelism(find_card("CPU"), 2)
    assert "--disable-custom-all-reduce" not in choice.args
    assert not choice.env
