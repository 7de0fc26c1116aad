"""The launcher's metrics in Prometheus' text format. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from qwen_contract import metrics
from qwen_contract.report import State
from qwen_runtime.launcher.cards import Sample, Throttle
from qwen_runtime.launcher.status import Status, list_phases

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_Sample = tuple[Mapping[str, str], float | None]


def write_metrics(status: Status) -> str:
    """One family after the other; what is not known has no sample."""
    phases = list_phases(status)
    lines: list[str] = []
    lines += _family(
        metrics.REPLICA_STATE,
        "Whether the replica is in this state.",
        (({"state": state.value}, float(status.state is state)) for state in State),
    )
    lines += _family(
        metrics.START_PHASE_SECONDS,
        "Length of a phase of the start.",
        (({"phase": phase.name}, phase.seconds) for phase in phases),
    )
    if status.phases_after:
        whole = sum(phase.seconds for phase in phases)
        lines += _family(
            metrics.START_SECONDS, "From the container's start to readiness.", [({}, whole)]
        )
    if status.log is not None and status.log.compile_cache_hit is not None:
        lines += _family(
            metrics.COMPILE_CACHE_HIT,
            "Whether vLLM found its compiled graphs.",
            [({}, float(status.log.compile_cache_hit))],
        )
    lines += _cards(status)
    lines += _family(
        metrics.GPU_XID_ERRORS_TOTAL,
        "Errors that the NVIDIA driver has reported.",
        (
            ({"gpu": str(index), "xid": str(xid)}, float(count))
            for (index, xid), count in sorted(status.xid_errors.items())
        ),
        kind="counter",
    )
    return "\n".join(lines) + "\n"


def _cards(status: Status) -> Iterator[str]:
    samples = status.samples
    peak = status.peak_bytes
    yield from _of_cards(
        metrics.GPU_UTILIZATION_RATIO,
        "Share of the time in which the GPU worked.",
        ((each, each.utilization_ratio) for each in samples),
    )
    yield from _of_cards(
        metrics.GPU_MEMORY_USED_BYTES,
        "Memory in use, by everybody.",
        ((each, each.memory.used_bytes) for each in samples),
    )
    yield from _of_cards(
        metrics.GPU_MEMORY_PEAK_BYTES,
        "The most memory in use since readiness.",
        ((each, peak.get(each.uuid)) for each in samples),
    )
    yield from _of_cards(
        metrics.GPU_MEMORY_TOTAL_BYTES,
        "Memory that CUDA can use.",
        ((each, each.memory.total_bytes) for each in samples),
    )
    yield from _of_cards(
        metrics.GPU_TEMPERATURE_CELSIUS,
        "Temperature of the chip.",
        ((each, each.temperature_celsius) for each in samples),
    )
    yield from _of_cards(
        metrics.GPU_POWER_WATTS, "Power drawn.", ((each, each.power_watts) for each in samples)
    )
    yield from _of_cards(
        metrics.GPU_POWER_LIMIT_WATTS,
        "Power that may be drawn.",
        ((each, each.power_limit_watts) for each in samples),
    )
    yield from _family(
        metrics.GPU_THROTTLED,
        "Whether the card slows itself down.",
        (
            ({**_labels(each), "reason": reason.value}, float(reason in each.throttles))
            for each in samples
            for reason in Throttle
        ),
    )


def _of_cards(name: str, text: str, values: Iterable[tuple[Sample, float | None]]) -> Iterator[str]:
    return _family(name, text, ((_labels(sample), value) for sample, value in values))


def _labels(sample: Sample) -> dict[str, str]:
    return {"gpu": str(sample.index), "uuid": sample.uuid}


def _family(name: str, text: str, samples: Iterable[_Sample], kind: str = "gauge") -> Iterator[str]:
    known = [(labels, value) for labels, value in samples if value is not None]
    if not known:
        return
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in known:
        named = ",".join(f'{label}="{_escape(of)}"' for label, of in labels.items())
        yield f"{name}{{{named}}} {value!r}" if named else f"{name} {value!r}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
