from __future__ import annotations

import pytest

from qwen_operator.catalog.cards import (
    DEFAULT_CARD_NAMES,
    Card,
    card_name,
    cards,
    describe_card,
    find_card,
    parse_compute_capability,
)
from qwen_operator.errors import InvalidInput
from qwen_operator.units import MIB


@pytest.mark.parametrize("card", cards(), ids=lambda card: card.name)
def test_every_card_is_whole(card: Card) -> None:
    found = find_card(card.name)
    assert found == card
    assert found.memory_bytes > 4 << 30
    assert found.is_cpu == (found.name == "CPU")
    assert not found.shared
    if not found.is_cpu:
        assert found.compute_capability >= (8, 0)
        assert found.memory_bandwidth_bytes_per_second > 10**11
        assert found.power_watts > 0


def test_names_and_labels_name_one_card_each() -> None:
    names = [name.lower() for card in cards() for name in (card.name, *card.product_labels)]
    assert len(set(names)) == len(names)


def test_the_default_cards_are_in_the_catalogue() -> None:
    assert [find_card(name).name for name in DEFAULT_CARD_NAMES] == list(DEFAULT_CARD_NAMES)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("RTX4090", "RTX4090"),
        ("rtx4090", "RTX4090"),
        ("NVIDIA-GeForce-RTX-4090", "RTX4090"),
        ("nvidia-geforce-rtx-4090", "RTX4090"),
        ("NVIDIA GeForce RTX 4090", "RTX4090"),
        ("NVIDIA-GeForce-RTX-4090-D", "RTX4090D"),
        ("rtx4090d", "RTX4090D"),
        ("l4", "L4"),
        ("NVIDIA-L4", "L4"),
        ("NVIDIA-A10G", "A10G"),
        ("NVIDIA-A10", "A10"),
        ("NVIDIA-GeForce-RTX-3090", "RTX3090"),
        ("cpu", "CPU"),
    ],
)
def test_a_card_is_found_by_name_and_label_in_any_case(written: str, name: str) -> None:
    card = find_card(written)
    assert card.name == name
    assert not card.shared
    assert card_name(name.lower()) == name


@pytest.mark.parametrize("written", ["NVIDIA-L4-SHARED", "nvidia-l4-shared", "L4-SHARED"])
def test_a_time_sliced_card_is_the_card_but_shared(written: str) -> None:
    card = find_card(written)
    assert card.name == "L4"
    assert card.shared
    assert not find_card("L4").shared


@pytest.mark.parametrize("written", ["", "A100", "RTX 40900", "nvidia", "geforce", "-SHARED", "D"])
def test_an_unknown_card_is_refused_with_the_known_ones_and_a_way_out(written: str) -> None:
    with pytest.raises(InvalidInput, match=r"RTX4090.*L4.*CPU; describe the card") as refusal:
        find_card(written)
    assert str(refusal.value).startswith(f"gpu is {written!r}")


def test_the_name_of_an_unknown_card_stays_as_it_is() -> None:
    assert card_name("NVIDIA-H100-PCIe") == "NVIDIA-H100-PCIe"


def test_a_card_by_hand_has_the_memory_that_was_said() -> None:
    card = describe_card("mine", 24_084, (8, 9))
    assert card.memory_bytes == 24_084 * MIB == find_card("RTX4090").memory_bytes
    assert card.compute_capability == (8, 9)
    assert not card.peer_to_peer
    assert not card.is_cpu


def test_a_shared_label_by_hand_is_shared() -> None:
    assert describe_card("NVIDIA-H100-SHARED", 80_000, (9, 0)).shared


def test_a_compute_capability_is_two_numbers() -> None:
    assert parse_compute_capability("8.9") == (8, 9)
    assert parse_compute_capability("12.0") == (12, 0)


@pytest.mark.parametrize(
    "text", ["", "8", "8.", ".9", "8.10", "8,9", "x.y", "-8.9", "8.9 ", "sm89"]
)
def test_anything_else_is_no_compute_capability(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"two numbers with a dot; write for example 8\.9"):
        parse_compute_capability(text)
