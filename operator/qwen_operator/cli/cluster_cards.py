"""The cards that a cluster really has, as GPU feature discovery labels its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from qwen_operator import naming
from qwen_operator.catalog.cards import Card, describe_card, find_card
from qwen_operator.errors import MISSING, InvalidInput

_MEMORY_LABEL = "nvidia.com/gpu.memory"
_CAPABILITY_LABELS = ("nvidia.com/gpu.compute.major", "nvidia.com/gpu.compute.minor")
_SHARED = frozenset({"mps", "time-slicing"})
_CUDA_SHARE = 0.97
"""Of a label's nominal memory: CUDA reports 2 % less of the catalogue's; the rest is margin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterCard:
    """One kind of card, and where it is."""

    card: Card
    nodes: int
    gpus: int
    """Allocatable, of all nodes together."""
    most_per_node: int


def read_cluster_cards(nodes: Iterable[Mapping[str, Any]]) -> tuple[ClusterCard, ...]:
    """Kinds of cards by name. Raises `InvalidInput` where no node has any."""
    found: dict[tuple[str, bool], tuple[Card, list[int]]] = {}
    for node in nodes:
        labels = node["metadata"].get("labels") or {}
        allocatable = (node.get("status") or {}).get("allocatable") or {}
        count = int(allocatable.get(naming.GPU_RESOURCE, 0))
        card = _card_of(labels)
        if card is not None and count:
            found.setdefault((card.name, card.shared), (card, []))[1].append(count)
    if not found:
        raise InvalidInput(
            f"nodes with {naming.GPU_RESOURCE} and the label {naming.GPU_PRODUCT_LABEL}",
            MISSING,
            "the cards of a cluster are known by them",
            "install GPU feature discovery (it comes with the GPU operator), or give --gpu",
        )
    return tuple(
        ClusterCard(card=card, nodes=len(counts), gpus=sum(counts), most_per_node=max(counts))
        for _, (card, counts) in sorted(found.items())
    )


def _card_of(labels: Mapping[str, str]) -> Card | None:
    """The catalogue's card, or one by the node's own numbers; None where these are missing."""
    product = labels.get(naming.GPU_PRODUCT_LABEL)
    if product is None:
        return None
    shared = labels.get(naming.GPU_SHARING_LABEL) in _SHARED
    try:
        card = find_card(product)
        return replace(card, shared=card.shared or shared)
    except InvalidInput:
        memory = labels.get(_MEMORY_LABEL, "")
        capability = [labels.get(label, "") for label in _CAPABILITY_LABELS]
        if not all(text.isdigit() for text in (memory, *capability)):
            return None
        card = describe_card(
            product, int(int(memory) * _CUDA_SHARE), (int(capability[0]), int(capability[1]))
        )
        return replace(card, shared=card.shared or shared)
