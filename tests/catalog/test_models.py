from __future__ import annotations

import pytest

from e2e.models.tiny_qwen3 import CONFIG
from qwen_operator.api.enums import Precision
from qwen_operator.catalog.checkpoints import CheckpointFormat, WeightPart
from qwen_operator.catalog.geometry import parse_geometry
from qwen_operator.catalog.models import find_model, model_from_config, model_names
from qwen_operator.errors import InvalidInput
from tests.catalog.configs import DENSE, HYBRID, VISION


@pytest.mark.parametrize("name", model_names())
def test_every_entry_parses_and_is_consistent(name: str) -> None:
    model = find_model(name)
    assert model.name == name
    sixteen_bit = model.checkpoints[Precision.BF16]
    assert (sixteen_bit.repository, sixteen_bit.format) == (name, CheckpointFormat.BITS16)
    assert 0 < model.native_context_length <= model.geometry.max_position_embeddings
    assert model.context_limit >= model.native_context_length
    if model.yarn_context_length is not None:
        assert model.yarn_context_length > model.native_context_length
    for precision, checkpoint in model.checkpoints.items():
        assert checkpoint.format.precision is precision
        assert checkpoint.repository.startswith(f"{name}-") or precision is Precision.BF16


def test_names_are_told_apart_without_case() -> None:
    assert len({name.lower() for name in model_names()}) == len(model_names())


@pytest.mark.parametrize("name", ["qwen/qwen3-8b", "QWEN/QWEN3-8B", "Qwen/Qwen3-8B"])
def test_a_model_is_found_in_any_case(name: str) -> None:
    assert find_model(name).name == "Qwen/Qwen3-8B"


def test_a_model_is_found_by_the_name_of_an_official_checkpoint() -> None:
    for name, precision in (("Qwen/Qwen3-8B-AWQ", "int4"), ("qwen/qwen3-8b-fp8", "fp8")):
        model = find_model(name)
        assert model.name.lower() == name.lower()
        assert set(model.checkpoints) == {precision}
        assert model.geometry == find_model("Qwen/Qwen3-8B").geometry


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Qwen/Qwen3-Embedding-8B", "an embedding model"),
        ("qwen/qwen3-embedding-0.6b", "an embedding model"),
        ("Qwen/Qwen3-VL-Embedding-2B", "an embedding model"),
        ("Alibaba-NLP/gte-Qwen2-7B-instruct", "an embedding model"),
        ("Qwen/Qwen3-Reranker-4B", "a reranker"),
        ("Qwen/Qwen2.5-Omni-7B", "an audio model"),
        ("Qwen/Qwen3-Omni-30B-A3B-Instruct", "an audio model"),
        ("Qwen/Qwen2-Audio-7B", "an audio model"),
        ("Qwen/Qwen3-ASR-1.7B", "a speech recognition model"),
        ("Qwen/Qwen3-TTS-12Hz-1.7B", "a speech model"),
        ("Qwen/Qwen2.5-Math-RM-72B", "a reward model"),
        ("Qwen/Qwen2.5-Math-PRM-7B", "a reward model"),
        ("Qwen/Qwen3Guard-Stream-4B", "a token classifier"),
        ("Qwen/Qwen-Image", "an image generation model"),
        ("Qwen/Qwen3-8B-GGUF", "a GGUF file"),
        ("Qwen/Qwen3-8B-MLX-4bit", "a checkpoint for Apple silicon"),
    ],
)
def test_what_is_no_generative_language_model_is_refused_by_what_it_is(
    name: str, reason: str
) -> None:
    with pytest.raises(InvalidInput, match=f"it is {reason}.*are served") as refusal:
        find_model(name)
    assert repr(name) in str(refusal.value)


def test_a_misspelt_name_is_answered_with_the_nearest_ones() -> None:
    with pytest.raises(InvalidInput, match=r"use one of .*Qwen/Qwen3-8B\b.*, or plan it from"):
        find_model("Qwen/Qwen3-8")


def test_a_name_like_no_other_is_answered_without_guesses() -> None:
    with pytest.raises(InvalidInput) as refusal:
        find_model("zzzzzzzz/0000000000000")
    assert "use one of" not in str(refusal.value)
    assert str(refusal.value).endswith("plan it from its own file with --config-json")


def test_no_name_is_an_answer_and_not_a_crash() -> None:
    with pytest.raises(InvalidInput, match="the catalogue does not have it"):
        find_model("")


def test_a_model_from_a_config_stands_under_the_precision_of_its_weights() -> None:
    sixteen_bit = model_from_config("me/mine", DENSE)
    assert list(sixteen_bit.checkpoints) == [Precision.BF16]
    assert sixteen_bit.native_context_length == sixteen_bit.context_limit == 40_960
    awq = {**DENSE, "quantization_config": {"quant_method": "awq", "bits": 4}}
    assert list(model_from_config("me/mine", awq).checkpoints) == [Precision.INT4]


@pytest.mark.parametrize("config", [HYBRID, VISION])
def test_hybrids_and_vision_language_models_come_from_a_config_too(
    config: dict[str, object],
) -> None:
    model = model_from_config("me/mine", config)
    assert model.name == "me/mine"
    assert model.native_context_length == model.geometry.max_position_embeddings


def test_the_padded_checkpoint_of_72b_has_a_geometry_of_its_own() -> None:
    model = find_model("Qwen/Qwen2.5-72B-Instruct")
    assert model.geometry.intermediate_size == 29_568
    assert model.checkpoints[Precision.INT4].geometry.intermediate_size == 29_696


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("Qwen/Qwen3.5-27B", {WeightPart.ATTENTION}),
        ("Qwen/Qwen3.5-35B-A3B", {WeightPart.ATTENTION, WeightPart.FFN}),
    ],
)
def test_gptq_of_qwen35_leaves_attention_and_shared_experts_in_16_bits(
    name: str, left_out: set[WeightPart]
) -> None:
    assert find_model(name).checkpoints[Precision.INT4].sixteen_bit_parts == left_out


def test_the_tiny_model_is_what_its_script_writes() -> None:
    assert find_model("qwen-operator/tiny-qwen3").geometry == parse_geometry(dict(CONFIG))
