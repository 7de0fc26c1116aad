from __future__ import annotations

from typing import Any

import pytest

from qwen_operator.catalog.checkpoints import WeightPart
from qwen_operator.catalog.geometry import Geometry, parse_geometry
from qwen_operator.catalog.models import find_model, model_names
from qwen_operator.errors import InvalidInput
from qwen_operator.planning.weights import weight_tensors
from tests.catalog.configs import DENSE, HYBRID, MOE, VISION, VISION_TOWER, without

# Parameters of the language model alone, embeddings counted once where they are tied. The totals
# of Qwen2.5 and Qwen3 are those of the published safetensors.
TEXT_PARAMETERS: dict[int, tuple[str, ...]] = {
    494_032_768: (
        "Qwen2.5-0.5B-Instruct",
        "Qwen2.5-0.5B",
        "Qwen2.5-Coder-0.5B-Instruct",
    ),
    1_543_714_304: (
        "Qwen2.5-1.5B-Instruct",
        "Qwen2.5-1.5B",
        "Qwen2.5-Coder-1.5B-Instruct",
    ),
    3_085_938_688: (
        "Qwen2.5-3B-Instruct",
        "Qwen2.5-3B",
        "Qwen2.5-Coder-3B-Instruct",
        "Qwen2.5-VL-3B-Instruct",
    ),
    7_615_616_512: (
        "Qwen2.5-7B-Instruct",
        "Qwen2.5-7B",
        "Qwen2.5-Coder-7B-Instruct",
        "Qwen2.5-VL-7B-Instruct",
    ),
    14_770_033_664: (
        "Qwen2.5-14B-Instruct",
        "Qwen2.5-14B",
        "Qwen2.5-Coder-14B-Instruct",
    ),
    32_763_876_352: (
        "Qwen2.5-32B-Instruct",
        "Qwen2.5-32B",
        "Qwen2.5-Coder-32B-Instruct",
        "QwQ-32B",
        "Qwen2.5-VL-32B-Instruct",
    ),
    72_706_203_648: (
        "Qwen2.5-72B-Instruct",
        "Qwen2.5-72B",
        "Qwen2.5-VL-72B-Instruct",
    ),
    596_049_920: ("Qwen3-0.6B", "Qwen3-0.6B-Base"),
    1_720_574_976: (
        "Qwen3-1.7B",
        "Qwen3-1.7B-Base",
        "Qwen3-VL-2B-Instruct",
        "Qwen3-VL-2B-Thinking",
    ),
    4_022_468_096: (
        "Qwen3-4B",
        "Qwen3-4B-Base",
        "Qwen3-4B-Instruct-2507",
        "Qwen3-4B-Thinking-2507",
        "Qwen3-VL-4B-Instruct",
        "Qwen3-VL-4B-Thinking",
    ),
    8_190_735_360: (
        "Qwen3-8B",
        "Qwen3-8B-Base",
        "Qwen3-VL-8B-Instruct",
        "Qwen3-VL-8B-Thinking",
    ),
    14_768_307_200: ("Qwen3-14B", "Qwen3-14B-Base"),
    32_762_123_264: ("Qwen3-32B", "Qwen3-VL-32B-Instruct", "Qwen3-VL-32B-Thinking"),
    30_532_122_624: (
        "Qwen3-30B-A3B",
        "Qwen3-30B-A3B-Base",
        "Qwen3-30B-A3B-Instruct-2507",
        "Qwen3-30B-A3B-Thinking-2507",
        "Qwen3-Coder-30B-A3B-Instruct",
        "Qwen3-VL-30B-A3B-Instruct",
        "Qwen3-VL-30B-A3B-Thinking",
    ),
    235_093_634_560: (
        "Qwen3-235B-A22B",
        "Qwen3-235B-A22B-Instruct-2507",
        "Qwen3-235B-A22B-Thinking-2507",
        "Qwen3-VL-235B-A22B-Instruct",
        "Qwen3-VL-235B-A22B-Thinking",
    ),
    480_154_875_392: ("Qwen3-Coder-480B-A35B-Instruct",),
    79_674_391_296: (
        "Qwen3-Next-80B-A3B-Instruct",
        "Qwen3-Next-80B-A3B-Thinking",
        "Qwen3-Coder-Next",
    ),
    752_393_024: ("Qwen3.5-0.8B",),
    1_881_825_088: ("Qwen3.5-2B",),
    4_205_751_296: ("Qwen3.5-4B",),
    8_953_803_264: ("Qwen3.5-9B",),
    26_895_998_464: ("Qwen3.5-27B", "Qwen3.6-27B", "Qwen3.8-27B"),
    34_660_610_688: ("Qwen3.5-35B-A3B", "Qwen3.6-35B-A3B"),
    122_111_526_912: ("Qwen3.5-122B-A10B",),
    396_346_350_336: ("Qwen3.5-397B-A17B",),
}
PARAMETERS_OF = {
    f"Qwen/{name}": count for count, names in TEXT_PARAMETERS.items() for name in names
}
# Counted in the files that its script writes.
PARAMETERS_OF["qwen-operator/tiny-qwen3"] = 139_712

