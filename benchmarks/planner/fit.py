"""Fit the calibration constants to the measured runs: ``python -m benchmarks.planner.fit --write``.

Each vLLM version and model runner has constants of its own, found by robust least squares on what
the runs lost of their budget beside weights and KV cache, and, where vLLM was read from inside, on
each component. ``--write`` puts them into ``operator/qwen_operator/catalog/data/calibration.yaml``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import yaml
from scipy.optimize import least_squares

from benchmarks.planner.measurements import Measurement, load_measurements
from qwen_operator.catalog import data as catalog_data
from qwen_operator.catalog.calibration import Calibration
from qwen_operator.planning.non_kv import estimate_non_kv
from qwen_operator.planning.result import CardPlan
from qwen_operator.planning.row import plan_row
from qwen_operator.units import GIB, MIB

CALIBRATION_FILE = Path(catalog_data.__file__).parent / "calibration.yaml"
_HEADER = """\
# Constants of vLLM beside weights and KV cache, per version; catalog/calibration.py says what each
# one means. Written by: python -m benchmarks.planner.fit --write
"""
_COMPONENT_WEIGHT = 0.5
_PRIOR_WEIGHT = 0.01
_ROBUST_GIB = 0.05

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Runner:
    """One set of constants: a vLLM version, the models it holds for, and what is fitted."""

    version: str
    since: str
    model_types: tuple[str, ...]
    """Empty: all that no earlier runner of the version names."""
    start: Calibration
    """Where the fit starts; what is not fitted was read in the source and stays."""
    fitted: tuple[str, ...]


_SECOND_RUNNER = Calibration(
    kernels_bytes=115 * MIB,
    tensor_parallel_bytes=450 * MIB,
    state_bytes_per_logit=4.125,
    top_k_rows=132,
    sampler_bytes_per_logit=6.0,
    activation_copies=3.6,
    linear_attention_copies=3.5,
    expert_workspace_copies=2.5,
    graph_base_bytes=33 * MIB,
    graph_layer_bytes=MIB // 5,
    graph_scratch_copies=2.0,
    graph_full_bytes=MIB,
    graph_expert_bytes=110 * MIB,
    vision_patch_copies=14.7,
    outside_budget_bytes=1280 * MIB,
    band_bytes=307 * MIB,
    inferred_band_bytes=512 * MIB,
)
# Without an estimate of its graphs, and with the sampler's counters outside the profile.
_SECOND_RUNNER_0_24 = replace(
    _SECOND_RUNNER,
    kernels_bytes=225 * MIB,
    state_bytes_per_logit=0.0,
    top_k_rows=0,
    graph_base_bytes=0,
    graph_layer_bytes=0,
    graph_scratch_copies=0.0,
    graph_full_bytes=0,
    graph_expert_bytes=0,
    tensor_parallel_bytes=330 * MIB,
    outside_budget_bytes=1536 * MIB,
)
_FIRST_RUNNER_0_24 = replace(
    _SECOND_RUNNER_0_24,
    sampler_bytes_per_logit=17.0,
    graph_base_bytes=370 * MIB,
    outside_budget_bytes=1280 * MIB,
)
RUNNERS = (
    Runner(
        version="0.33.0",
        since="0.28.0",
        model_types=(),
        start=_SECOND_RUNNER,
        fitted=(
            "kernels_bytes", "tensor_parallel_bytes", "activation_copies",
            "linear_attention_copies", "expert_workspace_copies", "graph_base_bytes",
            "graph_layer_bytes", "graph_scratch_copies", "graph_expert_bytes",
            "vision_patch_copies",
        ),
    ),
    Runner(
        version="0.24.0",
        since="0.24.0",
        model_types=("qwen3",),
        start=_SECOND_RUNNER_0_24,
        fitted=("kernels_bytes", "tensor_parallel_bytes", "activation_copies"),
    ),
    Runner(
        version="0.24.0",
        since="0.24.0",
        model_types=(),
        start=_FIRST_RUNNER_0_24,
        fitted=(
            "kernels_bytes", "tensor_parallel_bytes", "sampler_bytes_per_logit",
            "graph_base_bytes",
        ),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """What one run teaches: its plan, and the bytes it lost beside weights and KV cache."""

    measurement: Measurement
    row: CardPlan
    lost_bytes: float


def runner_of(measurement: Measurement) -> Runner:
    """The runner that a run of vLLM used."""
    model_type = measurement.request.model.geometry.model_type
    return next(
        runner
        for runner in RUNNERS
        if runner.version == measurement.vllm_version
        and (not runner.model_types or model_type in runner.model_types)
    )


def samples(measurements: Iterable[Measurement]) -> list[Sample]:
    """Runs that measured their KV cache."""
    found = []
    for measurement in measurements:
        if measurement.available_kv_gib is None or measurement.flashinfer_sampler:
            continue
        row = plan_row(measurement.request, measurement.card)
        if not isinstance(row, CardPlan):
            raise TypeError(f"{measurement.name}: {row.refusal.sentence}")
        budget = row.budget
        lost = budget.requested_bytes - budget.weights_bytes - measurement.available_kv_gib * GIB
        found.append(Sample(measurement, row, lost))
    return found


def component_errors(sample: Sample, calibration: Calibration) -> Iterator[tuple[str, float]]:
    """Estimate minus reading of each component that was read inside vLLM, in bytes."""
    parts = sample.measurement.breakdown
    if parts is None:
        return
    non_kv = estimate_non_kv(sample.row.shape, calibration)
    resident = (
        non_kv.kernels + non_kv.tensor_parallel + non_kv.sampler_state + non_kv.expert_workspace
    )
    yield "resident", resident - (parts["total_consumed"] - parts["weights"])
    yield "transient peak", non_kv.transient_peak - parts["transient_peak"]
    graphs = non_kv.cuda_graphs + non_kv.attention_workspace
    yield "CUDA graphs", graphs - parts["cuda_graph_estimate"]


def fit(runner: Runner, chosen: Sequence[Sample]) -> Calibration:
    """The constants that explain these samples best; the start holds where they say nothing."""

    def constants(factors: Vector) -> Calibration:
        values = {
            name: float(factor) * getattr(runner.start, name)
            for name, factor in zip(runner.fitted, factors, strict=True)
        }
        return replace(runner.start, **values)

    def residuals(factors: Vector) -> Vector:
        calibration = constants(factors)
        errors = []
        for sample in chosen:
            estimate = estimate_non_kv(sample.row.shape, calibration).total
            errors.append((estimate - sample.lost_bytes) / GIB)
            errors += [
                _COMPONENT_WEIGHT * error / GIB
                for _, error in component_errors(sample, calibration)
            ]
        return np.array([*errors, *(_PRIOR_WEIGHT * (factors - 1))])

    start = np.ones(len(runner.fitted))
    found = least_squares(
        residuals,
        start,
        loss="soft_l1",
        f_scale=_ROBUST_GIB,
        bounds=(0.0, np.inf),
        diff_step=[1e-3] * len(start),
    )
    return constants(found.x)


def as_document(calibrations: Iterable[tuple[Runner, Calibration]]) -> dict[str, object]:
    """The calibration file as plain values, whole bytes and three decimals."""
    versions: dict[str, dict[str, object]] = {}
    for runner, calibration in calibrations:
        entry = versions.setdefault(
            runner.version, {"version": runner.version, "since": runner.since, "runners": []}
        )
        whole = {field.name for field in fields(calibration) if field.type == "int"}
        constants = {
            name: round(value) if name in whole else round(value, 3)
            for name, value in asdict(calibration).items()
        }
        own: dict[str, object] = {"constants": constants}
        if runner.model_types:
            own = {"modelTypes": list(runner.model_types), **own}
        runners = entry["runners"]
        assert isinstance(runners, list)
        runners.append(own)
    return {"versions": list(versions.values())}


def main() -> None:
    """Fit every runner to all its runs and print, or write, the constants."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help=f"write {CALIBRATION_FILE.name}")
    options = parser.parse_args()
    every = samples(load_measurements())
    fitted = [
        (runner, fit(runner, [s for s in every if runner_of(s.measurement) is runner]))
        for runner in RUNNERS
    ]
    text = _HEADER + yaml.safe_dump(as_document(fitted), sort_keys=False)
    if options.write:
        CALIBRATION_FILE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
