"""Every recorded end of vLLM has its reason, and a sentence with figures and a way out."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_contract.failure import (
    LONGEST_BYTES,
    FailureReason,
    Stage,
    read_failure,
    write_failure,
)
from qwen_runtime.launcher.classify import Ending, classify
from qwen_runtime.launcher.log_reader import LogState, read_line
from tests.runtime.launcher.recordings import FOLDER, recorded_lines, recorded_status

RECORDED = {
    "architecture-unknown": (FailureReason.MODEL_UNSUPPORTED, Stage.START, "Qwen9ForCausalLM"),
    "bad-value": (FailureReason.BAD_ARGUMENTS, Stage.START, "--max-num-seqs"),
    "cache-disk-full": (FailureReason.DISK_FULL, Stage.COMPILE, "spec.cache.size"),
    "config-missing": (FailureReason.WEIGHTS_MISSING, Stage.START, "config.json"),
    "engine-core-killed": (FailureReason.ENGINE_DEAD, Stage.SERVE, "while serving"),
    "engine-core-killed-at-start": (FailureReason.ENGINE_DEAD, Stage.START, "signal 9"),
    "heads-not-divisible": (FailureReason.BAD_ARGUMENTS, Stage.START, "attention heads (2)"),
    "kv-cache-one-byte": (
        FailureReason.KV_CACHE_TOO_SMALL,
        Stage.ALLOCATE_KV_CACHE,
        "spec.precision",
    ),
    "kv-cache-too-small": (
        FailureReason.KV_CACHE_TOO_SMALL,
        Stage.ALLOCATE_KV_CACHE,
        "spec.contextLength",
    ),
    "model-length-exceeded": (FailureReason.BAD_ARGUMENTS, Stage.START, "spec.contextLength"),
    "model-type-unknown": (FailureReason.MODEL_UNSUPPORTED, Stage.START, "qwen9"),
    "port-in-use": (FailureReason.BAD_ARGUMENTS, Stage.START, "port is taken"),
    "shape-mismatch": (FailureReason.WEIGHTS_CORRUPT, Stage.LOAD_WEIGHTS, "another shape"),
    "shard-garbage": (FailureReason.WEIGHTS_CORRUPT, Stage.LOAD_WEIGHTS, "damaged"),
    "shard-missing": (
        FailureReason.WEIGHTS_MISSING,
        Stage.LOAD_WEIGHTS,
        "model-00002-of-00002.safetensors",
    ),
    "shard-truncated": (FailureReason.WEIGHTS_CORRUPT, Stage.LOAD_WEIGHTS, "incomplete metadata"),
    "unknown-flag": (
        FailureReason.BAD_ARGUMENTS,
        Stage.START,
        "--kv-cache-memory-byte-count",
    ),
    "weights-missing": (FailureReason.WEIGHTS_MISSING, Stage.LOAD_WEIGHTS, "spec.model"),
}
STARTS = ("good", "compile-cold", "compile-again")

# Sentences of the sources of vLLM 0.33.0 and torch, with figures of a 4090; no such card was at
# hand. In order: v1/worker/utils.py request_memory, v1/worker/gpu_worker.py,
# config/compilation.py, v1/core/kv_cache_planning.py, torch's allocator, and a driver's own.
ON_A_GPU = [
    (
        "ValueError: Free memory on device cuda:0 (3.02/23.52 GiB) on startup is less than desired "
        "GPU memory utilization (0.92, 21.64 GiB). Decrease GPU memory utilization or reduce GPU "
        "memory used by other processes.",
        Stage.START,
        FailureReason.GPU_BUSY,
        Stage.START,
        "3.02 of 23.52 GiB free and vLLM wants 21.64 GiB",
    ),
    (
        "AssertionError: Error in memory profiling. Initial free memory 20.10 GiB, current free "
        "memory 22.90 GiB. This happens when other processes sharing the same container release "
        "GPU memory while vLLM is profiling during initialization.",
        Stage.PROFILE,
        FailureReason.GPU_BUSY,
        Stage.PROFILE,
        "a card of its own",
    ),
    (
        "ValueError: max_num_seqs (256) exceeds available Mamba cache blocks (52). Each decode "
        "sequence requires one Mamba cache block, so CUDA graph capture cannot proceed. Please "
        "lower max_num_seqs to at most 52 or increase gpu_memory_utilization.",
        Stage.CAPTURE_GRAPHS,
        FailureReason.STATE_BLOCKS_TOO_FEW,
        Stage.CAPTURE_GRAPHS,
        "spec.engine.maxNumSeqs to 52 or less",
    ),
    (
        "ValueError: To serve at least one request with the model's max seq len (262144), (18.00 "
        "GiB KV cache is needed, which is larger than the available KV cache memory (14.88 GiB). "
        "Based on the available memory, the estimated maximum model length is 216704. Try "
        "increasing `gpu_memory_utilization` (which also controls CPU memory on the CPU backend) "
        "or decreasing `max_model_len` when initializing the engine.",
        Stage.ALLOCATE_KV_CACHE,
        FailureReason.KV_CACHE_TOO_SMALL,
        Stage.ALLOCATE_KV_CACHE,
        "lower spec.contextLength to 216704",
    ),
    (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.16 GiB. GPU 0 has a total "
        "capacity of 23.52 GiB of which 742.38 MiB is free. Including non-PyTorch memory, this "
        "process has 22.78 GiB memory in use.",
        Stage.LOAD_WEIGHTS,
        FailureReason.CUDA_OUT_OF_MEMORY,
        Stage.LOAD_WEIGHTS,
        "while loading weights (1.16 GiB more, 742.38 MiB free of 23.52 GiB)",
    ),
    (
        "torch.AcceleratorError: CUDA error: out of memory",
        Stage.CAPTURE_GRAPHS,
        FailureReason.CUDA_OUT_OF_MEMORY,
        Stage.CAPTURE_GRAPHS,
        "while capturing CUDA graphs",
    ),
    (
        "RuntimeError: Worker proc VllmWorker-1 died unexpectedly (exit code: -11), shutting down",
        Stage.SERVE,
        FailureReason.ENGINE_DEAD,
        Stage.SERVE,
        "VllmWorker-1",
    ),
]


def ending(*lines: str, stage: Stage = Stage.START, **changes: object) -> Ending:
    fields = {"lines": lines, "exit_code": 1, "signal_number": None, "stage": stage}
    return Ending(**fields | changes)  # type: ignore[arg-type]


def test_every_recording_is_judged() -> None:
    assert {file.stem for file in FOLDER.glob("*.log")} == {*RECORDED, *STARTS}


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_end_has_its_reason(name: str) -> None:
    reason, stage, words = RECORDED[name]
    state = LogState(since=0)
    for line in recorded_lines(name):
        state = read_line(state, line, 0)
    failure = classify(
        ending(*recorded_lines(name), stage=state.stage, exit_code=recorded_status(name))
    )
    assert (failure.reason, failure.stage) == (reason, stage)
    assert words in failure.message
    assert failure.log
    assert read_failure(write_failure(failure)).reason is reason


@pytest.mark.parametrize(("line", "stage", "reason", "told", "words"), ON_A_GPU)
def test_a_sentence_of_a_gpu_has_its_reason(
    line: str, stage: Stage, reason: FailureReason, told: Stage, words: str
) -> None:
    prefix = "(EngineCore pid=7) ERROR 11-21 13:46:12 [core.py:1510] "
    sequel = "RuntimeError: Engine core initialization failed. See root cause above. "
    failure = classify(ending(prefix + line, sequel + "Failed core proc(s): {}", stage=stage))
    assert (failure.reason, failure.stage) == (reason, told)
    assert words in failure.message


def test_a_kill_by_the_kernel_names_the_limit() -> None:
    killed = ending(exit_code=None, signal_number=signal.SIGKILL, oom_kills=1)
    failure = classify(killed)
    assert failure.reason is FailureReason.HOST_OUT_OF_MEMORY
    limited = ending(
        "RuntimeError: Engine core initialization failed. Failed core proc(s): {'EngineCore': -9}",
        oom_kills=1,
        memory_limit_bytes=8 << 30,
    )
    assert "limit of 8.00 GiB; raise spec.resources.memory" in classify(limited).message


def test_a_warning_and_a_refused_request_are_no_cause() -> None:
    warning = "(Worker pid=3) WARNING 11-21 13:47:01 [cache.py:9] No space left on device"
    refused = "  Value error, max_tokens must be positive [type=value_error]"
    died = "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue."
    failure = classify(ending(warning, refused, died, stage=Stage.SERVE, exit_code=0))
    assert failure.reason is FailureReason.ENGINE_DEAD
    assert classify(ending(warning, exit_code=3)).reason is FailureReason.UNKNOWN


def test_what_no_rule_knows_is_told_by_its_last_error() -> None:
    failure = classify(ending("Traceback:", "KeyError: 'rope_scaling'", "bye", exit_code=3))
    assert failure.reason is FailureReason.UNKNOWN
    assert "status 3 while starting: KeyError: 'rope_scaling'" in failure.message


@settings(deadline=None)
@given(
    st.lists(st.text(), max_size=30),
    st.one_of(st.none(), st.integers(0, 255)),
    st.sampled_from(Stage),
)
def test_any_end_is_a_message_that_fits(
    lines: list[str], exit_code: int | None, stage: Stage
) -> None:
    number = None if exit_code is not None else 9
    failure = classify(ending(*lines, stage=stage, exit_code=exit_code, signal_number=number))
    message = write_failure(failure)
    assert len(message.encode()) <= LONGEST_BYTES
    assert read_failure(message).reason is failure.reason
