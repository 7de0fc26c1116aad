from __future__ import annotations

import json

import pytest

from qwen_operator.api.enums import KvCacheDtype, Precision
from qwen_operator.catalog.cards import Card, ComputeCapability, find_card
from qwen_operator.catalog.checkpoints import CheckpointFormat, WeightPart
from qwen_operator.catalog.models import Model, find_model, model_from_config
from qwen_operator.planning.precision import WeightChoice, choose_weights
from qwen_operator.planning.refusal import Refusal
from qwen_operator.planning.weights import WeightFormat
from tests.catalog.configs import DENSE
from tests.planning.examples import ALL_MODELS, L4, card_by_hand

AMPERE, ADA, HOPPER = (8, 6), (8, 9), (9, 0)
AUTO = KvCacheDtype.AUTO
DENSE_MODEL, MOE_MODEL = "Qwen/Qwen3-8B", "Qwen/Qwen3-30B-A3B"
HYBRID_MODEL, OLD_MODEL = "Qwen/Qwen3.5-27B", "Qwen/Qwen2.5-7B-Instruct"


def choose(
    model: str | Model,
    precision: str,
    card: Card = L4,
    kv_cache_dtype: KvCacheDtype = AUTO,
) -> WeightChoice | Refusal:
    found = find_model(model) if isinstance(model, str) else model
    return choose_weights(found, Precision(precision), kv_cache_dtype, card)


def chosen(
    model: str | Model,
    precision: str,
    card: Card = L4,
    kv_cache_dtype: KvCacheDtype = AUTO,
) -> WeightChoice:
    choice = choose(model, precision, card, kv_cache_dtype)
    assert isinstance(choice, WeightChoice), choice
    return choice


def refused(
    model: str | Model,
    precision: str,
    card: Card = L4,
    kv_cache_dtype: KvCacheDtype = AUTO,
) -> str:
    choice = choose(model, precision, card, kv_cache_dtype)
    assert isinstance(choice, Refusal), choice
    return choice.sentence


# Repository, and storage of the feed-forward layers before Hopper.
CHOICES = [
    (DENSE_MODEL, "bf16", "Qwen/Qwen3-8B", WeightFormat.BITS16),
    (DENSE_MODEL, "fp16", "Qwen/Qwen3-8B", WeightFormat.BITS16),
    (DENSE_MODEL, "fp8", "Qwen/Qwen3-8B-FP8", WeightFormat.FP8_BLOCK),
    (DENSE_MODEL, "int4", "Qwen/Qwen3-8B-AWQ", WeightFormat.INT4_ZERO_POINT),
    (DENSE_MODEL, "mixed", "Qwen/Qwen3-8B", WeightFormat.FP8),
    (OLD_MODEL, "fp8", "Qwen/Qwen2.5-7B-Instruct", WeightFormat.FP8),
    (OLD_MODEL, "int8", "Qwen/Qwen2.5-7B-Instruct-GPTQ-Int8", WeightFormat.INT8),
    (OLD_MODEL, "int4", "Qwen/Qwen2.5-7B-Instruct-AWQ", WeightFormat.INT4_ZERO_POINT),
    (HYBRID_MODEL, "int4", "Qwen/Qwen3.5-27B-GPTQ-Int4", WeightFormat.INT4),
    (HYBRID_MODEL, "mixed", "Qwen/Qwen3.5-27B", WeightFormat.FP8),
]


@pytest.mark.parametrize("capability", [(8, 0), AMPERE, ADA, HOPPER, (12, 0)])
@pytest.mark.parametrize(("model", "precision", "repository"), [each[:3] for each in CHOICES])
def test_the_checkpoint_follows_model_and_precision_and_never_the_card(
    model: str, precision: str, repository: str, *, capability: ComputeCapability
) -> None:
    choice = chosen(model, precision, card_by_hand(24, capability))
    assert choice.checkpoint.repository == repository
    assert choice.scheme.format_of(WeightPart.EMBEDDING) is WeightFormat.BITS16


