"""When a replica is ready, stuck or drained: pure decisions over what was last observed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from qwen_contract.failure import Failure, FailureReason, Stage
from qwen_runtime.launcher.engine_metrics import EngineMetrics

_OK: Final = 200
_DEAD: Final = 503

SILENT_START_SECONDS: Final = 1200.0
"""A start that neither logs nor reads for so long is stuck. Compiling on few CPUs takes minutes."""
WARM_UP_SECONDS: Final = 600.0
STALLED_SECONDS: Final = 600.0
"""Requests run and not one step ends. A step takes seconds on the slowest hardware."""
_DEAD_SECONDS: Final = 15.0
"""vLLM ends by itself when its engine has died; it gets so long to do it and say why."""
_DEAF_SECONDS: Final = 30.0
"""A busy API server may miss a health check; one that misses all of them serves nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What was observed of vLLM; times of a steady clock."""

    at: float
    """Of the last look."""
    health: int | None = None
    """Status of the last answer of /health; None before the first."""
    answered_at: float = 0.0
    dead_since: float | None = None
    requests: int | None = None
    idle_looks: int = 0
    """In a row, without a request running or waiting."""
    progress: tuple[float, ...] = ()
    progressed_at: float = 0.0


def observe(engine: Engine, at: float, health: int | None, metrics: EngineMetrics | None) -> Engine:
    """The state after one more look."""
    engine = replace(engine, at=at)
    if health is not None:
        dead_since = None if health != _DEAD else engine.dead_since or at
        engine = replace(engine, health=health, answered_at=at, dead_since=dead_since)
    if metrics is None:
        return replace(engine, idle_looks=0)
    moved = metrics.progress != engine.progress or metrics.requests == 0
    return replace(
        engine,
        requests=metrics.requests,
        # Who does not know waits as long as there is time.
        idle_looks=engine.idle_looks + 1 if metrics.requests == 0 else 0,
        progress=metrics.progress,
        progressed_at=at if moved else engine.progressed_at,
    )


def is_healthy(engine: Engine, now: float) -> bool:
    """Whether requests may be sent to it."""
    return engine.health == _OK and now - engine.answered_at < _DEAF_SECONDS


def find_stall(engine: Engine, now: float) -> Failure | None:
    """Of an engine that serves. Slowness is none: one step in ten minutes will do."""
    if engine.dead_since is not None and now - engine.dead_since > _DEAD_SECONDS:
        return Failure(
            reason=FailureReason.ENGINE_DEAD,
            stage=Stage.SERVE,
            message="vLLM's engine is dead or its port closed, and its process has not ended; "
            "the log says why",
        )
    if engine.requests and now - engine.progressed_at > STALLED_SECONDS:
        return Failure(
            reason=FailureReason.ENGINE_STALLED,
            stage=Stage.SERVE,
            message=f"{engine.requests} requests are in vLLM and none has moved for "
            f"{now - engine.progressed_at:.0f} s; the replica starts again",
        )
    if now - engine.answered_at > STALLED_SECONDS:
        return Failure(
            reason=FailureReason.ENGINE_STALLED,
            stage=Stage.SERVE,
            message=f"vLLM's server has not answered for {now - engine.answered_at:.0f} s; the "
            "replica starts again",
        )
    return None


def find_silence(stage: Stage, silent_seconds: float) -> Failure | None:
    """Of a start: no line of log and no byte read for too long."""
    if silent_seconds <= SILENT_START_SECONDS:
        return None
    return Failure(
        reason=FailureReason.START_STALLED,
        stage=stage,
        message=f"vLLM has logged and read nothing for {silent_seconds:.0f} s (stage {stage}); a "
        "hanging file system, or with several cards NCCL (set NCCL_DEBUG=INFO in spec.engine.env)",
    )


class DrainStep(Enum):
    """What a draining launcher does next."""

    WAIT = "wait"
    STOP = "stop"
    """Ask vLLM to end; it finishes what it has."""
    KILL = "kill"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainLimits:
    """Seconds since the request to stop, the last of them before the kubelet kills."""

    propagation_seconds: float
    """Until every kube-proxy and gateway has heard that the pod is not ready any more."""
    stop_seconds: float
    """The latest moment to ask vLLM to end."""
    shutdown_seconds: int
    """What vLLM gets to finish its requests once asked, its ``--shutdown-timeout``."""
    kill_seconds: float
    """After vLLM was asked: a stream that it has given up holds its process until the client
    leaves."""


_IDLE_END_SECONDS: Final = 5.0
"""Without requests nothing is worth more time: vLLM's own end takes 15 s where a worker hangs, and
the next replica waits for the card."""
_IDLE_LOOKS: Final = 2
"""A request may be between two of vLLM's processes while its metrics are read."""


def drain_limits(grace_seconds: float, propagation_seconds: float) -> DrainLimits:
    """Of the kubelet's grace period: a fifteenth for vLLM's own end, and margins to the kubelet."""
    margin = min(5.0, grace_seconds / 15)
    shutdown = max(1, round(min(20.0, grace_seconds / 15)))
    stop = max(0.0, grace_seconds - 2 * margin - shutdown)
    return DrainLimits(
        propagation_seconds=min(propagation_seconds, stop),
        stop_seconds=stop,
        shutdown_seconds=shutdown,
        kill_seconds=shutdown + margin,
    )


def decide_drain(
    limits: DrainLimits,
    draining_seconds: float,
    stopping_seconds: float | None,
    engine: Engine | None,
    *,
    serving: bool,
) -> DrainStep:
    """``stopping_seconds``: since vLLM was asked to end, None before; ``serving``: it has been
    ready, otherwise nobody has sent it requests."""
    idle = engine is not None and engine.idle_looks >= _IDLE_LOOKS
    if stopping_seconds is not None:
        enough = min(limits.kill_seconds, _IDLE_END_SECONDS if idle else math.inf)
        return DrainStep.KILL if stopping_seconds >= enough else DrainStep.WAIT
    if not serving or draining_seconds >= limits.stop_seconds:
        return DrainStep.STOP
    if draining_seconds < limits.propagation_seconds:
        return DrainStep.WAIT
    # vLLM refuses new requests once asked to end, so it must have none, and get none any more.
    return DrainStep.STOP if idle else DrainStep.WAIT
