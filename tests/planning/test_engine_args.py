from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product

import pytest

from benchmarks.planner.vllm_parser.check import ParseResult, parse_all
from benchmarks.planner.vllm_parser.install import VERSIONS
from qwen_operator.api.enums import KvCacheDtype, Precision, Profile
from qwen_operator.catalog.cards import find_card
from qwen_operator.catalog.models import find_model
from qwen_operator.catalog.vllm_versions import CPU_VLLM_VERSION, GPU_VLLM_VERSION
from qwen_operator.planning.request import LoraSlots, PlanRequest
from qwen_operator.planning.result import CardPlan
from tests.planning.examples import (
    ALL_MODELS,
    GIB,
    L4,
    VISION_MODELS,
    plan_of,
    request,
    result_of,
    value_of,
)

ROOMY = {"kv_cache_bytes": 4 * GIB}
"""What flags say of a plan does not hang on whether it fits."""

GOLDEN = [
    "--dtype", "bfloat16",
    "--max-model-len", "8192",
    "--max-num-seqs", "16",
    "--max-num-batched-tokens", "4096",
    "--kv-cache-memory-bytes", str(4 * GIB),
    "--kv-cache-dtype", "fp8",
    "--tensor-parallel-size", "2", "--disable-custom-all-reduce",
    "--gpu-memory-utilization", "0.9000",
    "--max-cudagraph-capture-size", "32",
    "--enable-chunked-prefill",
    "--enable-prefix-caching",
    "--enable-auto-tool-choice", "--tool-call-parser", "hermes",
    "--reasoning-parser", "qwen3",
    "--served-model-name", "chat",
    "--revision", "abc",
    "--seed", "1",
]  # fmt: skip


def args_of(model: str = "Qwen/Qwen3-4B", *, card: str = "L4", **fields: object) -> tuple[str, ...]:
    return plan_of(request(model, **fields), find_card(card)).args


def test_every_flag_of_a_plan_is_spelt_out() -> None:
    args = args_of(
        precision="int4",
        tensor_parallel_size=2,
        served_model_name="chat",
        revision="abc",
        engine={
            **ROOMY,
            "max_num_seqs": 16,
            "max_num_batched_tokens": 4096,
            "kv_cache_dtype": KvCacheDtype.FP8,
            "gpu_memory_utilization": 0.9,
            "extra_args": ("--seed", "1"),
        },
    )
    assert list(args) == GOLDEN


def test_extra_arguments_stand_last() -> None:
    args = args_of(revision="abc", engine={"extra_args": ("--seed", "-1")})
    assert args[-2:] == ("--seed", "-1")


def test_the_flags_are_the_numbers_of_the_plan() -> None:
    row = plan_of(request("Qwen/Qwen3-8B", precision="int4"))
    for flag, number in (
        ("--max-model-len", row.shape.max_model_len),
        ("--max-num-seqs", row.shape.max_num_seqs),
        ("--max-num-batched-tokens", row.shape.max_num_batched_tokens),
        ("--kv-cache-memory-bytes", row.kv_cache_bytes),
        ("--max-cudagraph-capture-size", row.shape.max_capture_size),
        ("--tensor-parallel-size", row.request.tensor_parallel_size),
    ):
        assert value_of(row.args, flag) == str(number)


def test_utilisation_is_rounded_down_and_never_promises_what_the_card_lacks() -> None:
    for share in (0.5, 0.92, 0.999, 1.0):
        row = plan_of(request(engine={**ROOMY, "gpu_memory_utilization": share}))
        flag = float(value_of(row.args, "--gpu-memory-utilization"))
        assert flag <= share
        budget = row.budget
        assert flag * budget.card_bytes <= (
            budget.card_bytes - budget.outside_bytes - budget.reserved_bytes
        )


@pytest.mark.parametrize(
    ("engine", "present", "absent"),
    [
        ({}, ["--enable-prefix-caching"], ["--no-enable-prefix-caching", "--enable-lora"]),
        ({"prefix_caching": False}, ["--no-enable-prefix-caching"], ["--enable-prefix-caching"]),
        ({"enforce_eager": True}, ["--enforce-eager"], ["--max-cudagraph-capture-size"]),
        ({"kv_offloading_gib": 8}, ["--kv-offloading-size", "--kv-offloading-backend"], []),
        ({"lora": LoraSlots(max_loras=2, max_rank=16)}, ["--enable-lora", "--max-loras"], []),
        ({"language_model_only": True}, ["--language-model-only"], []),
        ({"tool_call_parser": "qwen3_xml"}, ["--enable-auto-tool-choice"], []),
    ],
)
def test_a_choice_becomes_its_flags(
    engine: dict[str, object], present: list[str], absent: list[str]
) -> None:
    args = args_of(engine=engine)
    assert set(present) <= set(args)
    assert not set(absent) & set(args)


@pytest.mark.parametrize(("asked", "eager"), [(None, True), (True, True), (False, False)])
def test_on_a_cpu_nothing_is_compiled_unless_that_is_asked_for(
    asked: bool | None, eager: bool
) -> None:
    row = plan_of(
        request("Qwen/Qwen3-0.6B", engine={"enforce_eager": asked}, vllm_version="0.32.0"),
        find_card("CPU"),
    )
    assert ("--enforce-eager" in row.args) is eager


def test_the_user_s_parsers_outweigh_the_model_s() -> None:
    args = args_of(engine={"tool_call_parser": "qwen3_xml", "reasoning_parser": "deepseek_r1"})
    assert value_of(args, "--tool-call-parser") == "qwen3_xml"
    assert value_of(args, "--reasoning-parser") == "deepseek_r1"


