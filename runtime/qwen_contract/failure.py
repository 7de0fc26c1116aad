"""Typed failures of a model pod, told through the termination message of a container."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

from qwen_contract.errors import Unreadable

FORMAT: Final = 1
LONGEST_BYTES: Final = 4096
"""Kubernetes cuts a termination message there."""
_LONGEST_SENTENCE: Final = 1000
"""Bytes."""


class FailureReason(StrEnum):
    """Why a start or a run ended. Each has a paragraph in docs/runbook.md."""

    # Before vLLM starts
    PLAN_UNREADABLE = "PlanUnreadable"
    GPU_MISSING = "GpuMissing"
    GPU_MISMATCH = "GpuMismatch"
    GPU_BUSY = "GpuBusy"
    DRIVER_TOO_OLD = "DriverTooOld"
    # Weights
    ACCESS_DENIED = "AccessDenied"
    MODEL_NOT_FOUND = "ModelNotFound"
    DOWNLOAD_FAILED = "DownloadFailed"
    DISK_FULL = "DiskFull"
    WEIGHTS_CORRUPT = "WeightsCorrupt"
    WEIGHTS_MISSING = "WeightsMissing"
    # vLLM's start
    BAD_ARGUMENTS = "BadArguments"
    CUDA_OUT_OF_MEMORY = "CudaOutOfMemory"
    KV_CACHE_TOO_SMALL = "KvCacheTooSmall"
    STATE_BLOCKS_TOO_FEW = "StateBlocksTooFew"
    HOST_OUT_OF_MEMORY = "HostOutOfMemory"
    MODEL_UNSUPPORTED = "ModelUnsupported"
    START_STALLED = "StartStalled"
    # Serving
    ENGINE_DEAD = "EngineDead"
    ENGINE_STALLED = "EngineStalled"
    UNKNOWN = "Unknown"


class Stage(StrEnum):
    """What was going on."""

    FETCH = "Fetch"
    CHECK = "Check"
    START = "Start"
    LOAD_WEIGHTS = "LoadWeights"
    COMPILE = "Compile"
    PROFILE = "Profile"
    ALLOCATE_KV_CACHE = "AllocateKvCache"
    CAPTURE_GRAPHS = "CaptureGraphs"
    WARM_UP = "WarmUp"
    SERVE = "Serve"
    DRAIN = "Drain"


_REASONS: Final = frozenset(each.value for each in FailureReason)
_STAGES: Final = frozenset(each.value for each in Stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failure: what, when, in a sentence with a way out, and the log's own last words."""

    reason: FailureReason
    stage: Stage
    message: str
    log: tuple[str, ...] = ()


def write_failure(failure: Failure) -> str:
    """The termination message: at most 4,096 bytes, older lines of the log dropped first."""
    document = {"format": FORMAT, **asdict(failure)}
    document["message"] = failure.message.encode()[:_LONGEST_SENTENCE].decode(errors="ignore")
    lines = list(failure.log)
    while True:
        text = json.dumps({**document, "log": lines}, ensure_ascii=False)
        if len(text.encode()) <= LONGEST_BYTES or not lines:
            return text
        lines.pop(0)


def read_failure(message: str) -> Failure:
    """What `write_failure` wrote; a reason that only a later release knows becomes Unknown.

    Raises `Unreadable` for anything else, such as the end of a log.
    """
    try:
        document = json.loads(message)
        reason, stage = str(document["reason"]), str(document["stage"])
        return Failure(
            reason=FailureReason(reason) if reason in _REASONS else FailureReason.UNKNOWN,
            stage=Stage(stage) if stage in _STAGES else Stage.START,
            message=str(document["message"]),
            log=tuple(map(str, document["log"])),
        )
    except (KeyError, TypeError, ValueError):
        raise Unreadable("it is no message of ours") from None
