"""What ``kubectl qwen status`` prints, made of what was read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from qwen_contract.report import OUR_PHASES, Report
from qwen_operator.cli.text import bold, columns, wrap
from qwen_operator.units import GIB

_EVENTS_SHOWN = 6

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A pod and what its launcher told, if it did."""

    pod: Object
    report: Report | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that was read."""

    owner: Object
    replicas: tuple[Replica, ...]
    events: tuple[Object, ...]

    @property
    def status(self) -> Object:
        """Of the QwenDeployment; empty before the operator has looked at it."""
        return dict(self.owner.get("status") or {})

    @property
    def conditions(self) -> tuple[Object, ...]:
        """Its conditions, in the operator's order."""
        return tuple(self.status.get("conditions") or ())


def is_ready(seen: Seen) -> bool:
    """Whether Ready is True for the present spec."""
    generation = seen.owner["metadata"].get("generation")
    return any(
        each["type"] == "Ready"
        and each["status"] == "True"
        and each.get("observedGeneration") == generation
        for each in seen.conditions
    )


def as_dict(seen: Seen) -> dict[str, Any]:
    """The contract of ``-o json``; keys are only ever added."""
    return {
        "name": seen.owner["metadata"]["name"],
        "namespace": seen.owner["metadata"]["namespace"],
        "ready": is_ready(seen),
        "spec": seen.owner["spec"],
        "status": seen.status,
        "replicas": [
            {
                "pod": replica.pod["metadata"]["name"],
                "node": (replica.pod.get("spec") or {}).get("nodeName"),
                "report": None if replica.report is None else asdict(replica.report),
            }
            for replica in seen.replicas
        ],
        "events": [
            {"time": _time_of(event), "reason": event["reason"], "message": event["message"]}
            for event in _sorted(seen.events)
        ],
    }


def render(seen: Seen) -> Iterator[str]:
    """Lines for people."""
    spec, metadata = seen.owner["spec"], seen.owner["metadata"]
    yield bold(
        f"{metadata['namespace']}/{metadata['name']}  {spec['model']}  "
        f"{spec.get('precision', 'bf16')}  context {spec.get('contextLength', 8192):,}"
    )
    yield f"endpoint http://{metadata['name']}.{metadata['namespace']}/v1"
    yield ""
    yield from _conditions(seen)
    yield from _plan(seen)
    yield from _replicas(seen)
    yield from _events(seen)


def _conditions(seen: Seen) -> Iterator[str]:
    if not seen.conditions:
        yield "The operator has not looked at it yet: is it running?"
        return
    ready = next((each for each in seen.conditions if each["type"] == "Ready"), None)
    for each in seen.conditions:
        repeated = each is not ready and ready is not None and each["message"] == ready["message"]
        message = "" if repeated else f": {each['message']}"
        yield from wrap(f"{each['type']:<14} {each['status']:<8} {each['reason']}{message}")


def _plan(seen: Seen) -> Iterator[str]:
    rows = [row for row in seen.status.get("plan") or () if row.get("measured")]
    if not rows:
        return
    yield ""
    yield bold("Measured beside the plan (of one card)")
    table = [("GPU", "REPLICAS", "KV TOKENS", "PLANNED", "PEAK", "CARD", "LEFT", "START")]
    for row in rows:
        measured = row["measured"]
        total, peak = measured.get("deviceBytesTotal"), measured.get("deviceBytesPeak")
        table.append(
            (
                row["accelerator"],
                str(measured["replicas"]),
                _count(measured.get("kvCacheTokens")),
                _count(row.get("kvCacheTokens")),
                _gib(peak),
                _gib(total),
                _gib(None if total is None or peak is None else total - peak),
                f"{measured['startSeconds']} s" if "startSeconds" in measured else "-",
            )
        )
    yield from columns(table, left=1)
    if any(row["measured"].get("deviceBytesTotal") for row in rows):
        yield "GiB; PEAK is the most that was in use by everybody, LEFT what never was."


def _replicas(seen: Seen) -> Iterator[str]:
    told = [(each.pod, each.report) for each in seen.replicas if each.report is not None]
    if not told:
        return
    yield ""
    yield bold("Starts")
    for replica, report in told:
        name, node = replica["metadata"]["name"], replica["spec"].get("nodeName", "-")
        ours = sum(p.seconds for p in report.phases if p.name.startswith(OUR_PHASES))
        whole = sum(phase.seconds for phase in report.phases)
        cache = {True: ", compile cache hit", False: ", compiled anew", None: ""}
        yield (
            f"{name} on {node}: {report.state}, {whole:.1f} s, {ours:.1f} s of them ours"
            f"{cache[report.compile_cache_hit]}"
        )
        phases = [p for p in report.phases if not p.name.startswith(OUR_PHASES)]
        yield from wrap("  " + ", ".join(f"{p.name} {p.seconds:.1f}" for p in phases))
        for warning in report.warnings:
            yield from wrap(f"  warning: {warning}")


def _events(seen: Seen) -> Iterator[str]:
    events = _sorted(seen.events)[-_EVENTS_SHOWN:]
    if not events:
        return
    yield ""
    yield bold("Last events")
    for event in events:
        yield from wrap(f"{_time_of(event)}  {event['reason']}: {event['message']}")


def _sorted(events: tuple[Object, ...]) -> list[Object]:
    return sorted(events, key=_time_of)


def _time_of(event: Object) -> str:
    text = event.get("lastTimestamp") or event.get("eventTime") or ""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return text


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _gib(value: int | None) -> str:
    return "-" if value is None else f"{value / GIB:.2f}"
