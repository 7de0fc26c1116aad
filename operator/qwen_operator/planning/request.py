"""What a plan is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from qwen_operator.api.enums import KvCacheDtype, Precision, Profile
from qwen_operator.catalog.models import Model

DEFAULT_GPU_MEMORY_UTILIZATION = 0.92
"""vLLM's own default; the rest of the card is for what vLLM does not count."""


class CompileCache(StrEnum):
    """Whether vLLM finds its compiled kernels from an earlier start."""

    WARM = "warm"
    COLD = "cold"


LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks that vLLM makes slots for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraSlots:
    """Room for adapters: ``max_loras`` of them at a time, each of at most ``max_rank``."""

    max_loras: int
    max_rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoices:
    """What the user fixes of the engine; None leaves the choice to the plan."""

    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    gpu_memory_utilization: float = DEFAULT_GPU_MEMORY_UTILIZATION
    kv_cache_dtype: KvCacheDtype = KvCacheDtype.AUTO
    kv_cache_bytes: int | None = None
    kv_offloading_gib: int | None = None
    enforce_eager: bool | None = None
    """None lets the plan choose: compiled on a card, eager on a CPU."""
    prefix_caching: bool = True
    max_cudagraph_capture_size: int | None = None
    language_model_only: bool | None = None
    tool_call_parser: str | None = None
    reasoning_parser: str | None = None
    lora: LoraSlots | None = None
    extra_args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """One model, as it shall be served, on whatever card."""

    model: Model
    vllm_version: str
    precision: Precision = Precision.BF16
    context_length: int = 8192
    tensor_parallel_size: int = 1
    profile: Profile = Profile.MANY_USERS
    engine: EngineChoices = EngineChoices()
    compile_cache: CompileCache = CompileCache.WARM
    served_model_name: str | None = None
    revision: str | None = None
