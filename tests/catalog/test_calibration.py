from __future__ import annotations

from dataclasses import fields

import pytest

from qwen_operator.catalog.calibration import Calibration, calibration_for, parse_version
from qwen_operator.catalog.models import find_model, model_names
from qwen_operator.catalog.vllm_versions import CPU_VLLM_VERSION, GPU_VLLM_VERSION
from qwen_operator.errors import InvalidInput

MODEL_TYPES = sorted({find_model(name).geometry.model_type for name in model_names()})
VERSIONS = ("0.24.0", "0.27.1", "0.28.0", CPU_VLLM_VERSION, GPU_VLLM_VERSION, "1.0.0")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_every_version_has_constants_for_every_model(version: str, model_type: str) -> None:
    constants = calibration_for(version, model_type).constants
    for field in fields(Calibration):
        assert getattr(constants, field.name) >= 0, field.name


@pytest.mark.parametrize("version", VERSIONS)
def test_the_band_is_wider_where_nobody_has_measured(version: str) -> None:
    constants = calibration_for(version, "qwen3").constants
    assert 0 < constants.band_bytes <= constants.inferred_band_bytes


def test_the_version_the_pods_run_was_measured() -> None:
    assert calibration_for(GPU_VLLM_VERSION, "qwen3").exact


@pytest.mark.parametrize("version", ["0.33.1", "0.32.0", "0.24.1"])
def test_a_version_nobody_measured_says_which_one_stands_in(version: str) -> None:
    table = calibration_for(version, "qwen3")
    assert not table.exact
    assert table.version != version
    assert table.constants == calibration_for(table.version, "qwen3").constants


@pytest.mark.parametrize(
    ("text", "version"), [("0.33.0", (0, 33, 0)), ("0.33", (0, 33, 0)), ("v1.2.3", (1, 2, 3))]
)
def test_a_version_is_two_or_three_numbers(text: str, version: tuple[int, int, int]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    "text", ["", "abc", "1", "1.2.3.4", "0.33.0rc1", "0.33.", "-1.2", "0,33", "latest", "²·3"]
)
def test_anything_else_is_no_version(text: str) -> None:
    with pytest.raises(InvalidInput, match="two or three numbers with dots; write for example"):
        parse_version(text)


def test_a_version_before_the_first_measured_one_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"constants begin with 0\.24\.0; plan for a newer one"):
        calibration_for("0.8.5", "qwen3")
