"""Predicted against measured: ``make accuracy`` writes ``docs/accuracy.md`` and its picture.

Every run is predicted by constants that were fitted without it (leave one out) and, more strictly,
without any run of its model (leave one model out).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from benchmarks.planner.fit import RUNNERS, Sample, component_errors, fit, runner_of, samples
from benchmarks.planner.markdown import table
from benchmarks.planner.measurements import LOG_ROUNDING_GIB, Measurement, load_measurements
from benchmarks.planner.public_runs import load_public_runs
from benchmarks.planner.rivals import RIVALS
from qwen_operator.catalog.calibration import Calibration, CalibrationTable
from qwen_operator.planning.result import CardPlan
from qwen_operator.planning.row import plan_row
from qwen_operator.units import GIB

DOCS = Path(__file__).parents[2] / "docs"


@dataclass(frozen=True)
class Prediction:
    """One run, and what the plan said of it without having seen it."""

    measurement: Measurement
    row: CardPlan
    calibration: Calibration

    @property
    def measured_gib(self) -> float:
        """What vLLM had for its KV cache."""
        assert self.measurement.available_kv_gib is not None
        return self.measurement.available_kv_gib

    @property
    def error_gib(self) -> float:
        """Expected minus measured KV cache."""
        return self.row.budget.kv_cache_bytes_expected / GIB - self.measured_gib

    @property
    def inside_band(self) -> bool:
        """Whether the measured value lies in the stated band."""
        return abs(self.error_gib) <= self.row.budget.band_bytes / GIB + LOG_ROUNDING_GIB

    @property
    def given_away_gib(self) -> float:
        """What the safe end leaves unused; negative would mean a promise that vLLM cannot keep."""
        return self.measured_gib - self.row.kv_cache_bytes / GIB

    @property
    def judged_right(self) -> bool | None:
        """Whether ``fits`` agrees with vLLM; None where the truth lies inside the band."""
        need = self.row.layout.bytes_for_request(self.row.shape.max_model_len) / GIB
        if abs(need - self.measured_gib) <= self.row.budget.band_bytes / GIB:
            return None
        return self.row.fits == (self.measurement.refused is None)


def predict_without(
    left_out: Callable[[Sample], Hashable], measurements: Iterable[Measurement]
) -> list[Prediction]:
    """Predict each run from constants fitted without the runs that share its key."""
    every = samples(measurements)
    predictions: dict[str, Prediction] = {}
    for runner in RUNNERS:
        own = [sample for sample in every if runner_of(sample.measurement) is runner]
        for key in dict.fromkeys(map(left_out, own)):
            kept = [sample for sample in own if left_out(sample) != key]
            constants = fit(runner, kept)
            table = CalibrationTable(constants, runner.version, exact=True)
            for sample in own:
                if left_out(sample) == key:
                    row = plan_row(sample.measurement.request, sample.measurement.card, table)
                    assert isinstance(row, CardPlan)
                    predictions[sample.measurement.key] = Prediction(
                        sample.measurement, row, constants
                    )
    return [predictions[sample.measurement.key] for sample in every]


def leave_one_out(measurements: Iterable[Measurement]) -> list[Prediction]:
    """Each run from all others."""
    return predict_without(lambda sample: sample.measurement.key, measurements)


def leave_one_model_out(measurements: Iterable[Measurement]) -> list[Prediction]:
    """Each run from the runs of other model shapes."""
    return predict_without(lambda sample: _model_shape(sample.row), measurements)


@dataclass(frozen=True)
class Summary:
    """How good a planner is on a set of runs."""

    name: str
    runs: int
    mean_absolute_error_gib: float
    promises_too_much: float
    inside_band: float | None = None
    given_away_gib: float | None = None

    def cells(self) -> list[str]:
        """One row of the comparison table."""
        return [
            self.name,
            str(self.runs),
            f"{self.mean_absolute_error_gib:.2f}",
            f"{self.promises_too_much:.0%}",
            "" if self.inside_band is None else f"{self.inside_band:.0%}",
            "" if self.given_away_gib is None else f"{self.given_away_gib:.2f}",
        ]


def summarise(name: str, predictions: Sequence[Prediction]) -> Summary:
    """Our own figures; a promise is what the plan asks vLLM for."""
    return Summary(
        name=name,
        runs=len(predictions),
        mean_absolute_error_gib=mean(abs(p.error_gib) for p in predictions),
        promises_too_much=mean(p.given_away_gib < -LOG_ROUNDING_GIB for p in predictions),
        inside_band=mean(p.inside_band for p in predictions),
        given_away_gib=median(p.given_away_gib for p in predictions),
    )


def summarise_rival(name: str, measurements: Sequence[Measurement]) -> Summary:
    """Another planner's figures on the same runs."""
    with ProcessPoolExecutor(max_workers=2) as pool:
        answers = list(pool.map(RIVALS[name], measurements))
    errors = [
        answer - (measurement.available_kv_gib or 0.0)
        for answer, measurement in zip(answers, measurements, strict=True)
        if answer is not None
    ]
    return Summary(
        name=name,
        runs=len(errors),
        mean_absolute_error_gib=mean(map(abs, errors)),
        promises_too_much=mean(error > LOG_ROUNDING_GIB for error in errors),
    )


