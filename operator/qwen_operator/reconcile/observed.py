"""One picture of everything that a pass has read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from qwen_contract.failure import Failure
from qwen_contract.report import Report

Live = Mapping[str, Any]
"""An object as the API server returned it."""


class WeightsState(StrEnum):
    """How far the init container with the weights has come."""

    PENDING = "Pending"
    FETCHING = "Fetching"
    READY = "Ready"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodState:
    """What a decision needs of a model pod."""

    name: str
    uid: str = ""
    address: str | None = None
    ready: bool
    scheduled: bool
    unschedulable: str | None
    """The scheduler's own words; None while it has none."""
    waiting: str | None
    """Why a container does not run, as ``Reason: message``; None when it does."""
    weights: WeightsState = WeightsState.PENDING
    failure: Failure | None = None
    """How a container of it ended last, when that was not well."""
    restarts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUse:
    """GPUs of the nodes that may run the pods."""

    free: Mapping[str, int]
    """Product label to GPUs that nobody has asked for."""
    total: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A QwenDeployment, its children and its pods, read within one pass."""

    owner: Live
    children: Mapping[tuple[str, str], Live]
    """By kind and name; everything that carries our owner reference, and whatever bears a name
    that a child shall have."""
    pods: tuple[PodState, ...] = ()
    """Those that are not ending."""
    reports: tuple[Report, ...] = ()
    """What launchers of ready pods have told."""
    mounted_config_maps: frozenset[str] = frozenset()
    """Names of the ConfigMaps that its pods mount, pods that are ending among them."""
    gpus: GpuUse | None = None
    """None where nodes may not be read, or nothing waits for a GPU."""
    now: datetime = field(kw_only=True)

    @property
    def uid(self) -> str:
        """Identity of the owner; a namesake that was made later has another."""
        return str(self.owner["metadata"]["uid"])

    def is_ours(self, child: Live) -> bool:
        """Whether the child belongs to this very owner."""
        references = child["metadata"].get("ownerReferences") or ()
        return any(reference.get("uid") == self.uid for reference in references)
