"""The graphics cards the planner knows, and how to describe one it does not know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from qwen_operator.catalog.data import load_data
from qwen_operator.errors import InvalidInput
from qwen_operator.units import MIB

ComputeCapability = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One accelerator. ``memory_bytes`` is what CUDA reports, never the nominal size."""

    name: str
    title: str
    memory_bytes: int
    compute_capability: ComputeCapability | None
    """None for a CPU."""
    memory_bandwidth_bytes_per_second: int | None = None
    peer_to_peer: bool = False
    """Whether cards read each other's memory: NVLink, or PCIe peer-to-peer in the stock driver."""
    power_watts: int | None = None
    hourly_price_usd: float | None = None
    product_labels: tuple[str, ...] = ()
    cloud_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reserved_bytes: int = 0
    """Left free for a desktop or another process because the user said so."""
    shared: bool = False
    """Time-sliced, or a slice of a card: other containers may take its memory."""

    @property
    def is_cpu(self) -> bool:
        """Whether this is vLLM's CPU build rather than a GPU."""
        return self.compute_capability is None


@cache
def cards() -> tuple[Card, ...]:
    """All cards of the catalogue, in its order."""
    return tuple(_parse_card(entry) for entry in load_data("cards.yaml")["cards"])


DEFAULT_CARD_NAMES = ("RTX4090", "RTX4090D", "L4", "A10G")
"""The cards that a QwenDeployment may land on when it names none."""


def find_card(name: str) -> Card:
    """The card of this short name or node product label, in any case.

    Raises `InvalidInput` for a card the catalogue does not have.
    """
    shared = name.upper().endswith("-SHARED")
    wanted = _normal(name[: -len("-SHARED")] if shared else name)
    for card in cards():
        labels = (card.name, card.title, *card.product_labels)
        if wanted in map(_normal, labels):
            return replace(card, shared=shared)
    raise InvalidInput(
        "gpu",
        name,
        "the catalogue has only " + ", ".join(card.name for card in cards()),
        "describe the card with --gpu-memory-mib (what CUDA reports) and --compute-capability",
    )


def card_name(name: str) -> str:
    """The catalogue's spelling of a card's short name, or the name as it is."""
    return next((card.name for card in cards() if _normal(name) == _normal(card.name)), name)


def describe_card(name: str, memory_mib: int, compute_capability: ComputeCapability) -> Card:
    """A card by hand; ``memory_mib`` is what CUDA reports."""
    return Card(
        name=name,
        title=name,
        memory_bytes=memory_mib * MIB,
        compute_capability=compute_capability,
        shared=name.upper().endswith("-SHARED"),
    )


def parse_compute_capability(text: str) -> ComputeCapability:
    """Read ``"8.9"``; raises `InvalidInput` for anything else."""
    match = re.fullmatch(r"(\d{1,2})\.(\d)", text)
    if match is None:
        raise InvalidInput(
            "compute capability", text, "it is two numbers with a dot", "write for example 8.9"
        )
    return int(match[1]), int(match[2])


def _normal(name: str) -> str:
    return re.sub(r"^(nvidia)?(geforce)?|[^a-z0-9]", "", re.sub(r"[^a-z0-9]", "", name.lower()))


def _parse_card(entry: Mapping[str, Any]) -> Card:
    capability = entry.get("computeCapability")
    bandwidth = entry.get("memoryBandwidthGbs")
    return Card(
        name=entry["name"],
        title=entry["title"],
        memory_bytes=entry["cudaMemoryBytes"],
        compute_capability=parse_compute_capability(capability) if capability else None,
        memory_bandwidth_bytes_per_second=bandwidth * 10**9 if bandwidth else None,
        peer_to_peer=bool(entry.get("nvlink") or entry.get("peerToPeer")),
        power_watts=entry.get("powerWatts"),
        hourly_price_usd=entry.get("hourlyPriceUsd"),
        product_labels=tuple(entry.get("productLabels", ())),
        cloud_labels={k: tuple(v) for k, v in entry.get("cloudLabels", {}).items()},
    )
