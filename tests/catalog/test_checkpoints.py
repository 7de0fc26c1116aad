from __future__ import annotations

from typing import Any

import pytest

from qwen_operator.api.enums import Precision
from qwen_operator.catalog.checkpoints import (
    Checkpoint,
    CheckpointFormat,
    WeightPart,
    parse_checkpoint,
)
from qwen_operator.errors import InvalidInput
from tests.catalog.configs import DENSE, HYBRID, MOE


def checkpoint(base: dict[str, Any] = DENSE, **quantization: Any) -> Checkpoint:
    return parse_checkpoint("me/mine", {**base, "quantization_config": quantization})


def compressed(**weights: Any) -> dict[str, Any]:
    return {
        "quant_method": "compressed-tensors",
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
        "ignore": ["lm_head"],
    }


FORMATS: dict[str, tuple[dict[str, Any], CheckpointFormat, Precision]] = {
    "awq": (
        {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True},
        CheckpointFormat.AWQ,
        Precision.INT4,
    ),
    "gptq, 4 bits": (
        {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True},
        CheckpointFormat.GPTQ_INT4,
        Precision.INT4,
    ),
    "gptq, 8 bits": (
        {"quant_method": "gptq", "bits": 8, "group_size": 128},
        CheckpointFormat.GPTQ_INT8,
        Precision.INT8,
    ),
    "fp8 in blocks": (
        {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]},
        CheckpointFormat.FP8_BLOCK,
        Precision.FP8,
    ),
    "fp8 per tensor": (
        {"quant_method": "fp8", "activation_scheme": "static"},
        CheckpointFormat.FP8,
        Precision.FP8,
    ),
    "compressed-tensors int8": (
        compressed(num_bits=8, type="int", strategy="channel", group_size=None),
        CheckpointFormat.INT8,
        Precision.INT8,
    ),
    "compressed-tensors fp8 per channel": (
        compressed(num_bits=8, type="float", strategy="channel"),
        CheckpointFormat.FP8,
        Precision.FP8,
    ),
    "compressed-tensors fp8 in blocks": (
        compressed(num_bits=8, type="float", strategy="block", block_structure=[128, 128]),
        CheckpointFormat.FP8_BLOCK,
        Precision.FP8,
    ),
    "compressed-tensors int4": (
        compressed(num_bits=4, type="int", strategy="group", group_size=128, symmetric=True),
        CheckpointFormat.GPTQ_INT4,
        Precision.INT4,
    ),
    "compressed-tensors int4 with zero points": (
        compressed(num_bits=4, type="int", strategy="group", group_size=128, symmetric=False),
        CheckpointFormat.AWQ,
        Precision.INT4,
    ),
    "compressed-tensors nvfp4": (
        compressed(num_bits=4, type="float", strategy="tensor_group", group_size=16),
        CheckpointFormat.NVFP4,
        Precision.INT4,
    ),
    "modelopt nvfp4": (
        {"quant_method": "modelopt", "quant_algo": "NVFP4"},
        CheckpointFormat.NVFP4,
        Precision.INT4,
    ),
    "modelopt fp8": (
        {"quant_method": "modelopt", "quant_algo": "FP8"},
        CheckpointFormat.FP8,
        Precision.FP8,
    ),
    "auto-round": (
        {"quant_method": "auto-round", "bits": 4, "group_size": 128, "sym": True},
        CheckpointFormat.GPTQ_INT4,
        Precision.INT4,
    ),
    "intel/auto-round": (
        {"quant_method": "intel/auto-round", "bits": 8, "group_size": 128},
        CheckpointFormat.GPTQ_INT8,
        Precision.INT8,
    ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_recognised(name: str) -> None:
    quantization, expected, precision = FORMATS[name]
    found = checkpoint(**quantization)
    assert found.format is expected
    assert found.format.precision is precision
    assert found.repository == "me/mine"
    assert found.sixteen_bit_parts == frozenset()


def test_without_a_quantization_config_the_weights_are_16_bit() -> None:
    found = parse_checkpoint("me/mine", {**DENSE, "quantization_config": None})
    assert found.format is CheckpointFormat.BITS16
    assert found == parse_checkpoint("me/mine", DENSE)


@pytest.mark.parametrize(
    "quantization",
    [
        {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
        {"quant_method": "gguf"},
        {"quant_method": "gptq", "bits": 3},
        {"quant_method": "awq", "bits": 8},
        {"quant_method": "awq", "bits": "4"},
        {"quant_method": ["awq"], "bits": [4]},
        compressed(num_bits=2, type="int"),
        {"quant_method": "hqq", "bits": 4},
        {"bits": 4},
        {},
    ],
)
def test_a_format_that_is_not_planned_is_refused_with_those_that_are(
    quantization: dict[str, Any],
) -> None:
    with pytest.raises(InvalidInput, match=r"planned are awq and gptq .*; use a checkpoint in one"):
        checkpoint(**quantization)


@pytest.mark.parametrize(("written", "read"), [(64, 64), (32, 32), (-1, 128), (None, 128)])
def test_the_group_size_is_read_where_there_is_one(written: int | None, read: int) -> None:
    assert checkpoint(quant_method="gptq", bits=4, group_size=written).group_size == read


ATTENTION, FFN, EXPERTS = WeightPart.ATTENTION, WeightPart.FFN, WeightPart.EXPERTS


@pytest.mark.parametrize(
    ("base", "patterns", "left_out"),
    [
        (DENSE, ["lm_head"], set()),
        (DENSE, ["re:.*self_attn.*"], {ATTENTION}),
        (DENSE, ["re:.*mlp.*"], {FFN}),
        (DENSE, ["lm_head", "re:.*self_attn.*", "re:.*mlp.*"], {ATTENTION, FFN}),
        (DENSE, ["self_attn"], {ATTENTION}),
        (DENSE, ["*self_attn*"], {ATTENTION}),
        (MOE, ["mlp.gate", "re:.*mlp.gate$", "model.layers.1.mlp.gate"], set()),
        (MOE, ["re:.*shared_expert.*"], {FFN}),
        (MOE, ["re:.*experts.*"], {EXPERTS}),
        (HYBRID, ["re:.*linear_attn.conv1d"], set()),
    ],
)
def test_parts_that_were_left_out_stay_in_16_bits(
    base: dict[str, Any], patterns: list[str], left_out: set[WeightPart]
) -> None:
    scheme = {**compressed(num_bits=8, type="int"), "ignore": patterns}
    there = {ATTENTION, FFN, EXPERTS} if base is MOE else {ATTENTION, FFN}
    assert checkpoint(base, **scheme).sixteen_bit_parts & there == left_out


def test_both_spellings_of_the_list_are_read() -> None:
    for key in ("modules_to_not_convert", "ignore"):
        found = checkpoint(quant_method="awq", bits=4, **{key: ["self_attn"]})
        assert found.sixteen_bit_parts == {ATTENTION}


def test_gptqmodel_leaves_out_what_dynamic_marks_with_a_minus() -> None:
    dynamic = {"lm_head": {}, "-:.*attn.*": {}, "-:.*shared_expert.*": {}, "+:.*up_proj.*": {}}
    found = checkpoint(MOE, quant_method="gptq", bits=4, dynamic=dynamic)
    assert found.sixteen_bit_parts == {ATTENTION, FFN}
    assert checkpoint(DENSE, quant_method="gptq", bits=4, dynamic=dynamic).sixteen_bit_parts == {
        ATTENTION
    }


@pytest.mark.parametrize(
    "quantization",
    [
        "awq",
        ["awq"],
        {"quant_method": "gptq", "bits": 4, "dynamic": {"-:(": {}}},
        {"quant_method": "compressed-tensors", "config_groups": {"group_0": "int8"}},
        {**compressed(num_bits=8, type="int"), "ignore": ["re:("]},
        {**compressed(num_bits=8, type="int"), "ignore": [1]},
        {**compressed(num_bits=8, type="int"), "ignore": 1},
    ],
)
def test_a_malformed_quantization_config_is_refused_with_a_sentence(quantization: object) -> None:
    with pytest.raises(InvalidInput):
        parse_checkpoint("me/mine", {**DENSE, "quantization_config": quantization})


def test_modelopt_names_what_it_left_out_in_a_key_of_its_own() -> None:
    found = checkpoint(
        quant_method="modelopt", quant_algo="NVFP4", exclude_modules=["lm_head", "*self_attn*"]
    )
    assert found.sixteen_bit_parts == {ATTENTION}


def test_what_no_group_targets_stays_in_16_bits() -> None:
    group = {"targets": ["re:.*mlp.*"], "weights": {"num_bits": 4, "type": "int"}}
    found = checkpoint(quant_method="compressed-tensors", config_groups={"group_0": group})
    assert found.sixteen_bit_parts == {ATTENTION}
