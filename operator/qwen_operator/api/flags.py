"""Which vLLM flags and environment variables a user may not set by hand, and what to do instead.

vLLM's parser accepts a unique beginning of a flag for the flag, ``--flag=value`` for two words
and ``--flag.key value`` for a JSON key, so ownership covers all of these spellings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class OwnedFlags:
    """Flags that one part of the product sets, and what the user does instead."""

    owner: str
    flags: tuple[str, ...]
    way_out: str


def _field(path: str, *flags: str) -> OwnedFlags:
    return OwnedFlags(owner=path, flags=flags, way_out=f"set {path} instead")


OWNED_FLAGS: Final[tuple[OwnedFlags, ...]] = (
    _field("spec.model", "--model"),
    _field("spec.servedModelName", "--served-model-name"),
    _field("spec.revision", "--revision"),
    _field("spec.precision", "--quantization", "-q", "--quantization-config", "--dtype"),
    _field("spec.contextLength", "--max-model-len", "--hf-overrides"),
    _field(
        "spec.tensorParallelSize",
        "--tensor-parallel-size",
        "-tp",
        "--pipeline-parallel-size",
        "-pp",
    ),
    _field("spec.replicas", "--data-parallel-size", "-dp"),
    _field("spec.profile", "--performance-mode"),
    _field("spec.source.huggingFace.tokenSecretRef", "--hf-token"),
    _field("spec.engine.maxNumSeqs", "--max-num-seqs"),
    _field("spec.engine.maxNumBatchedTokens", "--max-num-batched-tokens"),
    _field(
        "spec.engine.gpuMemoryUtilizationPercent",
        "--gpu-memory-utilization",
        "--device-memory-utilization",
        "--kv-cache-memory-bytes",
    ),
    _field("spec.engine.kvCacheDtype", "--kv-cache-dtype", "--kv-cache-dtype-skip-layers"),
    _field("spec.engine.kvOffloadingGib", "--kv-offloading-size"),
    _field(
        "spec.engine.enforceEager",
        "--enforce-eager",
        "--no-enforce-eager",
        "--optimization-level",
        "-O",
    ),
    _field(
        "spec.engine.enablePrefixCaching", "--enable-prefix-caching", "--no-enable-prefix-caching"
    ),
    _field(
        "spec.engine.maxCudagraphCaptureSize",
        "--max-cudagraph-capture-size",
        "--cudagraph-capture-sizes",
        "--compilation-config",
        "-cc",
    ),
    _field("spec.engine.languageModelOnly", "--language-model-only", "--no-language-model-only"),
    _field(
        "spec.engine.toolCallParser",
        "--tool-call-parser",
        "--enable-auto-tool-choice",
        "--no-enable-auto-tool-choice",
    ),
    _field("spec.engine.reasoningParser", "--reasoning-parser"),
    OwnedFlags(
        owner="endpoint",
        flags=("--host", "--port", "--uds", "--api-key", "--ssl-keyfile", "--ssl-certfile"),
        way_out="leave it out, because the Service is where clients connect",
    ),
    OwnedFlags(
        owner="memory-plan",
        flags=(
            "--block-size",
            "--num-gpu-blocks-override",
            "--enable-chunked-prefill",
            "--no-enable-chunked-prefill",
            "--cpu-offload-gb",
            "--decode-context-parallel-size",
            "--prefill-context-parallel-size",
            "--disable-hybrid-kv-cache-manager",
            "--enable-expert-parallel",
            "--enable-dbo",
            "--enable-sleep-mode",
            "--attention-backend",
            "--linear-backend",
            "--moe-backend",
            "--offload-backend",
            "--kv-transfer-config",
            "--kv-offloading-backend",
            "--nnodes",
            "--disable-custom-all-reduce",
            "--limit-mm-per-prompt",
            "--skip-mm-profiling",
            "--mm-encoder-tp-mode",
            "--mm-ipc-gpu-memory-gb",
            "--mamba-cache-mode",
            "--mamba-block-size",
            "--max-loras",
            "--max-lora-rank",
            "--mamba-cache-dtype",
            "--mamba-ssm-cache-dtype",
            "--enable-lora",
            "--speculative-config",
            "-sc",
            "--spec-method",
            "--spec-model",
            "--spec-tokens",
        ),
        way_out="leave it out, because the memory plan would no longer be true",
    ),
    OwnedFlags(
        owner="settings-file",
        flags=("--config",),
        way_out="write each setting as a field or as an argument of its own",
    ),
    OwnedFlags(
        owner="remote-code",
        flags=("--trust-remote-code", "--no-trust-remote-code"),
        way_out="choose a model that vLLM knows, because code of a repository is never run",
    ),
)

OWNED_ENV: Final[tuple[str, ...]] = (
    "CUDA_DEVICE_ORDER",
    "CUDA_VISIBLE_DEVICES",
    "HF_HOME",
    "HF_HUB_OFFLINE",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "NCCL_IB_DISABLE",
    "NCCL_P2P_DISABLE",
    "NVIDIA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "PYTORCH_CUDA_ALLOC_CONF",
    "VLLM_API_KEY",
    "VLLM_CACHE_ROOT",
    "VLLM_CPU_KVCACHE_SPACE",
    "VLLM_CPU_OMP_THREADS_BIND",
    "VLLM_DISABLED_KERNELS",
    "VLLM_NO_USAGE_STATS",
    "VLLM_SERVER_DEV_MODE",
    "VLLM_USE_FLASHINFER_SAMPLER",
    "VLLM_USE_V2_MODEL_RUNNER",
)
"""Variables that carry a secret, open a back door, or decide what the plan counts on."""


def flag_of(argument: str) -> str:
    """Return the flag of ``--flag=value`` or ``--flag.key``, and other arguments as they are."""
    return argument.partition("=")[0].partition(".")[0]


def is_owned(argument: str, flags: tuple[str, ...]) -> bool:
    """Tell whether vLLM would read ``argument`` as one of ``flags``, written out or shortened."""
    flag = flag_of(argument)
    return flag in flags or (
        len(flag) > 2 and flag.startswith("--") and any(each.startswith(flag) for each in flags)
    )
