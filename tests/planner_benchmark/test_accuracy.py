"""What the project promises of its plan, on runs that the constants have not seen."""

from __future__ import annotations

import pytest
import yaml

from benchmarks.planner.accuracy import (
    Prediction,
    check_exact_half,
    leave_one_model_out,
    leave_one_out,
    summarise,
)
from benchmarks.planner.fit import CALIBRATION_FILE, RUNNERS, as_document, fit, runner_of, samples
from benchmarks.planner.measurements import load_measurements
from benchmarks.planner.public_runs import load_public_runs

MEASUREMENTS = load_measurements()


@pytest.fixture(scope="module", params=[leave_one_out, leave_one_model_out])
def predictions(request: pytest.FixtureRequest) -> list[Prediction]:
    return request.param(MEASUREMENTS)


def test_the_expected_cache_is_within_a_fifth_of_a_gib(predictions: list[Prediction]) -> None:
    assert summarise("", predictions).mean_absolute_error_gib <= 0.20


def test_the_truth_lies_inside_the_stated_band(predictions: list[Prediction]) -> None:
    assert (summarise("", predictions).inside_band or 0.0) >= 0.95


def test_the_plan_never_asks_for_more_than_there_is(predictions: list[Prediction]) -> None:
    assert [p.measurement.key for p in predictions if p.given_away_gib < -0.005] == []


def test_the_plan_gives_little_away(predictions: list[Prediction]) -> None:
    assert (summarise("", predictions).given_away_gib or 9.0) <= 0.50


def test_the_verdict_is_right_wherever_the_band_leaves_no_doubt(
    predictions: list[Prediction],
) -> None:
    assert [p.measurement.key for p in predictions if p.judged_right is False] == []


def test_tokens_and_concurrency_are_exact_on_every_run() -> None:
    right, every, misses = check_exact_half(MEASUREMENTS)
    assert misses == []
    assert right == every > 100


def test_published_logs_agree_but_for_the_two_that_are_explained() -> None:
    misses = [
        run.cells["model"]
        for run in load_public_runs()
        if (tokens := run.tokens()) is not None and not tokens[0] <= tokens[2] <= tokens[1]
    ]
    assert misses == [
        "Qwen/Qwen3-235B-A22B-Instruct-2507-FP8",
        "Qwen3.5-9B-AWQ-BF16-INT8 (community)",
    ]


def test_the_committed_constants_are_what_the_runs_say() -> None:
    every = samples(MEASUREMENTS)
    fitted = as_document(
        (runner, fit(runner, [s for s in every if runner_of(s.measurement) is runner]))
        for runner in RUNNERS
    )
    committed = yaml.safe_load(CALIBRATION_FILE.read_text())
    for new, old in zip(fitted["versions"], committed["versions"], strict=True):
        for runner, known in zip(new["runners"], old["runners"], strict=True):
            assert runner["constants"] == pytest.approx(known["constants"], rel=0.02, abs=0.02)