def check_exact_half(measurements: Iterable[Measurement]) -> tuple[int, int, list[str]]:
    """Runs whose logged tokens and concurrency our arithmetic gives; all such runs; the misses."""
    right, every, misses = 0, 0, []
    for measurement in measurements:
        tokens = measurement.run.get("kv_tokens")
        row = plan_row(measurement.request, measurement.card)
        if tokens is None or not isinstance(row, CardPlan):
            continue
        every += 1
        least, most = measurement.kv_bytes_bounds
        length, layout = measurement.request.context_length, row.layout
        logged = measurement.run["max_concurrency"]
        if (
            layout.tokens(least, length) <= tokens <= layout.tokens(most, length)
            and layout.max_concurrency(least, length) - 0.005
            <= logged
            <= layout.max_concurrency(most, length) + 0.005
        ):
            right += 1
        else:
            misses.append(measurement.key)
    return right, every, misses


def component_table(predictions: Sequence[Prediction]) -> list[list[str]]:
    """Mean, mean absolute and largest error of each component that can be compared, in GiB."""
    errors: dict[str, list[float]] = {}
    for prediction in predictions:
        measurement, budget = prediction.measurement, prediction.row.budget
        loaded = (budget.weights_bytes + budget.non_kv.lora) / GIB
        errors.setdefault("weights", []).append(loaded - measurement.weights_gib)
        sample = Sample(measurement, prediction.row, 0.0)
        for name, error in component_errors(sample, prediction.calibration):
            errors.setdefault(name, []).append(error / GIB)
    return [
        [
            name,
            str(len(values)),
            f"{mean(values):+.3f}",
            f"{mean(map(abs, values)):.3f}",
            f"{max(map(abs, values)):.3f}",
        ]
        for name, values in errors.items()
    ]


def run_table(predictions: Sequence[Prediction]) -> list[list[str]]:
    """Every run: measured, expected, planned."""
    rows = []
    for prediction in predictions:
        measurement, budget = prediction.measurement, prediction.row.budget
        rows.append(
            [
                measurement.name,
                measurement.vllm_version,
                str(measurement.compile_cache),
                f"{measurement.weights_gib:.2f}",
                f"{(budget.weights_bytes + budget.non_kv.lora) / GIB:.2f}",
                f"{prediction.measured_gib:.2f}",
                f"{budget.kv_cache_bytes_expected / GIB:.2f}",
                f"{prediction.error_gib:+.2f}",
                f"{prediction.row.kv_cache_bytes / GIB:.2f}",
                "refused" if measurement.refused else "served",
                {True: "right", False: "WRONG", None: "inside the band"}[prediction.judged_right],
            ]
        )
    return rows


def public_tables() -> tuple[list[list[str]], list[list[str]]]:
    """Published runs: tokens that a logged pool holds, and the pool from the logged weights."""
    tokens, pools = [], []
    for run in load_public_runs():
        label = [run.cells["model"], run.cells["vllm_version"], run.cells["gpu"]]
        if (held := run.tokens()) is not None:
            least, most, logged = held
            verdict = "exact" if least <= logged <= most else f"{logged / most - 1:+.1%}"
            tokens.append([*label, f"{least:,} to {most:,}", f"{logged:,}", verdict])
        if (pool := run.pool()) is not None:
            expected, safe, logged_gib = pool
            pools.append(
                [
                    *label,
                    run.cells["compile_cache"],
                    f"{logged_gib:.2f}",
                    f"{expected:.2f}",
                    f"{expected - logged_gib:+.2f}",
                    f"{safe:.2f}",
                ]
            )
    return tokens, pools


