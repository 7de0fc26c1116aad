"""What is known of this replica at one moment, and what follows from it for others. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from qwen_contract.failure import Failure, Stage
from qwen_contract.report import OUR_PHASES, Measured, Phase, Report, State
from qwen_runtime.launcher.cards import Sample
from qwen_runtime.launcher.engine_metrics import EngineMetrics
from qwen_runtime.launcher.life import Engine, is_healthy
from qwen_runtime.launcher.log_reader import LogState

_NAMES: Final = {Stage.START: "Import", Stage.WARM_UP: "StartServer"}
"""Of vLLM's phases, where they differ from the stage: until the model is loaded, and from the
engine being ready to the server listening."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Replaced as a whole by each change."""

    state: State = State.STARTING
    card: str = ""
    vllm_version: str = ""
    commit: str | None = None
    warnings: tuple[str, ...] = ()
    phases_before: tuple[Phase, ...] = ()
    """Ours, before vLLM."""
    phases_after: tuple[Phase, ...] = ()
    log: LogState | None = None
    engine: Engine | None = None
    metrics: EngineMetrics | None = None
    samples: tuple[Sample, ...] = ()
    ready_bytes: int | None = None
    """In use on the fullest card at readiness."""
    peak_bytes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Of each card, by UUID, since readiness."""
    xid_errors: Mapping[tuple[int, int], int] = field(default_factory=lambda: MappingProxyType({}))
    """Counts by card and XID."""
    failure: Failure | None = None

    @property
    def stage(self) -> Stage:
        """For a failure that happens now."""
        if self.state in (State.SERVING, State.DRAINING):
            return Stage.DRAIN if self.state is State.DRAINING else Stage.SERVE
        if self.state is State.WARMING_UP:
            return Stage.WARM_UP
        return Stage.CHECK if self.log is None else self.log.stage


def list_phases(status: Status) -> tuple[Phase, ...]:
    """In the order of time; the running one is not there yet."""
    spent = {} if status.log is None else status.log.seconds
    engine = (
        Phase(name=_NAMES.get(stage, stage.value), seconds=round(spent[stage], 3))
        for stage in Stage
        if stage in spent
    )
    return (*status.phases_before, *engine, *status.phases_after)


def our_seconds(phases: tuple[Phase, ...]) -> float:
    """Our share of a start."""
    return sum(phase.seconds for phase in phases if phase.name.startswith(OUR_PHASES))


def is_started(status: Status) -> bool:
    """For the startup probe."""
    return status.state in (State.SERVING, State.DRAINING)


def is_ready(status: Status, now: float) -> bool:
    """For the readiness probe."""
    return (
        status.state is State.SERVING
        and status.engine is not None
        and is_healthy(status.engine, now)
    )


def is_alive(status: Status) -> bool:
    """For the liveness probe: fails only on what the launcher itself takes for dead."""
    return status.state is not State.FAILED and status.failure is None


def build_report(status: Status) -> Report:
    """For the operator."""
    return Report(
        state=status.state,
        card=status.card,
        vllm_version=status.vllm_version,
        phases=list_phases(status),
        measured=_measure(status),
        compile_cache_hit=None if status.log is None else status.log.compile_cache_hit,
        commit=status.commit,
        warnings=status.warnings,
    )


def _measure(status: Status) -> Measured:
    log, metrics = status.log, status.metrics
    exact = (None, None) if metrics is None else (metrics.kv_cache_bytes, metrics.kv_cache_tokens)
    logged = (None, None) if log is None else (log.kv_cache_bytes, log.kv_cache_tokens)
    return Measured(
        weights_bytes=None if log is None else log.weights_bytes,
        graphs_bytes=None if log is None else log.graphs_bytes,
        # vLLM's log rounds bytes to hundredths of a GiB.
        kv_cache_bytes=exact[0] or logged[0],
        kv_cache_tokens=exact[1] or logged[1],
        device_bytes_ready=status.ready_bytes,
        device_bytes_peak=max(status.peak_bytes.values(), default=None),
        device_bytes_total=min(
            (sample.memory.total_bytes for sample in status.samples), default=None
        ),
    )
