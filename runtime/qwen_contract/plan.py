"""The plan rows: written by the operator into a ConfigMap, acted on by the launcher.

`index.json` names a file for each card; the launcher takes the row of the card that it finds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from qwen_contract.errors import Unreadable
from qwen_contract.pod import PLAN_INDEX_FILE, plan_row_file

FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCard:
    """The card that a row is for."""

    name: str
    product_labels: tuple[str, ...]
    """Values of the node label nvidia.com/gpu.product: NVML's name with dashes for spaces."""
    memory_bytes: int
    """As CUDA reports it."""
    compute_capability: str | None
    """For example 8.9; None for a CPU."""

    @property
    def is_cpu(self) -> bool:
        """Whether vLLM's CPU build serves."""
        return self.compute_capability is None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """What the launcher starts on one kind of card."""

    card: PlannedCard
    vllm_version: str
    tensor_parallel_size: int
    model: str
    """Repository or folder; the fetcher's record, where there is one, says the folder."""
    needed_bytes: int
    """Of each card, free before the start; vLLM refuses to start with less. 0 for a CPU."""
    kv_cache_bytes: int
    args: tuple[str, ...]
    """After ``vllm serve MODEL``."""
    env: Mapping[str, str]

    @property
    def file(self) -> str:
        """Name of the row's file."""
        return plan_row_file(self.card.name)


def write_plan(rows: tuple[PlanRow, ...]) -> dict[str, str]:
    """File names to texts, equal for equal rows."""
    index = {
        "format": FORMAT,
        "cards": [
            {"name": row.card.name, "product_labels": row.card.product_labels, "file": row.file}
            for row in rows
        ],
    }
    return {
        PLAN_INDEX_FILE: _as_text(index),
        **{row.file: _as_text({"format": FORMAT, **asdict(row)}) for row in rows},
    }


def read_plan(files: Mapping[str, str]) -> tuple[PlanRow, ...]:
    """The rows in the order of the index. Raises `Unreadable`."""
    try:
        index = json.loads(files[PLAN_INDEX_FILE])
        _check_format(index)
        return tuple(_read_row(files[card["file"]]) for card in index["cards"])
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"the plan is damaged: {type(error).__name__} {error}") from None


def _read_row(text: str) -> PlanRow:
    row = json.loads(text)
    _check_format(row)
    card = row["card"]
    return PlanRow(
        card=PlannedCard(
            name=card["name"],
            product_labels=tuple(card["product_labels"]),
            memory_bytes=int(card["memory_bytes"]),
            compute_capability=card["compute_capability"],
        ),
        vllm_version=row["vllm_version"],
        tensor_parallel_size=int(row["tensor_parallel_size"]),
        model=row["model"],
        needed_bytes=int(row["needed_bytes"]),
        kv_cache_bytes=int(row["kv_cache_bytes"]),
        args=tuple(map(str, row["args"])),
        env={str(name): str(value) for name, value in row["env"].items()},
    )


def _check_format(document: Mapping[str, Any]) -> None:
    if document["format"] != FORMAT:
        raise Unreadable(
            f"the plan has format {document['format']}, this launcher reads {FORMAT}; "
            "operator and launcher image must be of neighbouring releases"
        )


def _as_text(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"
