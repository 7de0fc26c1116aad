"""Runs of real vLLM, and the plan requests that they answer.

``data/measured_runs.jsonl`` holds our own: Qwen-shaped models with random weights on an NVIDIA H200
whose budget emulated a 24 GB card through the utilisation; one fresh process a run, alone on its
GPU. Sizes ending in ``_gib`` are vLLM's log lines, rounded to 0.01 GiB.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from qwen_operator.api.enums import KvCacheDtype, Precision
from qwen_operator.catalog.cards import Card
from qwen_operator.catalog.models import model_from_config
from qwen_operator.planning.request import CompileCache, EngineChoices, LoraSlots, PlanRequest
from qwen_operator.units import GIB

DATA = Path(__file__).parent / "data"
LOG_ROUNDING_GIB = 0.005
_PRECISION_OF_QUANTIZATION = {
    "fp8": Precision.FP8,
    "fp8_per_tensor": Precision.FP8,
    "online": Precision.MIXED,
}


@dataclass(frozen=True)
class Measurement:
    """One start of vLLM and what it logged."""

    run: dict[str, Any]

    @property
    def name(self) -> str:
        """Model and setting, unique together with version and compile cache."""
        return str(self.run["name"])

    @property
    def key(self) -> str:
        """Unique name of the run."""
        emulated = f"{self.run['card_gib']}x{self.run['gpu_memory_utilization']}"
        return f"{self.name} {emulated} {self.vllm_version} {self.run['compile_cache']}"

    @property
    def vllm_version(self) -> str:
        """The version that ran."""
        return str(self.run["vllm_version"])

    @property
    def compile_cache(self) -> CompileCache:
        """Whether the compile cache was filled."""
        return CompileCache(self.run["compile_cache"])

    @property
    def refused(self) -> str | None:
        """Why vLLM would not start; None if it did."""
        return self.run.get("refused")

    @property
    def weights_gib(self) -> float:
        """The log's "Model loading took"."""
        return float(self.run["weights_gib"])

    @property
    def available_kv_gib(self) -> float | None:
        """The log's "Available KV cache memory"; None where the bytes were pinned."""
        value = self.run.get("available_kv_gib")
        return None if value is None else float(value)

    @property
    def pinned_kv_bytes(self) -> int | None:
        """Value of ``--kv-cache-memory-bytes``, if it was given."""
        pinned: int | None = self.run["args"].get("kv_cache_memory_bytes")
        return pinned

    @property
    def breakdown(self) -> dict[str, int] | None:
        """Exact bytes read inside vLLM: consumed, transient peak, graph estimate, available."""
        return self.run.get("breakdown_bytes")

    @property
    def kv_bytes_bounds(self) -> tuple[int, int]:
        """Least and most bytes of the pool that the log's rounding allows; exact where pinned."""
        if self.pinned_kv_bytes is not None:
            return self.pinned_kv_bytes, self.pinned_kv_bytes
        assert self.available_kv_gib is not None
        return (
            int((self.available_kv_gib - LOG_ROUNDING_GIB) * GIB),
            int((self.available_kv_gib + LOG_ROUNDING_GIB) * GIB),
        )

    @cached_property
    def card(self) -> Card:
        """The emulated card."""
        return Card(
            name=self.name,
            title=self.name,
            memory_bytes=round(self.run["card_gib"] * GIB),
            compute_capability=(8, 9) if self.stands_for_ada else (9, 0),
        )

    @property
    def flashinfer_sampler(self) -> bool:
        """Whether FlashInfer's sampler was on, which every plan turns off."""
        return bool(self.run.get("env", {}).get("VLLM_USE_FLASHINFER_SAMPLER") == "1")

    @property
    def stands_for_ada(self) -> bool:
        """Whether kernels were forced that only cards before Hopper choose by themselves."""
        args = self.run["args"]
        integers = self.run["config"].get("quantization_config", {}).get("bits") is not None
        without_machete = "Machete" in self.run.get("env", {}).get("VLLM_DISABLED_KERNELS", "")
        return (
            args.get("attention_backend") == "FLASHINFER"
            or args.get("linear_backend") == "marlin"
            or (integers and without_machete)
        )

    @cached_property
    def request(self) -> PlanRequest:
        """The request that this run answers."""
        args, model = self.run["args"], model_from_config(f"local/{self.name}", self.run["config"])
        lora = args.get("max_loras")
        return PlanRequest(
            model=model,
            vllm_version=self.vllm_version,
            precision=_precision(args, model.checkpoints),
            context_length=args["max_model_len"],
            tensor_parallel_size=args.get("tensor_parallel_size", 1),
            compile_cache=self.compile_cache,
            engine=EngineChoices(
                max_num_seqs=args["max_num_seqs"],
                max_num_batched_tokens=args["max_num_batched_tokens"],
                gpu_memory_utilization=self.run["gpu_memory_utilization"],
                kv_cache_dtype=KvCacheDtype(args.get("kv_cache_dtype", "auto")),
                enforce_eager=args.get("enforce_eager", False),
                max_cudagraph_capture_size=args.get("max_cudagraph_capture_size"),
                language_model_only=args.get("language_model_only"),
                lora=LoraSlots(max_loras=lora, max_rank=args["max_lora_rank"]) if lora else None,
            ),
        )


def load_measurements() -> tuple[Measurement, ...]:
    """All of our own runs."""
    lines = (DATA / "measured_runs.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(Measurement(json.loads(line)) for line in lines)


def _precision(args: dict[str, Any], checkpoints: Iterable[Precision]) -> Precision:
    quantization = args.get("quantization")
    if quantization is not None:
        return _PRECISION_OF_QUANTIZATION[quantization]
    return next(iter(checkpoints))
