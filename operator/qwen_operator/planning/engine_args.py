"""Every vLLM flag and environment variable of a plan, spelled out in full.

Nothing is left to vLLM's defaults that the plan has counted on, for they move between versions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from qwen_operator.catalog.models import Model
from qwen_operator.planning.context import ContextChoice
from qwen_operator.planning.precision import WeightChoice
from qwen_operator.planning.request import PlanRequest
from qwen_operator.planning.tensor_parallel import ParallelChoice

ENVIRONMENT = (
    ("CUDA_DEVICE_ORDER", "PCI_BUS_ID"),
    ("OMP_NUM_THREADS", "1"),
    ("VLLM_NO_USAGE_STATS", "1"),
    # FlashInfer's sampler peaks 0.2 GiB higher at 256 sequences, and compiles at the first start.
    ("VLLM_USE_FLASHINFER_SAMPLER", "0"),
)
_CPU_ENVIRONMENT = (
    ("VLLM_CPU_OMP_THREADS_BIND", "nobind"),
    # One process fewer, which would import everything once more: 12 s of a start on two cores.
    ("VLLM_ENABLE_V1_MULTIPROCESSING", "0"),
    ("VLLM_NO_USAGE_STATS", "1"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """The numbers of one plan that become flags."""

    max_num_seqs: int
    max_num_batched_tokens: int
    enforce_eager: bool
    max_capture_size: int
    kv_cache_bytes: int
    gpu_memory_utilization: float
    kv_offloading_gib: int
    language_model_only: bool
    on_cpu: bool


def build_engine_args(
    request: PlanRequest,
    settings: EngineSettings,
    weights: WeightChoice,
    context: ContextChoice,
    parallel: ParallelChoice,
) -> tuple[str, ...]:
    """The arguments after ``vllm serve MODEL``, user's extra ones last."""
    engine = request.engine
    args = [
        "--dtype", weights.dtype,
        "--max-model-len", str(context.max_model_len),
        "--max-num-seqs", str(settings.max_num_seqs),
        "--max-num-batched-tokens", str(settings.max_num_batched_tokens),
        "--kv-cache-memory-bytes", str(settings.kv_cache_bytes),
        "--kv-cache-dtype", str(weights.kv_cache_dtype),
        *parallel.args,
        *weights.quantization_args,
        *context.args,
    ]  # fmt: skip
    if not settings.on_cpu:
        args += ["--gpu-memory-utilization", f"{_floor4(settings.gpu_memory_utilization):.4f}"]
    if settings.enforce_eager:
        args += ["--enforce-eager"]
    elif not settings.on_cpu:
        args += ["--max-cudagraph-capture-size", str(settings.max_capture_size)]
    args += ["--enable-chunked-prefill"]
    args += ["--enable-prefix-caching" if engine.prefix_caching else "--no-enable-prefix-caching"]
    if settings.kv_offloading_gib:
        args += ["--kv-offloading-size", str(settings.kv_offloading_gib)]
        args += ["--kv-offloading-backend", "native"]
    if settings.language_model_only:
        args += ["--language-model-only"]
    elif request.model.geometry.vision is not None:
        # The vision tower whole on every GPU, as it is counted; divided it wants divisible heads.
        args += ["--mm-encoder-tp-mode", "data"]
    if (lora := engine.lora) is not None:
        args += ["--enable-lora", "--max-loras", str(lora.max_loras)]
        args += ["--max-lora-rank", str(lora.max_rank)]
    args += _parser_args(request.model, engine.tool_call_parser, engine.reasoning_parser)
    args += ["--served-model-name", request.served_model_name or request.model.name]
    if request.revision is not None:
        args += ["--revision", request.revision]
    return (*args, *engine.extra_args)


def build_engine_env(parallel: ParallelChoice, *, on_cpu: bool) -> tuple[tuple[str, str], ...]:
    """Environment of the vLLM process."""
    return (*(_CPU_ENVIRONMENT if on_cpu else ENVIRONMENT), *parallel.env)


def _parser_args(model: Model, tool_call: str | None, reasoning: str | None) -> list[str]:
    args: list[str] = []
    if tool_call := tool_call or model.tool_call_parser:
        args += ["--enable-auto-tool-choice", "--tool-call-parser", tool_call]
    if reasoning := reasoning or model.reasoning_parser:
        args += ["--reasoning-parser", reasoning]
    return args


def _floor4(share: float) -> float:
    """Four decimals, never more than asked for, and never the zero that vLLM refuses."""
    return max(1, math.floor(share * 10_000)) / 10_000