@pytest.mark.parametrize("capability", [(8, 0), AMPERE, ADA])
@pytest.mark.parametrize(
    ("model", "precision", "stored"), [(each[0], each[1], each[3]) for each in CHOICES]
)
def test_the_feed_forward_layers_are_stored_as_published(
    model: str, precision: str, stored: WeightFormat, *, capability: ComputeCapability
) -> None:
    choice = chosen(model, precision, card_by_hand(24, capability))
    assert choice.scheme.format_of(WeightPart.FFN) is stored


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("bf16", "bfloat16"), ("fp16", "float16"), ("fp8", "bfloat16"), ("int4", "bfloat16")],
)
def test_activations_are_16_bit(precision: str, dtype: str) -> None:
    assert chosen(DENSE_MODEL, precision).dtype == dtype


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("capability", [(6, 1), (7, 0), (7, 5)])
def test_a_card_before_ampere_is_refused(
    precision: Precision, capability: ComputeCapability
) -> None:
    sentence = refused(DENSE_MODEL, precision, card_by_hand(24, capability))
    assert f"compute capability {capability[0]}.{capability[1]}, but" in sentence
    assert sentence.endswith("use an Ampere card or newer")


@pytest.mark.parametrize("precision", ["fp8", "int8", "int4", "mixed"])
def test_a_cpu_runs_only_16_bit(precision: str) -> None:
    sentence = refused(DENSE_MODEL, precision, find_card("CPU"))
    assert sentence.startswith(f"precision is {precision}, but CPU runs only bf16 and fp16")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_cpu_runs_16_bit(precision: str) -> None:
    assert chosen(DENSE_MODEL, precision, find_card("CPU")).kv_cache_dtype is AUTO


@pytest.mark.parametrize(
    ("model", "precision"),
    [
        (DENSE_MODEL, "int8"),
        (MOE_MODEL, "int8"),
        ("Qwen/Qwen3-4B-Instruct-2507", "int4"),
        ("Qwen/Qwen3-4B-Base", "int8"),
        (HYBRID_MODEL, "int8"),
    ],
)
def test_a_precision_nobody_published_is_refused_with_those_there_are(
    model: str, precision: str
) -> None:
    sentence = refused(model, precision)
    assert sentence.startswith(
        f"precision is {precision}, but there are no {precision} weights of {model} and vLLM "
        f"cannot convert to {precision} while loading; use "
    )
    offered = sentence.partition("; use ")[2].partition(", or quantise")[0].split(", ")
    for each in offered:
        chosen(model, each)


@pytest.mark.parametrize("model", ALL_MODELS)
@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp8", "mixed"])
def test_every_model_runs_in_16_bit_fp8_and_mixed(model: str, precision: str) -> None:
    chosen(model, precision)


def test_fp8_without_a_checkpoint_is_converted_while_loading() -> None:
    choice = chosen(OLD_MODEL, "fp8")
    assert choice.scheme.quantised_at_load
    flag, name, config_flag, config = choice.quantization_args
    assert (flag, name, config_flag) == ("--quantization", "online", "--quantization-config")
    assert json.loads(config) == {"linear": "fp8_per_tensor"}


@pytest.mark.parametrize(
    ("model", "config"),
    [
        (DENSE_MODEL, {"linear": "fp8_per_tensor", "ignore": ["re:.*self_attn.*"]}),
        (
            MOE_MODEL,
            {
                "linear": "fp8_per_tensor",
                "moe": "fp8_per_tensor",
                "ignore": ["re:.*self_attn.*"],
            },
        ),
        (
            HYBRID_MODEL,
            {
                "linear": "fp8_per_tensor",
                "ignore": ["re:.*self_attn.*", "re:.*linear_attn.*", "re:.*visual.*"],
            },
        ),
    ],
)
def test_mixed_converts_the_feed_forward_layers_and_leaves_attention(
    model: str, config: dict[str, object]
) -> None:
    choice = chosen(model, "mixed")
    assert json.loads(choice.quantization_args[3]) == config
    assert choice.scheme.format_of(WeightPart.ATTENTION) is WeightFormat.BITS16
    assert choice.scheme.format_of(WeightPart.FFN) is WeightFormat.FP8


def test_mixed_halves_the_kv_cache_unless_told_otherwise() -> None:
    assert chosen(DENSE_MODEL, "mixed").kv_cache_dtype is KvCacheDtype.FP8
    kept = chosen(DENSE_MODEL, "mixed", kv_cache_dtype=KvCacheDtype.BFLOAT16)
    assert kept.kv_cache_dtype is KvCacheDtype.BFLOAT16
    assert chosen(DENSE_MODEL, "fp8").kv_cache_dtype is AUTO


