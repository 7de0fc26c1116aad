from __future__ import annotations

import json
from typing import Any

import pytest

from qwen_operator.catalog.models import find_model, model_from_config
from qwen_operator.planning.context import ContextChoice, choose_context
from qwen_operator.planning.refusal import Refusal
from tests.catalog.configs import DENSE
from tests.planning.examples import ALL_MODELS, VISION_MODELS

YARN_MODELS = tuple(name for name in ALL_MODELS if find_model(name).yarn_context_length)


def chosen(model: str, length: int) -> ContextChoice:
    choice = choose_context(find_model(model), length)
    assert isinstance(choice, ContextChoice)
    return choice


def overrides(model: str, length: int) -> dict[str, Any]:
    flag, text = chosen(model, length).args
    assert flag == "--hf-overrides"
    return json.loads(text)


@pytest.mark.parametrize("model", ALL_MODELS)
def test_a_native_context_needs_no_override(model: str) -> None:
    known = find_model(model)
    for length in (1, 8192, known.native_context_length):
        choice = chosen(model, length)
        assert choice.args == ()
        assert choice.max_model_len == length
        assert choice.max_position_embeddings == known.geometry.max_position_embeddings


def test_positions_that_the_card_keeps_for_the_answer_are_native_too() -> None:
    assert chosen("Qwen/Qwen3-8B", 40_960).args == ()
    assert chosen("Qwen/Qwen3-8B", 40_961).args


def test_yarn_sets_both_the_rope_and_the_length() -> None:
    assert overrides("Qwen/Qwen3-8B", 131_072) == {
        "rope_parameters": {
            "rope_type": "yarn",
            "factor": 4.0,
            "original_max_position_embeddings": 32_768,
            "rope_theta": 1_000_000.0,
        },
        "max_position_embeddings": 131_072,
    }


@pytest.mark.parametrize(
    ("length", "factor"), [(40_961, 1.5), (49_152, 1.5), (49_153, 2.0), (65_536, 2.0), (131_072, 4)]
)
def test_the_factor_is_the_smallest_half_that_suffices(length: int, factor: float) -> None:
    assert overrides("Qwen/Qwen3-8B", length)["rope_parameters"]["factor"] == factor


@pytest.mark.parametrize("model", YARN_MODELS)
def test_the_stretched_table_covers_the_longest_request(model: str) -> None:
    limit = find_model(model).context_limit
    asked = overrides(model, limit)
    text = asked.get("text_config", asked)
    rope = text["rope_parameters"]
    assert text["max_position_embeddings"] == limit
    assert rope["factor"] * rope["original_max_position_embeddings"] >= limit
    assert rope["rope_theta"] == find_model(model).geometry.rope_theta


@pytest.mark.parametrize("model", YARN_MODELS)
def test_only_a_config_that_nests_its_text_gets_a_nested_override(model: str) -> None:
    asked = overrides(model, find_model(model).context_limit)
    assert ("text_config" in asked) == (model in VISION_MODELS)


def test_qwen35_keeps_its_partial_and_multimodal_rope() -> None:
    rope = overrides("Qwen/Qwen3.5-4B", 1_000_000)["text_config"]["rope_parameters"]
    assert rope["partial_rotary_factor"] == 0.25
    assert rope["mrope_section"] == [11, 11, 10]
    assert rope["mrope_interleaved"] is True


def test_qwen3_vl_keeps_its_multimodal_rope() -> None:
    rope = overrides("Qwen/Qwen3-VL-4B-Instruct", 1_000_000)["text_config"]["rope_parameters"]
    assert rope["mrope_section"] == [24, 20, 20]
    assert rope["mrope_interleaved"] is True


@pytest.mark.parametrize("model", ALL_MODELS)
def test_a_context_beyond_the_model_is_refused_with_its_limit(model: str) -> None:
    known = find_model(model)
    limit = max(known.context_limit, known.geometry.max_position_embeddings)
    assert isinstance(choose_context(known, limit), ContextChoice)
    refusal = choose_context(known, limit + 1)
    assert isinstance(refusal, Refusal)
    assert refusal.sentence.startswith(f"contextLength is {limit + 1}, but {model} takes at most")
    assert refusal.sentence.endswith(f"set contextLength to {limit} or less")
    assert ("with YaRN" in refusal.sentence) == (known.yarn_context_length is not None)


def test_a_config_by_hand_is_never_stretched() -> None:
    refusal = choose_context(model_from_config("me/mine", DENSE), 40_961)
    assert isinstance(refusal, Refusal)
    assert "takes at most 40960 tokens; set" in refusal.sentence
