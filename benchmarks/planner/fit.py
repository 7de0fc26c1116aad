"""Fit the calibration constants to the measured runs: ``python -m benchmarks.planner.fit``.

Each vLLM version and model runner gets its own handful of constants, by robust least squares on
what the runs lost of their budget beside weights and KV cache. ``--write`` puts them into
``operator/qwen_operator/catalog/data/calibration.yaml``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from scipy.optimize import least_squares

from benchmarks.planner.measurements import GIB, Measurement, load_measurements
from qwen_operator.catalog import data as catalog_data
from qwen_operator.catalog.calibration import Calibration, CalibrationTable, calibration_for
from qwen_operator.planning.non_kv import EngineShape, estimate_non_kv
from qwen_operator.planning.result import CardPlan
from qwen_operator.planning.row import plan_row

MIB = 1 << 20
CALIBRATION_FILE = Path(catalog_data.__file__).parent / "calibration.yaml"


@dataclass(frozen=True)
class Runner:
    """One set of constants: a vLLM version, the models it holds for, and what is fitted."""

    version: str
    since: str
    model_types: tuple[str, ...]
    """Empty: all model types that no earlier runner of the version names."""
    prior: Calibration
    """Starting point; constants that are not fitted stay as they are here."""
    fitted: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """What one run teaches: the shape of the engine and the bytes it lost."""

    measurement: Measurement
    row: CardPlan
    non_kv_bytes: float


def samples(measurements: Iterable[Measurement]) -> list[Sample]:
    """Runs that measured their KV cache, with what they lost beside weights and KV cache."""
    found = []
    for measurement in measurements:
        if measurement.available_kv_gib is None:
            continue
        row = plan_row(measurement.request, measurement.card)
        if not isinstance(row, CardPlan):
            raise TypeError(f"{measurement.name}: {row.refusal.sentence}")
        lost = row.budget.requested_bytes - row.budget.weights_bytes
        found.append(Sample(measurement, row, lost - measurement.available_kv_gib * GIB))
    return found


def fit(runner: Runner, chosen: Sequence[Sample]) -> Calibration:
    """The constants that explain these samples best; the prior holds where they say nothing."""
    start = np.ones(len(runner.fitted))
    scale = {name: getattr(runner.prior, name) for name in runner.fitted}

    def constants(vector: np.ndarray) -> Calibration:
        values = {
            name: factor * scale[name]
            for name, factor in zip(runner.fitted, vector, strict=True)
        }
        return replace(runner.prior, **values)

    def residuals(vector: np.ndarray) -> np.ndarray:
        calibration = constants(vector)
        errors = [
            (estimate_non_kv(sample.row.shape, calibration).total - sample.non_kv_bytes) / GIB
            for sample in chosen
        ]
        return np.array([*errors, *(0.02 * (vector - 1))])

    found = least_squares(residuals, start, loss="soft_l1", f_scale=0.05, bounds=(0, np.inf))
    return constants(found.x)
