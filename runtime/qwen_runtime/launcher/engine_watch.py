"""The thread that asks vLLM: until it is healthy, through the warm-up, and while it serves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from qwen_contract.failure import Failure, FailureReason, Stage
from qwen_contract.report import Phase, State
from qwen_runtime.launcher.board import Board
from qwen_runtime.launcher.engine_client import Answer, EngineClient
from qwen_runtime.launcher.engine_metrics import EngineMetrics
from qwen_runtime.launcher.life import WARM_UP_SECONDS, Engine, find_stall, observe
from qwen_runtime.launcher.log import Log
from qwen_runtime.launcher.log_reader import enter
from qwen_runtime.launcher.status import Status, list_phases, our_seconds
from qwen_runtime.launcher.stopwatch import Stopwatch

_STARTING_SECONDS: Final = 0.1
_SERVING_SECONDS: Final = 1.0
_DRAINING_SECONDS: Final = 0.2
_OK: Final = 200
_SERVER_ERROR: Final = 500
_BODY_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What the watch needs of the others."""

    used_bytes: Callable[[], int | None]
    """In use on the fullest card."""
    catch_up: Callable[[], None]
    """Read vLLM's log up to now."""


def watch_engine(
    client: EngineClient, board: Board, log: Log, sources: Sources
) -> threading.Thread:
    """Bring the replica to readiness and keep looking, until the process ends."""
    thread = threading.Thread(
        target=_watch, args=(client, board, log, sources), name="engine", daemon=True
    )
    thread.start()
    return thread


def _watch(client: EngineClient, board: Board, log: Log, sources: Sources) -> None:
    while client.health() != _OK:
        time.sleep(_STARTING_SECONDS)
    now = time.monotonic()
    # It was written before vLLM answered, and may still be in the pipe.
    sources.catch_up()
    served = board.status.log
    # From vLLM's own word that it serves; a server of another kind says nothing.
    said_so = served is not None and served.stage is Stage.SERVE
    watch = Stopwatch(served.since if served is not None and said_so else now)
    board.change(lambda status: _begin_warm_up(status, now))
    phases: tuple[Phase, ...] = (watch.lap("Health"),)
    if not _warm_up(client, board, log):
        return
    phases += (watch.lap("WarmUp"),)
    metrics = client.metrics()
    used = sources.used_bytes()
    engine = observe(Engine(at=now), time.monotonic(), _OK, metrics)
    phases += (watch.lap("Ready"),)
    status = board.change(lambda status: _become_ready(status, engine, metrics, used, phases))
    every = list_phases(status)
    log.info(
        f"ready after {sum(phase.seconds for phase in every):.1f} s, of which the launcher "
        f"{our_seconds(every):.2f} s: "
        + ", ".join(f"{phase.name} {phase.seconds:.2f}" for phase in every)
    )
    _look_on(client, board)


def _warm_up(client: EngineClient, board: Board, log: Log) -> bool:
    answer = client.warm_up(WARM_UP_SECONDS)
    if failure := judge_warm_up(answer):
        board.change(lambda status: replace(status, failure=status.failure or failure))
        return False
    if answer is not None and answer.status != _OK:
        log.warning(f"vLLM refuses the warm-up request: {answer.body[:_BODY_CHARACTERS]}")
    return True


def judge_warm_up(answer: Answer | None) -> Failure | None:
    """Pure. A refusal is the model's own matter, such as one that generates nothing."""
    if answer is None:
        return Failure(
            reason=FailureReason.START_STALLED,
            stage=Stage.WARM_UP,
            message="vLLM is healthy, but its first completion failed or took longer than "
            f"{WARM_UP_SECONDS:.0f} s",
        )
    if answer.status >= _SERVER_ERROR:
        return Failure(
            reason=FailureReason.UNKNOWN,
            stage=Stage.WARM_UP,
            message=f"vLLM's first completion failed with status {answer.status}: "
            f"{answer.body[:_BODY_CHARACTERS]}",
        )
    return None


def _look_on(client: EngineClient, board: Board) -> None:
    while True:
        draining = board.status.state is State.DRAINING
        time.sleep(_DRAINING_SECONDS if draining else _SERVING_SECONDS)
        health, metrics = client.health(), client.metrics()
        now = time.monotonic()
        board.change(partial(_look, now=now, health=health, metrics=metrics))


def _begin_warm_up(status: Status, now: float) -> Status:
    log = None if status.log is None else enter(status.log, Stage.SERVE, now)
    # A drain that began before stays one.
    state = State.WARMING_UP if status.state is State.STARTING else status.state
    return replace(status, state=state, log=log)


def _become_ready(
    status: Status,
    engine: Engine,
    metrics: EngineMetrics | None,
    used_bytes: int | None,
    phases: tuple[Phase, ...],
) -> Status:
    return replace(
        status,
        state=State.SERVING if status.state is State.WARMING_UP else status.state,
        engine=engine,
        metrics=metrics,
        ready_bytes=used_bytes,
        phases_after=phases,
    )


def _look(status: Status, now: float, health: int | None, metrics: EngineMetrics | None) -> Status:
    if status.engine is None:
        return status
    engine = observe(status.engine, now, health, metrics)
    failure = find_stall(engine, now) if status.state is State.SERVING else None
    return replace(status, engine=engine, failure=status.failure or failure)