# Published totals with the vision tower.
VISION_LANGUAGE_PARAMETERS = {
    "Qwen/Qwen3-VL-2B-Instruct": 2_127_532_032,
    "Qwen/Qwen3-VL-4B-Instruct": 4_437_815_808,
    "Qwen/Qwen3-VL-8B-Instruct": 8_767_123_696,
}


def text_parameters(geometry: Geometry) -> int:
    return sum(
        tensor.elements
        for tensor in weight_tensors(geometry, 1)
        if tensor.part is not WeightPart.VISION
    )


def all_parameters(geometry: Geometry) -> int:
    return sum(tensor.elements for tensor in weight_tensors(geometry, 1))


def test_the_table_of_published_counts_names_every_model_of_the_catalogue() -> None:
    assert set(PARAMETERS_OF) == set(model_names())


@pytest.mark.parametrize("name", model_names())
def test_a_model_has_as_many_parameters_as_published(name: str) -> None:
    geometry = find_model(name).geometry
    missing = PARAMETERS_OF[name] - text_parameters(geometry)
    # Of Gated DeltaNet, decay, time step and gated norm are too small to be told apart.
    linear = geometry.linear_attention
    untold = (
        geometry.linear_attention_layers * (2 * linear.value_heads + linear.value_dim)
        if linear
        else 0
    )
    assert 0 <= missing <= untold


@pytest.mark.parametrize("name", VISION_LANGUAGE_PARAMETERS)
def test_a_vision_language_model_has_as_many_parameters_as_published(name: str) -> None:
    counted = all_parameters(find_model(name).geometry)
    assert counted == pytest.approx(VISION_LANGUAGE_PARAMETERS[name], rel=1e-5)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("Qwen/Qwen2.5-VL-3B-Instruct", 3_754_622_976),
        ("Qwen/Qwen2.5-VL-7B-Instruct", 8_292_166_656),
    ],
)
def test_the_gated_vision_tower_of_qwen25_vl_is_counted_in_full(name: str, published: int) -> None:
    assert all_parameters(find_model(name).geometry) == pytest.approx(published, rel=1e-5)


def test_a_dense_model_has_only_full_attention_and_dense_layers() -> None:
    geometry = parse_geometry(DENSE)
    assert geometry.layers == geometry.full_attention_layers == geometry.dense_layers == 36
    assert not geometry.is_hybrid
    assert geometry.experts is None
    assert geometry.vision is None
    assert geometry.attention.qk_norm
    assert not geometry.attention.bias


def test_qwen2_has_biases_and_derives_the_head_from_the_hidden_size() -> None:
    config = without(without(DENSE, "head_dim"), "num_key_value_heads")
    attention = parse_geometry({**config, "model_type": "qwen2"}).attention
    assert attention.bias
    assert not attention.qk_norm
    assert attention.head_dim == 80
    assert attention.kv_heads == 32


def test_one_layer_in_four_of_a_hybrid_is_full_attention() -> None:
    geometry = parse_geometry(HYBRID)
    assert geometry.is_hybrid
    assert (geometry.full_attention_layers, geometry.linear_attention_layers) == (8, 24)
    assert geometry.attention.output_gate
    assert geometry.attention.rotary_dim == 64


def test_layer_types_outweigh_the_interval() -> None:
    kinds = ["linear_attention"] * 30 + ["full_attention"] * 2
    geometry = parse_geometry({**HYBRID, "layer_types": kinds})
    assert (geometry.full_attention_layers, geometry.linear_attention_layers) == (2, 30)


@pytest.mark.parametrize(
    ("change", "state_bytes"),
    [({}, 4), ({"mamba_ssm_dtype": None}, 2), ({"mamba_ssm_dtype": "bfloat16"}, 2)],
)
def test_the_recurrent_state_follows_its_own_type_and_else_the_model(
    change: dict[str, Any], state_bytes: int
) -> None:
    linear = parse_geometry({**HYBRID, **change}).linear_attention
    assert linear is not None
    assert linear.ssm_state_bytes == state_bytes


@pytest.mark.parametrize(
    ("change", "dense_layers"),
    [
        ({}, 0),
        ({"mlp_only_layers": [0, 1, 35]}, 3),
        ({"decoder_sparse_step": 2}, 18),
        ({"decoder_sparse_step": 2, "mlp_only_layers": [0, 1]}, 19),
    ],
)
def test_a_mixture_of_experts_may_have_dense_layers(
    change: dict[str, Any], dense_layers: int
) -> None:
    geometry = parse_geometry({**MOE, **change})
    assert geometry.dense_layers == dense_layers
    assert geometry.expert_layers == 36 - dense_layers
    dense_ffn = sum(
        tensor.elements for tensor in weight_tensors(geometry, 1) if tensor.part is WeightPart.FFN
    )
    assert dense_ffn == dense_layers * 3 * 2560 * 9728


def test_a_mixture_of_experts_without_dense_layers_needs_no_dense_width() -> None:
    assert parse_geometry(without(MOE, "intermediate_size")).intermediate_size == 0


