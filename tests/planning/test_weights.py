from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.planner.measurements import Measurement, load_measurements
from qwen_operator.catalog.checkpoints import WeightPart
from qwen_operator.catalog.geometry import Geometry
from qwen_operator.catalog.models import find_model
from qwen_operator.planning.weights import (
    SIXTEEN_BIT,
    WeightFormat,
    WeightScheme,
    loaded_bytes,
    stored_bytes,
    uniform_scheme,
    weight_tensors,
)
from qwen_operator.units import GIB
from tests.planning.examples import ALL_MODELS, VISION_MODELS, plan_of

MEASURED_WITHIN_GIB = 0.08
# LoRA slots are part of the weights that vLLM logs, and of the other half of the plan.
LOADED = [
    run
    for run in load_measurements()
    if run.run.get("weights_gib") is not None and run.request.engine.lora is None
]


@pytest.mark.parametrize("run", LOADED, ids=lambda run: run.key)
def test_loaded_weights_are_what_vllm_measured(run: Measurement) -> None:
    planned = plan_of(run.request, run.card).budget.weights_bytes / GIB
    assert planned == pytest.approx(run.weights_gib, abs=MEASURED_WITHIN_GIB)


SCHEMES = {
    "16-bit": SIXTEEN_BIT,
    "fp8": uniform_scheme(WeightFormat.FP8),
    "fp8-block": uniform_scheme(WeightFormat.FP8_BLOCK),
    "awq": uniform_scheme(WeightFormat.INT4_ZERO_POINT),
    "gptq-int4": uniform_scheme(WeightFormat.INT4),
    "gptq-int8": uniform_scheme(WeightFormat.INT8),
}
# GiB of the language model in each format, computed from published geometries without allocator.
STORED_GIB: dict[str, tuple[float, float, float, float, float, float]] = {
    "Qwen2.5-0.5B-Instruct": (0.920, 0.587, 0.592, 0.427, 0.426, 0.592),
    "Qwen2.5-1.5B-Instruct": (2.875, 1.655, 1.674, 1.069, 1.064, 1.674),
    "Qwen2.5-3B-Instruct": (5.748, 3.164, 3.204, 1.923, 1.912, 3.204),
    "Qwen2.5-7B-Instruct": (14.185, 8.108, 8.203, 5.188, 5.164, 8.203),
    "Qwen2.5-14B-Instruct": (27.511, 15.207, 15.399, 9.295, 9.247, 15.399),
    "Qwen2.5-32B-Instruct": (61.027, 31.965, 32.419, 18.001, 17.888, 32.419),
    "Qwen2.5-72B-Instruct": (135.426, 70.035, 71.057, 38.617, 38.362, 71.057),
    "Qwen3-0.6B": (1.110, 0.700, 0.706, 0.503, 0.501, 0.706),
    "Qwen3-1.7B": (3.205, 1.892, 1.913, 1.262, 1.257, 1.913),
    "Qwen3-4B": (7.492, 4.109, 4.162, 2.483, 2.470, 4.162),
    "Qwen3-8B": (15.256, 8.788, 8.889, 5.680, 5.654, 8.889),
    "Qwen3-14B": (27.508, 15.203, 15.396, 9.291, 9.243, 15.396),
    "Qwen3-32B": (61.024, 31.962, 32.416, 17.998, 17.885, 32.416),
    "Qwen3-30B-A3B": (56.871, 29.027, 29.462, 15.649, 15.540, 29.462),
    "Qwen3-235B-A22B": (437.896, 220.154, 223.556, 115.536, 114.685, 223.556),
    "Qwen3-Coder-480B-A35B-Instruct": (894.358, 448.975, 455.934, 234.983, 233.243, 455.934),
    "Qwen3-Next-80B-A3B-Instruct": (148.405, 74.835, 75.984, 39.487, 39.199, 75.984),
    "Qwen3.5-0.8B": (1.401, 0.939, 0.946, 0.716, 0.714, 0.946),
    "Qwen3.5-2B": (3.505, 2.228, 2.248, 1.614, 1.609, 2.248),
    "Qwen3.5-4B": (7.834, 4.514, 4.565, 2.918, 2.905, 4.565),
    "Qwen3.5-9B": (16.678, 10.240, 10.341, 7.147, 7.122, 10.341),
    "Qwen3.5-27B": (50.098, 27.441, 27.795, 16.556, 16.467, 27.795),
    "Qwen3.5-35B-A3B": (64.560, 33.252, 33.741, 18.209, 18.087, 33.741),
    "Qwen3.5-122B-A10B": (227.450, 115.197, 116.951, 61.262, 60.824, 116.951),
    "Qwen3.5-397B-A17B": (738.253, 371.163, 376.899, 194.788, 193.354, 376.899),
}


def stored_gib(geometry: Geometry, scheme: WeightScheme) -> float:
    return (
        sum(
            tensor.copies * sum(stored_bytes(tensor, scheme))
            for tensor in weight_tensors(geometry, 1)
            if tensor.part is not WeightPart.VISION
        )
        / GIB
    )


