"""Whether each card has free what the plan needs, and who has it otherwise."""

from __future__ import annotations

from qwen_contract.failure import Failure, FailureReason, Stage
from qwen_contract.plan import PlanRow
from qwen_runtime.launcher.cards import Card, GpuProcess, gib

_MOST_PROCESSES = 4


def check_free_memory(row: PlanRow, cards: tuple[Card, ...]) -> Failure | None:
    """GpuBusy for the fullest card that has too little, else None."""
    if not cards:
        return None
    card = min(cards, key=lambda card: card.memory.free_bytes)
    if card.memory.free_bytes >= row.needed_bytes:
        return None
    return Failure(
        reason=FailureReason.GPU_BUSY,
        stage=Stage.CHECK,
        message=f"GPU {card.index} ({card.name}) has {gib(card.memory.free_bytes)} free of "
        f"{gib(card.memory.total_bytes)} and the plan needs {gib(row.needed_bytes)}; "
        f"{explain_processes(card)}; end what else runs there, or set "
        "reservedMemoryMib of the card in spec.accelerators to what it needs",
    )


def explain_processes(card: Card) -> str:
    """Who uses a card, as far as NVML tells."""
    if not card.processes:
        return (
            f"{gib(card.memory.used_bytes)} are in use by processes that this pod cannot see "
            "(nvidia-smi on the node names them)"
        )
    largest = sorted(card.processes, key=lambda process: -(process.used_bytes or 0))
    named = ", ".join(map(_name, largest[:_MOST_PROCESSES]))
    more = len(largest) - _MOST_PROCESSES
    return f"in use by {named}" + (f" and {more} more" if more > 0 else "")


def _name(process: GpuProcess) -> str:
    name = f"process {process.pid}"
    if process.name is not None:
        name += f" ({process.name})"
    return name if process.used_bytes is None else f"{name} with {gib(process.used_bytes)}"