def test_a_base_model_has_no_parsers() -> None:
    args = args_of("Qwen/Qwen3-4B-Base")
    assert "--enable-auto-tool-choice" not in args
    assert "--reasoning-parser" not in args


def test_a_cpu_gets_neither_utilisation_nor_graphs() -> None:
    row = plan_of(request("Qwen/Qwen3-0.6B"), find_card("CPU"))
    assert "--gpu-memory-utilization" not in row.args
    assert "--max-cudagraph-capture-size" not in row.args
    assert "CUDA_DEVICE_ORDER" not in dict(row.env)


def test_the_name_clients_use_is_that_of_the_model_unless_said() -> None:
    assert value_of(args_of(precision="fp8"), "--served-model-name") == "Qwen/Qwen3-4B"


@pytest.mark.parametrize("max_num_seqs", [None, 1, 8])
def test_a_step_holds_every_request(max_num_seqs: int | None) -> None:
    engine = {"max_num_seqs": max_num_seqs, "max_num_batched_tokens": 2048}
    args = args_of(engine=engine)
    assert int(value_of(args, "--max-num-seqs")) <= 2048


@pytest.mark.parametrize("tokens", [16, 32])
def test_a_small_step_lowers_the_number_of_requests(tokens: int) -> None:
    args = args_of(engine={"max_num_batched_tokens": tokens})
    assert int(value_of(args, "--max-num-seqs")) <= tokens


def test_utilisation_is_never_rounded_to_nothing() -> None:
    args = args_of(engine={**ROOMY, "gpu_memory_utilization": 0.00001})
    assert float(value_of(args, "--gpu-memory-utilization")) > 0


def sampled_requests() -> Iterator[tuple[PlanRequest, str]]:
    """Plans whose flags differ: every model and precision, and each choice on a few models."""
    for model, precision in product(ALL_MODELS, Precision):
        limit = find_model(model).context_limit
        for length in {8192, limit}:
            fields = {"precision": precision, "context_length": length, "engine": ROOMY}
            yield request(model, **fields), "L4"
    few = ("Qwen/Qwen3-4B", "Qwen/Qwen3-30B-A3B", "Qwen/Qwen3.5-27B", "Qwen/Qwen3-VL-8B-Instruct")
    for model, size, profile in product(few, (1, 2, 4, 8), Profile):
        yield request(model, tensor_parallel_size=size, profile=profile, engine=ROOMY), "A10G"
    choices: list[dict[str, object]] = [
        *({"kv_cache_dtype": dtype} for dtype in KvCacheDtype),
        {"enforce_eager": True},
        {"prefix_caching": False},
        {"language_model_only": True},
        {"kv_offloading_gib": 4},
        {"max_cudagraph_capture_size": 3},
        {"max_num_seqs": 1},
        {"lora": LoraSlots(max_loras=3, max_rank=64)},
        {"tool_call_parser": "qwen3_coder", "reasoning_parser": "qwen3"},
        {"extra_args": ("--seed", "1", "--enable-log-requests")},
    ]
    for model, choice in product(few, choices):
        yield request(model, engine={**ROOMY, **choice}), "RTX4090"
    for model in ("Qwen/Qwen3-0.6B", "Qwen/Qwen2.5-1.5B-Instruct", "Qwen/Qwen3.5-0.8B"):
        for precision in ("bf16", "fp16"):
            yield request(model, precision=precision, engine=ROOMY), "CPU"


@pytest.fixture(scope="module")
def sampled_plans() -> list[CardPlan]:
    """One plan for every distinct argument list."""
    plans = {}
    for asked, card in sampled_requests():
        result = result_of(asked, find_card(card))
        if isinstance(result, CardPlan):
            plans[result.args] = result
    return list(plans.values())


def test_the_sample_is_broad(sampled_plans: list[CardPlan]) -> None:
    assert len(sampled_plans) > 400
    assert {plan.request.model.name for plan in sampled_plans} == set(ALL_MODELS)


@pytest.mark.parametrize("version", VERSIONS)
def test_vllm_s_own_parser_accepts_every_plan(version: str, sampled_plans: list[CardPlan]) -> None:
    answers = parse_all(version, [list(plan.args) for plan in sampled_plans])
    refused = {
        answer.error: plan.args
        for plan, answer in zip(sampled_plans, answers, strict=True)
        if answer != ParseResult(accepted=True, error=None, unknown=())
    }
    assert not refused


def test_both_pins_are_versions_the_parser_has() -> None:
    assert {GPU_VLLM_VERSION, CPU_VLLM_VERSION} == set(VERSIONS)


def test_no_flag_stands_twice(sampled_plans: list[CardPlan]) -> None:
    for plan in sampled_plans:
        flags = [each for each in plan.args if each.startswith("--")]
        assert len(set(flags)) == len(flags), plan.args


def test_values_that_are_objects_are_json(sampled_plans: list[CardPlan]) -> None:
    for plan in sampled_plans:
        for flag in {"--hf-overrides", "--quantization-config"} & set(plan.args):
            assert isinstance(json.loads(value_of(plan.args, flag)), dict)


@pytest.mark.parametrize("model", VISION_MODELS)
def test_the_vision_tower_is_left_out_only_when_asked(model: str) -> None:
    whole = plan_of(request(model, engine=ROOMY), L4)
    text = plan_of(request(model, engine={**ROOMY, "language_model_only": True}), L4)
    assert "--language-model-only" not in whole.args
    assert text.budget.weights_bytes < whole.budget.weights_bytes
    assert text.budget.non_kv.total <= whole.budget.non_kv.total
