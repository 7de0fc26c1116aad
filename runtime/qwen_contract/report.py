"""What the launcher tells of its start: JSON at ``/report`` of the launcher's port."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from qwen_contract.errors import Unreadable

FORMAT: Final = 1
_LONGEST_SECONDS: Final = 1e7
_MOST: Final = 1 << 62
OUR_PHASES: Final = "Launcher"
"""Names of phases that are the launcher's own work begin so; the others are vLLM's."""


class State(StrEnum):
    """How far a replica has come."""

    STARTING = "Starting"
    WARMING_UP = "WarmingUp"
    SERVING = "Serving"
    DRAINING = "Draining"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A part of the start and how long it took."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Bytes of one GPU, as vLLM and NVML told them; None where nobody did."""

    weights_bytes: int | None = None
    graphs_bytes: int | None = None
    kv_cache_bytes: int | None = None
    kv_cache_tokens: int | None = None
    device_bytes_ready: int | None = None
    """In use on the card when the replica became ready, by everybody."""
    device_bytes_peak: int | None = None
    """The most since then."""
    device_bytes_total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One replica."""

    state: State
    card: str
    """Name of the plan row that was taken."""
    vllm_version: str
    phases: tuple[Phase, ...] = ()
    measured: Measured = field(default_factory=Measured)
    compile_cache_hit: bool | None = None
    commit: str | None = None
    warnings: tuple[str, ...] = ()


def write_report(report: Report) -> str:
    """JSON text."""
    return json.dumps({"format": FORMAT, **asdict(report)}, indent=1) + "\n"


def read_report(text: str | bytes) -> Report:
    """What `write_report` wrote; fields that only a later release knows are skipped.

    Raises `Unreadable`.
    """
    try:
        document = json.loads(text)
        return Report(
            state=State(document["state"]),
            card=str(document["card"]),
            vllm_version=str(document["vllm_version"]),
            phases=tuple(
                Phase(name=str(phase["name"]), seconds=_seconds(phase["seconds"]))
                for phase in document["phases"]
            ),
            measured=Measured(**_known(document["measured"])),
            compile_cache_hit=document.get("compile_cache_hit"),
            commit=document.get("commit"),
            warnings=tuple(map(str, document.get("warnings", ()))),
        )
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Unreadable(f"the launcher's report is damaged: {error}") from None


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not 0 <= seconds < _LONGEST_SECONDS:
        raise ValueError(f"{seconds} is no length of a phase")
    return seconds


def _known(measured: Mapping[str, Any]) -> dict[str, int | None]:
    known = {
        name: None if measured.get(name) is None else int(measured[name])
        for name in Measured.__dataclass_fields__
    }
    if any(value is not None and not 0 <= value < _MOST for value in known.values()):
        raise ValueError("a figure is out of range")
    return known
