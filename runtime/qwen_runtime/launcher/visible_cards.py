"""Which cards CUDA will show vLLM, from the variables that say so."""

from __future__ import annotations

from collections.abc import Mapping

from qwen_runtime.launcher.cards import Card

_CUDA = "CUDA_VISIBLE_DEVICES"
_NVIDIA = "NVIDIA_VISIBLE_DEVICES"


def visible_cards(cards: tuple[Card, ...], environ: Mapping[str, str]) -> tuple[Card, ...]:
    """Those of them that this pod was given.

    NVIDIA_VISIBLE_DEVICES counts where it names cards by UUID: its numbers are the node's, not the
    pod's, and device plug-ins set it to ``void`` when they hand the cards over in another way.
    """
    named = [part for part in _parts(environ.get(_NVIDIA, "")) if part.startswith("GPU-")]
    if named:
        cards = tuple(card for card in cards if card.uuid in named) or cards
    return cuda_cards(cards, environ)


def cuda_cards(cards: tuple[Card, ...], environ: Mapping[str, str]) -> tuple[Card, ...]:
    """What CUDA makes of them, in its order."""
    if _CUDA not in environ:
        return cards
    shown: list[Card] = []
    for part in _parts(environ[_CUDA]):
        card = _find(part, cards)
        # CUDA stops at the first entry that it does not know, and shows nothing when one is named
        # twice.
        if card is None:
            break
        if card in shown:
            return ()
        shown.append(card)
    return tuple(shown)


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _find(part: str, cards: tuple[Card, ...]) -> Card | None:
    if part.isdecimal():
        return cards[int(part)] if int(part) < len(cards) else None
    found = [card for card in cards if card.uuid.startswith(part)]
    return found[0] if len(found) == 1 else None
