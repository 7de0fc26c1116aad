"""The launcher's life: prepare, start vLLM, watch, drain. The main thread, and the only one that
ends anything."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from qwen_contract.failure import Failure, FailureReason, Stage, write_failure
from qwen_contract.report import State
from qwen_runtime.launcher.board import Board
from qwen_runtime.launcher.child import (
    Child,
    ExitStatus,
    adopt_orphans,
    kill_group,
    read_bytes,
    reap,
    send,
    start,
)
from qwen_runtime.launcher.classify import Ending, classify
from qwen_runtime.launcher.command import show_command
from qwen_runtime.launcher.engine_watch import Sources, watch_engine
from qwen_runtime.launcher.errors import Failed
from qwen_runtime.launcher.gpu_watch import take_samples, watch_cards
from qwen_runtime.launcher.host import count_oom_kills, memory_limit_bytes
from qwen_runtime.launcher.life import (
    DrainStep,
    decide_drain,
    drain_limits,
    find_silence,
)
from qwen_runtime.launcher.log import Log
from qwen_runtime.launcher.log_reader import LogState, read_line
from qwen_runtime.launcher.options import Options
from qwen_runtime.launcher.prepare import Interrupted, Prepared, prepare
from qwen_runtime.launcher.relay import Output, Relay
from qwen_runtime.launcher.server import serve
from qwen_runtime.launcher.signals import Signals
from qwen_runtime.launcher.status import Status
from qwen_runtime.launcher.stopwatch import Stopwatch

_TICK_SECONDS: Final = 0.5
_DRAIN_TICK_SECONDS: Final = 0.1
_CATCH_UP_SECONDS: Final = 2.0
_LAST_LINES_SECONDS: Final = 5.0
_OWN_END_SECONDS: Final = 5.0
"""An engine that fails ends by itself and says more than its symptoms do: it gets so long."""
_SILENCE_POLL_SECONDS: Final = 30.0
_STOP: Final = frozenset((signal.SIGTERM, signal.SIGINT))
_STDOUT: Final = 1


def run(options: Options, environ: Mapping[str, str], board: Board, signals: Signals) -> int:
    """The exit status: 0 after a drain, 1 after a failure that the termination message tells."""
    output = Output(_STDOUT)
    log = Log(output)
    try:
        return _Launcher(options, environ, board, output, signals).run()
    except Interrupted:
        log.info("asked to end before vLLM was started")
        return 0
    except Failed as failed:
        failure = failed.failure
        board.change(lambda status: replace(status, state=State.FAILED, failure=failure))
        _tell(failure, options, log)
        return 1


def _tell(failure: Failure, options: Options, log: Log) -> None:
    log.error(f"{failure.reason} ({failure.stage}): {failure.message}")
    try:
        options.termination_log.write_text(write_failure(failure))
    except OSError as error:
        log.error(f"cannot write the termination message: {error}")


class _Launcher:
    def __init__(
        self,
        options: Options,
        environ: Mapping[str, str],
        board: Board,
        output: Output,
        signals: Signals,
    ) -> None:
        self._options = options
        self._environ = environ
        self._board = board
        self._output = output
        self._log = Log(output)
        self._signals = signals
        self._limits = drain_limits(options.grace_seconds, options.propagation_seconds)
        self._oom_kills_before = count_oom_kills()

    def run(self) -> int:
        adopt_orphans()
        try:
            serve(self._options.port, lambda: self._board.status)
        except OSError as error:
            raise Failed(_port_taken(self._options.port, error)) from None
        prepared = prepare(
            self._options,
            self._environ,
            self._limits.shutdown_seconds,
            self._board,
            self._log,
            wait=self._interrupted,
        )
        if self._interrupted(0):
            raise Interrupted
        watch = Stopwatch()
        child = self._start(prepared)
        try:
            relay = Relay(child.output_fd, self._output, self._read_line)
            self._watch(prepared, relay)
            phase = watch.lap("Spawn")
            self._board.change(
                lambda status: replace(status, phases_before=(*status.phases_before, phase))
            )
            return self._supervise(child, relay)
        finally:
            kill_group(child)
            reap(None)

    def _interrupted(self, seconds: float) -> bool:
        caught = self._signals.wait(seconds)
        reap(None)
        return bool(caught & _STOP)

    def _start(self, prepared: Prepared) -> Child:
        self._log.info(f"starting {show_command(prepared.command)}")
        self._board.change(lambda status: replace(status, log=LogState(since=time.monotonic())))
        try:
            return start(prepared.command, prepared.env)
        except OSError as error:
            raise Failed(
                Failure(
                    reason=FailureReason.UNKNOWN,
                    stage=Stage.START,
                    message=f"cannot start {prepared.command[0]}: {error.strerror}; "
                    "spec.image must be an image of vLLM",
                )
            ) from None

    def _watch(self, prepared: Prepared, relay: Relay) -> None:
        nvml, cards = prepared.nvml, prepared.choice.cards
        indices = tuple(card.index for card in cards)
        if nvml is not None and cards:
            watch_cards(nvml, cards, self._board, self._log)

        def used_bytes() -> int | None:
            samples = take_samples(nvml, indices) if nvml is not None else ()
            return max((sample.memory.used_bytes for sample in samples), default=None)

        sources = Sources(used_bytes=used_bytes, catch_up=lambda: relay.catch_up(_CATCH_UP_SECONDS))
        watch_engine(prepared.client, self._board, self._log, sources)

    def _read_line(self, line: str) -> None:
        now = time.monotonic()

        def read(status: Status) -> Status:
            # Lines of requests say nothing of the start.
            if status.log is None or status.state in (State.SERVING, State.DRAINING):
                return status
            return replace(status, log=read_line(status.log, line, now))

        self._board.change(read)

    def _supervise(self, child: Child, relay: Relay) -> int:
        silence = _Silence(child)
        draining_since: float | None = None
        stopping_since: float | None = None
        failed_since: float | None = None
        serving = False
        while True:
            caught = self._signals.wait(
                _TICK_SECONDS if draining_since is None else _DRAIN_TICK_SECONDS
            )
            ended = reap(child)
            now = time.monotonic()
            status = self._board.status
            if ended is not None:
                return self._end(child, relay, ended, asked=stopping_since is not None)
            if draining_since is None and caught & _STOP:
                draining_since = now
                serving = status.state is State.SERVING
                self._board.change(lambda status: replace(status, state=State.DRAINING))
                self._log.info("asked to end: not ready from now on, finishing requests")
            if draining_since is not None:
                step = decide_drain(
                    self._limits,
                    now - draining_since,
                    None if stopping_since is None else now - stopping_since,
                    status.engine,
                    serving=serving,
                )
                if step is DrainStep.STOP:
                    self._log.info(f"asking vLLM to end after {now - draining_since:.1f} s")
                    stopping_since = now
                    send(child, signal.SIGTERM)
                elif step is DrainStep.KILL:
                    self._log.warning("vLLM has not ended in time and is killed")
                    kill_group(child)
                continue
            failure = status.failure or silence.find(status, now)
            if failure is not None:
                failed_since = failed_since or now
                if now - failed_since >= _OWN_END_SECONDS:
                    raise Failed(failure)

    def _end(self, child: Child, relay: Relay, ended: ExitStatus, *, asked: bool) -> int:
        # Its workers hold the pipe, and the GPU.
        kill_group(child)
        lines = relay.finish(_LAST_LINES_SECONDS)
        reap(None)
        if asked:
            self._log.info("vLLM has ended")
            return 0
        status = self._board.status
        raise Failed(
            classify(
                Ending(
                    lines=lines,
                    exit_code=ended.code,
                    signal_number=ended.signal_number,
                    stage=status.stage,
                    oom_kills=count_oom_kills() - self._oom_kills_before,
                    memory_limit_bytes=memory_limit_bytes(),
                )
            )
        )


class _Silence:
    """For how long a start has neither logged nor read."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._seen: tuple[int, int] = (0, 0)
        self._moved_at = self._looked_at = time.monotonic()

    def find(self, status: Status, now: float) -> Failure | None:
        if status.state is not State.STARTING or status.log is None:
            return None
        if now - self._looked_at < _SILENCE_POLL_SECONDS:
            return None
        self._looked_at = now
        seen = status.log.lines, read_bytes(self._child)
        if seen != self._seen:
            self._seen, self._moved_at = seen, now
        return find_silence(status.log.stage, now - self._moved_at)


def _port_taken(port: int, error: OSError) -> Failure:
    return Failure(
        reason=FailureReason.BAD_ARGUMENTS,
        stage=Stage.CHECK,
        message=f"the launcher cannot listen on port {port} ({os.strerror(error.errno or 0)}); "
        "with hostNetwork in spec.podTemplate only one replica fits on a node",
    )
