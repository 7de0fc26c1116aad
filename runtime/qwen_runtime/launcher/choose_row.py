"""The row of the plan for the cards that are really here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from qwen_contract.failure import Failure, FailureReason, Stage
from qwen_contract.plan import PlanRow
from qwen_runtime.launcher.cards import Card, gib

_NOMINAL_ALLOWANCE = 0.02
"""Drivers differ by 130 MiB in what they keep of a 24 GB card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A row, and the cards that it will run on; none for a CPU."""

    row: PlanRow
    cards: tuple[Card, ...] = ()
    warnings: tuple[str, ...] = ()


def choose_row(
    rows: tuple[PlanRow, ...], cards: tuple[Card, ...], no_cards_because: str
) -> Choice | Failure:
    """The first kind of card, in the order of the bus, that the plan has a row for.

    ``no_cards_because`` explains an empty ``cards``.
    """
    on_cpu = [row for row in rows if row.card.is_cpu]
    if not cards:
        if on_cpu:
            return Choice(row=on_cpu[0])
        return _failure(
            FailureReason.GPU_MISSING,
            f"the pod sees no GPU ({no_cards_because}) and the plan is for {_names(rows)}; the "
            "node needs NVIDIA's driver, container toolkit and device plug-in",
        )
    too_few: Failure | None = None
    for label in dict.fromkeys(card.product_label for card in cards):
        row = _row_of(label, rows)
        if row is None:
            continue
        alike = tuple(card for card in cards if card.product_label == label)
        if len(alike) >= row.tensor_parallel_size:
            return _check_size(row, alike[: row.tensor_parallel_size], cards)
        too_few = too_few or _failure(
            FailureReason.GPU_MISSING,
            f"the pod sees {_found(cards)} and spec.tensorParallelSize is "
            f"{row.tensor_parallel_size}; all of them must be of one kind, on one node",
        )
    if too_few is not None:
        return too_few
    if on_cpu:
        # The CPU build of vLLM does not care what else is in the machine.
        return Choice(row=on_cpu[0])
    return _failure(
        FailureReason.GPU_MISMATCH,
        f"the pod sees {_found(cards)} and the plan is for {_names(rows)}; add the card to "
        "spec.accelerators, or keep the pod off this node",
    )


def _row_of(label: str, rows: tuple[PlanRow, ...]) -> PlanRow | None:
    return next((row for row in rows if label in row.card.product_labels), None)


def _check_size(
    row: PlanRow, cards: tuple[Card, ...], visible: tuple[Card, ...]
) -> Choice | Failure:
    warnings: list[str] = []
    smallest = min(cards, key=lambda card: card.memory.total_bytes)
    if smallest.memory.total_bytes < row.needed_bytes:
        return _failure(
            FailureReason.GPU_MISMATCH,
            f"GPU {smallest.index} ({smallest.name}) has {gib(smallest.memory.total_bytes)} and "
            f"the plan for {row.card.name} needs {gib(row.needed_bytes)}; it is not a whole "
            f"{row.card.name}, or memoryMib in spec.accelerators is too much",
        )
    for card in cards:
        if card.compute_capability != row.card.compute_capability:
            return _failure(
                FailureReason.GPU_MISMATCH,
                f"GPU {card.index} ({card.name}) has compute capability "
                f"{card.compute_capability} and the plan for {row.card.name} counts on "
                f"{row.card.compute_capability}; correct spec.accelerators",
            )
        difference = card.memory.total_bytes - row.card.memory_bytes
        if abs(difference) > _NOMINAL_ALLOWANCE * row.card.memory_bytes:
            warnings.append(
                f"GPU {card.index} has {gib(card.memory.total_bytes)}, "
                f"the plan counts on {gib(row.card.memory_bytes)}"
            )
    if len(visible) > len(cards):
        warnings.append(
            f"the pod sees {len(visible)} GPUs and uses {len(cards)}: "
            + ", ".join(card.uuid for card in cards)
        )
    return Choice(row=row, cards=cards, warnings=tuple(warnings))


def _failure(reason: FailureReason, message: str) -> Failure:
    return Failure(reason=reason, stage=Stage.CHECK, message=message)


def _names(rows: tuple[PlanRow, ...]) -> str:
    return ", ".join(row.card.name for row in rows) or "no card at all"


def _found(cards: tuple[Card, ...]) -> str:
    counts = Counter(f"{card.name} of {gib(card.memory.total_bytes)}" for card in cards)
    return ", ".join(f"{count} × {name}" for name, count in counts.items())  # noqa: RUF001
