"""What vLLM uses beside weights and KV cache, measured once per version.

The constants are fitted by ``python -m benchmarks.planner.fit`` to the measurements in
``benchmarks/planner/data``; `qwen_operator.planning.non_kv` says what each one means.
"""

from __future__ import annotations

from dataclasses import dataclass

from qwen_operator.catalog.data import load_data
from qwen_operator.errors import InvalidInput

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Constants of one vLLM version and model runner. Bytes unless named otherwise."""

    kernels_bytes: int
    """CUDA modules, cuBLAS workspaces and small buffers that the first run leaves behind."""
    tensor_parallel_bytes: int
    """NCCL channels and all-reduce buffers; only with more than one GPU."""
    state_bytes_per_logit: float
    """Penalty counters and masks, per sequence and vocabulary entry."""
    top_k_rows: int
    """Rows of float32 logits that the top-k kernel keeps, at most one a multiprocessor."""
    sampler_bytes_per_logit: float
    """Logits alive at the sampler's peak, per sequence and vocabulary entry."""
    activation_copies: float
    """Hidden states alive at the peak of a forward pass, beside the FFN's own."""
    linear_attention_copies: float
    """Projections of a Gated DeltaNet layer alive at its peak."""
    expert_workspace_copies: float
    """Routed hidden states that the expert kernels keep between steps."""
    graph_base_bytes: int
    """What the first captured graph takes."""
    graph_layer_bytes: int
    """Every captured batch size, per layer."""
    graph_scratch_copies: float
    """Times that capture pays for the scratch of split attention."""
    graph_full_bytes: int
    """Every FULL graph on top."""
    graph_expert_bytes: int
    """Scratch of the expert kernels in the graphs."""
    vision_patch_copies: float
    """Hidden states alive at the vision encoder's peak, per patch of the largest image."""
    outside_budget_bytes: int
    """What vLLM takes beyond its budget: CUDA context, and growth under load."""
    band_bytes: int
    """Half-width of the error band on a compute capability that was measured."""
    inferred_band_bytes: int
    """The same where nobody has measured."""


@dataclass(frozen=True, slots=True)
class CalibrationTable:
    """The constants that hold for one vLLM version and one model."""

    constants: Calibration
    version: str
    """The version that was measured."""
    exact: bool
    """Whether that is the version asked for."""


MEASURED_COMPUTE_CAPABILITIES = ((9, 0),)
"""Where the calibration rows come from; on other cards the band is the inferred one."""


def calibration_for(version: str, model_type: str) -> CalibrationTable:
    """The constants of a vLLM version: its own, or those of the nearest measured one.

    vLLM 0.28 is the first release whose published logs agree with the accounting of 0.33. Raises
    `InvalidInput` for a version before the first measured one.
    """
    wanted = parse_version(version)
    entries = load_data("calibration.yaml")["versions"]
    entry = next((e for e in entries if wanted >= parse_version(e["since"])), None)
    if entry is None:
        raise InvalidInput(
            "vllm version", version, f"the planner's constants begin with {entries[-1]['since']}",
            "plan for a newer one",
        )  # fmt: skip
    runner = next(r for r in entry["runners"] if model_type in r.get("modelTypes", (model_type,)))
    return CalibrationTable(
        constants=Calibration(**runner["constants"]),
        version=entry["version"],
        exact=wanted == parse_version(entry["version"]),
    )


def parse_version(text: str) -> Version:
    """Read ``"0.33.0"``; raises `InvalidInput` for anything else."""
    parts = text.removeprefix("v").split(".")
    if not 2 <= len(parts) <= 3 or not all(part.isdecimal() for part in parts):
        raise InvalidInput(
            "vllm version", text, "it is two or three numbers with dots", "write for example 0.33.0"
        )
    major, minor, patch = (*map(int, parts), 0)[:3]
    return major, minor, patch