def test_the_text_of_a_vision_language_model_is_that_of_the_language_model() -> None:
    geometry = parse_geometry(VISION)
    assert text_parameters(geometry) == text_parameters(parse_geometry(DENSE))
    assert geometry.vision is not None
    assert geometry.vision.depth == 24


def test_a_flat_vision_config_is_read_like_a_nested_one() -> None:
    flat = {**DENSE, "model_type": "qwen3_vl", "vision_config": VISION_TOWER}
    assert parse_geometry(flat) == parse_geometry(VISION)


def test_the_vocabulary_is_padded_as_vllm_pads_it() -> None:
    assert parse_geometry({**DENSE, "vocab_size": 151_643}).vocabulary == 151_680


def test_rope_is_read_in_both_spellings() -> None:
    assert parse_geometry(DENSE).rope_theta == 1_000_000
    assert parse_geometry(HYBRID).rope_theta == 10_000_000


@pytest.mark.parametrize("model_type", ["llama", "gemma3", "qwen2_audio", "", None, 3])
def test_another_architecture_is_refused_by_name(model_type: object) -> None:
    with pytest.raises(InvalidInput, match=r"only Qwen architectures are planned .*; use the"):
        parse_geometry({**DENSE, "model_type": model_type})


def test_a_config_without_a_model_type_is_refused() -> None:
    with pytest.raises(InvalidInput, match="model_type is None"):
        parse_geometry({})


REQUIRED = [
    *((DENSE, key) for key in ("hidden_size", "intermediate_size", "num_hidden_layers")),
    *((DENSE, key) for key in ("num_attention_heads", "vocab_size", "max_position_embeddings")),
    *((MOE, key) for key in ("num_experts_per_tok", "moe_intermediate_size")),
    *((HYBRID, key) for key in HYBRID if key.startswith("linear_")),
]


@pytest.mark.parametrize(("config", "key"), REQUIRED, ids=lambda each: each if each else "")
def test_a_config_that_lacks_a_key_is_refused_by_that_key(config: dict[str, Any], key: str) -> None:
    with pytest.raises(InvalidInput, match=f"^config.json: {key} is None, but it must be"):
        parse_geometry(without(config, key))


@pytest.mark.parametrize("value", [-1, 0, True, False, 2.5, "64", [64], {}])
@pytest.mark.parametrize(("config", "key"), REQUIRED, ids=lambda each: each if each else "")
def test_a_number_that_is_none_is_refused(config: dict[str, Any], key: str, value: object) -> None:
    with pytest.raises(InvalidInput, match=f"^config.json: {key} is .*an integer of at least 1"):
        parse_geometry({**config, key: value})


@pytest.mark.parametrize("value", [-1, True, "8", [8]])
@pytest.mark.parametrize("key", ["head_dim", "num_key_value_heads"])
def test_an_optional_number_is_checked_too(key: str, value: object) -> None:
    with pytest.raises(InvalidInput, match=f"^config.json: {key} is"):
        parse_geometry({**DENSE, key: value})


MALFORMED: list[tuple[dict[str, Any], str, object]] = [
    (MOE, "num_experts", "many"),
    (VISION, "vision_config", {}),
    (VISION, "vision_config", {**VISION_TOWER, "depth": -1}),
]


@pytest.mark.parametrize(("config", "key", "value"), MALFORMED)
def test_a_malformed_value_is_refused_with_a_sentence(
    config: dict[str, Any], key: str, value: object
) -> None:
    with pytest.raises(InvalidInput):
        parse_geometry({**config, key: value})


NOT_REFUSED: list[tuple[dict[str, Any], str, object]] = [
    (DENSE, "model_type", []),
    (DENSE, "model_type", {}),
    (DENSE, "head_dim", 0),
    (DENSE, "num_key_value_heads", 0),
    (DENSE, "num_attention_heads", 99_999),
    (DENSE, "rope_theta", "fast"),
    (DENSE, "rope_theta", [1]),
    (DENSE, "rope_parameters", [1]),
    (DENSE, "rope_parameters", {"rope_theta": "fast"}),
    (DENSE, "rope_parameters", {"partial_rotary_factor": "half"}),
    (MOE, "decoder_sparse_step", 0),
    (MOE, "mlp_only_layers", 3),
    (MOE, "mlp_only_layers", [[1]]),
    (HYBRID, "full_attention_interval", 0),
    (HYBRID, "full_attention_interval", 64),
    (HYBRID, "layer_types", ["linear_attention"] * 32),
    (HYBRID, "layer_types", ["full_attention"] * 3),
    (VISION, "vision_config", {**VISION_TOWER, "deepstack_visual_indexes": 3}),
]


@pytest.mark.parametrize(("config", "key", "value"), NOT_REFUSED)
def test_a_value_of_no_sense_is_refused_with_a_sentence(
    config: dict[str, Any], key: str, value: object
) -> None:
    with pytest.raises(InvalidInput):
        parse_geometry({**config, key: value})


def test_a_null_rotary_share_means_the_whole_head() -> None:
    config = {**DENSE, "rope_parameters": {"partial_rotary_factor": None}}
    assert parse_geometry(config).attention.rotary_dim == 128
