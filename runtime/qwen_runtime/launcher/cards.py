"""What is known of the cards of this pod: plain data, filled by `nvml`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

GIB = 1 << 30


def gib(count_bytes: int) -> str:
    """Bytes for people."""
    return f"{count_bytes / GIB:.2f} GiB"


class Throttle(StrEnum):
    """Why a card runs below its clock. An idle card, or one whose clock was set, is not listed."""

    POWER_CAP = "PowerCap"
    POWER_BRAKE = "PowerBrake"
    THERMAL = "Thermal"
    HARDWARE = "Hardware"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A process that has memory of a card."""

    pid: int
    name: str | None
    """None where the pod does not see it, as is usual in a container."""
    used_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Of one card. What the driver keeps for itself is in neither."""

    total_bytes: int
    used_bytes: int

    @property
    def free_bytes(self) -> int:
        """What a new process can have."""
        return self.total_bytes - self.used_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PcieLink:
    """Of the slot, now and at best."""

    generation: int
    max_generation: int
    width: int
    max_width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One card as NVML describes it."""

    index: int
    """In NVML's order, which is the order of the PCI bus."""
    uuid: str
    name: str
    compute_capability: str
    memory: Memory
    processes: tuple[GpuProcess, ...] = ()
    pcie: PcieLink | None = None
    throttles: tuple[Throttle, ...] = ()
    mig: bool = False

    @property
    def product_label(self) -> str:
        """As GPU feature discovery writes it on the node."""
        return self.name.replace(" ", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """All cards that the driver shows this pod."""

    driver_version: str
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at a running card; None for what the card does not tell."""

    index: int
    uuid: str
    memory: Memory
    utilization_ratio: float | None
    temperature_celsius: int | None
    power_watts: float | None
    power_limit_watts: float | None
    throttles: tuple[Throttle, ...]