@pytest.mark.parametrize("name", STORED_GIB)
def test_a_format_takes_the_bytes_of_its_elements_and_scales(name: str) -> None:
    geometry = find_model(f"Qwen/{name}").geometry
    # The published figures leave a small projection of Gated DeltaNet in 16 bits.
    tolerance = 0.04 if geometry.is_hybrid else 0.001
    for expected, scheme in zip(STORED_GIB[name], SCHEMES.values(), strict=True):
        assert stored_gib(geometry, scheme) == pytest.approx(expected, abs=tolerance)


def test_the_published_bytes_of_7b_are_matched_exactly() -> None:
    geometry = find_model("Qwen/Qwen2.5-7B-Instruct").geometry
    assert stored_gib(geometry, SIXTEEN_BIT) * GIB == 15_231_233_024


def loaded(
    model: str, scheme: WeightScheme = SIXTEEN_BIT, tp: int = 1, *, vision: bool = True
) -> int:
    geometry = find_model(model).geometry
    return loaded_bytes(
        geometry,
        scheme,
        tp,
        max_position_embeddings=geometry.max_position_embeddings,
        vision=vision,
    )


@pytest.mark.parametrize("model", ALL_MODELS)
def test_loading_takes_no_less_than_what_is_stored_and_little_more(model: str) -> None:
    stored = stored_gib(find_model(model).geometry, SIXTEEN_BIT)
    read = loaded(model, vision=False) / GIB
    assert stored <= read <= 1.02 * stored + 0.3


@pytest.mark.parametrize("model", VISION_MODELS)
def test_leaving_the_vision_tower_out_saves_its_bytes(model: str) -> None:
    saved = loaded(model) - loaded(model, vision=False)
    vision = find_model(model).geometry.vision
    assert vision is not None
    assert saved == pytest.approx(2 * vision.parameters, rel=0.01)


@pytest.mark.parametrize(
    ("model", "gib"), [("Qwen/Qwen3.5-27B", 27.4), ("Qwen/Qwen3.5-35B-A3B", 20.8)]
)
def test_gptq_of_qwen35_loads_what_public_logs_show(model: str, gib: float) -> None:
    checkpoint = next(
        each
        for each in find_model(model).checkpoints.values()
        if each.repository.endswith("GPTQ-Int4")
    )
    scheme = uniform_scheme(WeightFormat.INT4).without(checkpoint.sixteen_bit_parts)
    assert loaded(model, scheme) / GIB == pytest.approx(gib, rel=0.03)


schemes = st.sampled_from(list(SCHEMES.values()))
models = st.sampled_from(ALL_MODELS)


@settings(max_examples=60)
@given(models, schemes, st.sampled_from([(1, 2), (2, 4), (4, 8), (1, 8)]), st.booleans())
def test_more_gpus_never_hold_more_weights_each(
    model: str, scheme: WeightScheme, sizes: tuple[int, int], vision: bool
) -> None:
    fewer, more = (loaded(model, scheme, tp, vision=vision) for tp in sizes)
    assert more <= fewer
    assert more >= fewer * sizes[0] / sizes[1] * 0.95


@pytest.mark.parametrize("model", ALL_MODELS)
def test_a_smaller_format_never_weighs_more(model: str) -> None:
    sizes = [loaded(model, SCHEMES[name]) for name in ("16-bit", "fp8-block", "awq", "gptq-int4")]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("model", ["Qwen/Qwen3-4B", "Qwen/Qwen3-30B-A3B", "Qwen/Qwen3.5-9B"])
def test_mixed_precision_lies_between_fp8_and_16_bit(model: str) -> None:
    fp8 = uniform_scheme(WeightFormat.FP8, quantised_at_load=True)
    mixed = fp8.without({WeightPart.ATTENTION})
    assert loaded(model, fp8) < loaded(model, mixed) < loaded(model)


def test_parts_left_out_of_a_scheme_are_16_bit() -> None:
    scheme = uniform_scheme(WeightFormat.INT4).without({WeightPart.ATTENTION})
    assert scheme.format_of(WeightPart.ATTENTION) is WeightFormat.BITS16
    assert scheme.format_of(WeightPart.FFN) is WeightFormat.INT4
    assert scheme.format_of(WeightPart.EMBEDDING) is WeightFormat.BITS16


def test_smaller_groups_keep_more_scales() -> None:
    model = "Qwen/Qwen3-8B"
    small = loaded(model, uniform_scheme(WeightFormat.INT4, group_size=32))
    assert small > loaded(model, uniform_scheme(WeightFormat.INT4))


def test_a_longer_context_has_a_longer_rotary_table() -> None:
    geometry = find_model("Qwen/Qwen3-4B").geometry
    short, long = (
        loaded_bytes(geometry, SIXTEEN_BIT, 1, max_position_embeddings=length, vision=False)
        for length in (40_960, 131_072)
    )
    assert long - short == 2 * (131_072 - 40_960) * 128
