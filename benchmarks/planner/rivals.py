"""What other planners say of the same runs: KV cache bytes on one GPU, in GiB.

KAITO and llm-d-planner are restated from the rules they publish, at the run's own utilisation;
vramscout runs as it is, from PyPI, in an environment of its own.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.planner.measurements import Measurement
from qwen_operator.planning.result import CardPlan
from qwen_operator.planning.row import plan_row
from qwen_operator.planning.weights import stored_bytes, weight_tensors
from qwen_operator.units import GIB

VRAMSCOUT = "vramscout==0.7.0"
Rival = Callable[[Measurement], float | None]


def kaito(measurement: Measurement) -> float:
    """Weights x 1.02, 2.3 GiB and 5 % of the weights (KAITO 0.12, nodesestimator)."""
    weights = _parameters_gib(measurement)
    return _budget_gib(measurement) - (1.02 * weights + 2.3 + 0.05 * weights)


def llm_d_planner(measurement: Measurement) -> float:
    """Fixed activations of 5.5 GiB (8.0 for experts) over all GPUs, 0.15 or 0.6 beside torch."""
    request = measurement.request
    gpus = request.tensor_parallel_size
    activations = 8.0 if request.model.geometry.experts else 5.5
    beside_torch = 0.15 if gpus == 1 else 0.6
    return (
        _budget_gib(measurement)
        - _parameters_gib(measurement)
        - (activations + beside_torch) / gpus
    )


def naive(measurement: Measurement) -> float:
    """Weights and KV cache, and a tenth on top."""
    return _budget_gib(measurement) / 1.1 - _parameters_gib(measurement)


def vramscout(measurement: Measurement) -> float | None:
    """Its command, told model, card, utilisation, precision and tensor parallelism.

    None where it has no answer.
    """
    request, run = measurement.request, measurement.run
    online = "fp8" if request.precision in {"fp8", "mixed"} else "bf16"
    dtype = "auto" if "quantization_config" in run["config"] else online
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.json"
        config.write_text(json.dumps(run["config"]), encoding="utf-8")
        command = [
            "uvx", "--from", VRAMSCOUT, "vramscout", str(config), "--json", "--engine", "vllm",
            "--vram-gib", str(run["card_gib"]), "--tp", str(request.tensor_parallel_size),
            "--gpu-memory-utilization", str(run["gpu_memory_utilization"]),
            "--context", str(request.context_length), "--dtype", dtype,
            "--kv-dtype", "fp8" if request.engine.kv_cache_dtype == "fp8" else "bf16",
            "--prefill-chunk", str(request.engine.max_num_batched_tokens),
        ]  # fmt: skip
        # It exits with 1 where it says "does not fit"; the numbers are there all the same.
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    plan = json.loads(answer.stdout)
    if "memory_budget_gib" not in plan:
        return None
    other = ("Model weights / rank", "CUDA / runtime", "Prefill scratch", "Safety reserve")
    return float(plan["memory_budget_gib"] - sum(plan["parts_gib"][part] for part in other))


RIVALS: dict[str, Rival] = {
    "vramscout 0.7.0": vramscout,
    "KAITO's rule": kaito,
    "llm-d-planner's rule": llm_d_planner,
    "weights + KV + 10 %": naive,
}


def _budget_gib(measurement: Measurement) -> float:
    return float(measurement.run["card_gib"] * measurement.run["gpu_memory_utilization"])


def _parameters_gib(measurement: Measurement) -> float:
    """Weights of one GPU as the sum of their elements, which is what others count."""
    row = plan_row(measurement.request, measurement.card)
    if not isinstance(row, CardPlan):
        raise TypeError(row.refusal.sentence)
    tensors = weight_tensors(row.shape.geometry, measurement.request.tensor_parallel_size)
    return sum(t.copies * sum(stored_bytes(t, row.scheme)) for t in tensors) / GIB
