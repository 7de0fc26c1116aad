"""Nodes as GPU feature discovery labels them, and the cards that are planned for."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.cluster.gpus import L4, RESOURCE, RTX4090, Gpu
from qwen_operator.cli.cluster_cards import read_cluster_cards
from qwen_operator.errors import InvalidInput
from qwen_operator.units import MIB

NOVEL = Gpu("NVIDIA-Novel-24G", 24576, 8, 6, "ampere")


def node(gpu: Gpu, count: int, **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"labels": {**gpu.labels(count), **labels}},
        "status": {"allocatable": {RESOURCE: str(count)}},
    }


def test_cards_are_counted_by_kind() -> None:
    found = read_cluster_cards([node(L4, 1), node(RTX4090, 2), node(L4, 4)])
    assert [(each.card.name, each.nodes, each.gpus, each.most_per_node) for each in found] == [
        ("L4", 2, 5, 4),
        ("RTX4090", 1, 2, 2),
    ]


def test_an_unknown_card_is_described_by_its_node_a_little_below_the_nominal_memory() -> None:
    (found,) = read_cluster_cards([node(NOVEL, 1)])
    assert found.card.compute_capability == (8, 6)
    assert 23_500 * MIB < found.card.memory_bytes < 24_000 * MIB


def test_a_shared_card_is_told_apart_from_a_whole_one() -> None:
    shared = node(L4, 4, **{"nvidia.com/gpu.sharing-strategy": "mps"})
    found = read_cluster_cards([node(L4, 1), shared])
    assert [each.card.shared for each in found] == [False, True]


@pytest.mark.parametrize(
    "nodes", [[], [{"metadata": {}}], [{"metadata": {"labels": L4.labels(1)}, "status": {}}]]
)
def test_a_cluster_without_labelled_cards_is_told_what_it_lacks(nodes: list[Any]) -> None:
    with pytest.raises(InvalidInput, match="install GPU feature discovery"):
        read_cluster_cards(nodes)