@pytest.mark.parametrize(
    ("precision", "kv", "fits"),
    [
        ("bf16", KvCacheDtype.BFLOAT16, True),
        ("bf16", KvCacheDtype.FLOAT16, False),
        ("fp16", KvCacheDtype.FLOAT16, True),
        ("fp16", KvCacheDtype.BFLOAT16, False),
        ("int4", KvCacheDtype.FLOAT16, False),
        ("int4", KvCacheDtype.FP8, True),
        ("bf16", KvCacheDtype.INT8_PER_TOKEN_HEAD, True),
    ],
)
def test_a_16_bit_cache_is_of_the_model_s_own_type(
    precision: str, kv: KvCacheDtype, *, fits: bool
) -> None:
    if fits:
        assert chosen(DENSE_MODEL, precision, kv_cache_dtype=kv).kv_cache_dtype is kv
    else:
        sentence = refused(DENSE_MODEL, precision, kv_cache_dtype=kv)
        assert sentence.startswith(f"kvCacheDtype is {kv}, but the model computes in")


@pytest.mark.parametrize("kv", [KvCacheDtype.FP8, KvCacheDtype.INT4_PER_TOKEN_HEAD])
def test_a_cpu_keeps_its_cache_in_16_bits(kv: KvCacheDtype) -> None:
    sentence = refused(DENSE_MODEL, "bf16", find_card("CPU"), kv)
    assert sentence.endswith("set kvCacheDtype to auto")


def test_an_fp8_checkpoint_takes_no_e5m2_cache() -> None:
    refused(DENSE_MODEL, "fp8", kv_cache_dtype=KvCacheDtype.FP8_E5M2)


def test_ampere_takes_no_fp8_per_token_head_cache() -> None:
    refused(DENSE_MODEL, "bf16", find_card("A10G"), KvCacheDtype.FP8_PER_TOKEN_HEAD)


@pytest.mark.parametrize(
    ("model", "precision", "capability", "words"),
    [
        (DENSE_MODEL, "fp8", AMPERE, "weight-only (Marlin W8A16)"),
        (DENSE_MODEL, "fp8", ADA, "weight-only (Marlin W8A16)"),
        (DENSE_MODEL, "fp8", HOPPER, "native on this card (W8A8)"),
        (OLD_MODEL, "fp8", AMPERE, "weight-only on this card (Marlin W8A16)"),
        (OLD_MODEL, "fp8", ADA, "native FP8 on this card (W8A8)"),
        (DENSE_MODEL, "mixed", AMPERE, "weight-only on this card (Marlin W8A16)"),
        (DENSE_MODEL, "mixed", ADA, "the feed-forward layers to FP8 while loading, native FP8"),
        (DENSE_MODEL, "int4", ADA, "weight-only through Marlin"),
        (DENSE_MODEL, "bf16", ADA, "16-bit as published"),
    ],
)
def test_the_decision_says_how_the_card_runs_the_weights(
    model: str, precision: str, *, capability: ComputeCapability, words: str
) -> None:
    (decision,) = chosen(model, precision, card_by_hand(24, capability)).decisions
    assert decision.startswith("Weights: ")
    assert words in decision


def from_config(**quantization: object) -> Model:
    return model_from_config("me/mine", {**DENSE, "quantization_config": quantization})


def test_quantised_weights_by_hand_serve_only_their_own_precision() -> None:
    model = from_config(quant_method="awq", bits=4)
    assert chosen(model, "int4").checkpoint.format is CheckpointFormat.AWQ
    for precision in ("bf16", "fp16", "fp8", "int8", "mixed"):
        assert refused(model, precision) == (
            f"precision is {precision}, but the weights of me/mine are int4; set precision to "
            "int4, or name the 16-bit model"
        )


def test_int8_by_hand_is_native_where_it_is_w8a8() -> None:
    weights = {"num_bits": 8, "type": "int"}
    model = from_config(
        quant_method="compressed-tensors", config_groups={"a": {"weights": weights}}
    )
    choice = chosen(model, "int8", find_card("A10G"))
    assert choice.scheme.format_of(WeightPart.FFN) is WeightFormat.INT8
    assert "CUTLASS W8A8" in choice.decisions[0]


def test_a_16_bit_model_by_hand_is_converted_when_asked() -> None:
    model = model_from_config("me/mine", DENSE)
    assert chosen(model, "fp8").scheme.quantised_at_load
    assert "there are no int8 weights" in refused(model, "int8")