def draw(predictions: Sequence[Prediction], path: Path) -> None:
    """Expected minus measured KV cache of every run, with the stated band."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "accuracy", "svg.fonttype": "none"})
    from matplotlib import pyplot as plt

    ordered = sorted(predictions, key=lambda p: (p.measurement.vllm_version, p.measurement.name))
    figure, axes = plt.subplots(figsize=(9, 0.15 * len(ordered) + 1.6))
    for position, prediction in enumerate(ordered):
        band = prediction.row.budget.band_bytes / GIB
        axes.plot([-band, band], [position, position], color="#d0d7de", linewidth=5, zorder=1)
        colour = "#1f6feb" if prediction.inside_band else "#cf222e"
        axes.scatter(prediction.error_gib, position, color=colour, s=18, zorder=2)
    labels = [
        f"{p.measurement.name} ({p.measurement.vllm_version}, {p.measurement.compile_cache})"
        for p in ordered
    ]
    axes.set_yticks(range(len(ordered)), labels, fontsize=6.5)
    axes.set_ylim(-1, len(ordered))
    axes.axvline(0, color="#57606a", linewidth=0.8)
    axes.set_xlabel("expected minus measured KV cache, GiB (grey: the band that the plan states)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def report(measurements: Sequence[Measurement], *, rivals: bool) -> str:
    """The text of ``docs/accuracy.md``."""
    predictions = leave_one_out(measurements)
    strict = leave_one_model_out(measurements)
    draw(predictions, DOCS / "accuracy.svg")
    right, every, misses = check_exact_half(measurements)
    judged = [p.judged_right for p in predictions if p.judged_right is not None]
    summaries = [
        summarise("this plan, each run left out", predictions),
        summarise("this plan, each model left out", strict),
    ]
    if rivals:
        runs = [p.measurement for p in predictions]
        summaries += [summarise_rival(name, runs) for name in RIVALS]
    tokens, pools = public_tables()
    exact = sum(row[-1] == "exact" for row in tokens)
    return _TEXT.format(
        runs=len(predictions),
        component_runs=sum(p.measurement.breakdown is not None for p in predictions),
        right=right,
        every=every,
        misses="" if not misses else f" Missed: {', '.join(misses)}.",
        comparison=table(
            ["planner", "runs", "mean abs. error, GiB", "promises too much", "inside band",
             "given away, GiB (median)"],
            [summary.cells() for summary in summaries],
        ),
        judged=f"{sum(judged)} of {len(judged)}",
        components=table(
            ["component", "runs", "mean error", "mean abs. error", "largest"],
            component_table(predictions),
        ),
        rows=table(
            ["run", "vLLM", "cache", "weights", "planned weights", "KV measured", "KV expected",
             "error", "KV planned", "vLLM", "verdict"],
            run_table(predictions),
        ),
        public_exact=f"{exact} of {len(tokens)}",
        public_tokens=table(
            ["model", "vLLM", "card", "tokens by our arithmetic", "logged", ""], tokens
        ),
        public_pools=table(
            ["model", "vLLM", "card", "cache", "KV logged", "KV expected", "error", "safe end"],
            pools,
        ),
    )  # fmt: skip


def _model_shape(row: CardPlan) -> Hashable:
    geometry = row.shape.geometry
    return (
        geometry.model_type,
        geometry.hidden_size,
        geometry.layers,
        geometry.intermediate_size,
        geometry.vocabulary,
    )


_TEXT = """# How exact the memory plan is

Everything on this page is computed by `make accuracy` from the runs in `benchmarks/planner/data`:
{runs} starts of vLLM 0.24.0 and 0.33.0 with Qwen-shaped models of random weights, on an NVIDIA H200
whose budget emulates a 24 GB card, and published logs of other people. Sizes are GiB on one GPU.

## The exact half: what a pool of N bytes holds

Tokens and concurrency, dense and hybrid, agree with vLLM's log on {right} of {every} runs, inside
the rounding of the logged size (± 0.005 GiB) and exactly where the size was pinned.{misses}

## The estimated half: how large the pool becomes

Each run is predicted by constants fitted without it. *Promises too much*: the planner's number is
above what vLLM really had. *Given away*: what the planned (safe) end leaves unused.

{comparison}

`fits` agrees with vLLM on {judged} runs whose truth lies outside the band.

![Expected minus measured KV cache of every run](accuracy.svg)

### By component

{component_runs} runs were read from inside vLLM, allocation by allocation. *Resident* is what stays
beside the weights: kernels, counters, communication. Errors are estimate minus reading, in GiB.

{components}

### Every run

{rows}

## Published logs

### Tokens that the logged pool holds: {public_exact} exact

{public_tokens}

The misses: Qwen3-235B ran with expert parallelism and a KV connector; Qwen3.5-9B ran a version that
logged hybrid models by another formula.

### The pool, from the logged weights

These are real 4090 and L4 cards, which no constant was fitted to.

{public_pools}

The cold L4 run quantises with a third-party plug-in, which keeps a working copy of its own.
"""


def main() -> None:
    """Write the page and its picture, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--no-rivals", action="store_true", help="leave the other planners out")
    options = parser.parse_args()
    text = report(load_measurements(), rivals=not options.no_rivals)
    (DOCS / "accuracy.md").write_text(text, encoding="utf-8")
    print(text[text.index("| planner") : text.index("### Every run")])


if __name__ == "__main__":
    main()
