"""What usual models need: ``make models`` writes ``docs/models.md``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.planner.markdown import table
from qwen_operator.api.enums import Precision
from qwen_operator.catalog.cards import Card, find_card
from qwen_operator.catalog.models import find_model
from qwen_operator.catalog.vllm_versions import GPU_VLLM_VERSION
from qwen_operator.planning.request import PlanRequest
from qwen_operator.planning.result import CardPlan
from qwen_operator.planning.row import plan_row

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
MODELS = (
    "Qwen/Qwen3-0.6B", "Qwen/Qwen3-4B-Instruct-2507", "Qwen/Qwen2.5-7B-Instruct",
    "Qwen/Qwen3-8B", "Qwen/Qwen3-14B", "Qwen/Qwen3-30B-A3B", "Qwen/Qwen3-32B",
    "Qwen/Qwen3-VL-8B-Instruct", "Qwen/Qwen3.5-9B", "Qwen/Qwen3.5-27B", "Qwen/Qwen3.5-35B-A3B",
    "Qwen/Qwen2.5-72B-Instruct",
)  # fmt: skip
_PLACES = (("RTX4090", 1), ("RTX4090", 2), ("RTX4090", 4), ("L4", 1), ("L4", 2))
_BEST_FIRST = (Precision.BF16, Precision.FP8, Precision.INT4)
_CONTEXT = 8192


def best_fit(name: str, card: Card, count: int) -> str:
    """The most precise weights that fit, and the longest context with them."""
    base = PlanRequest(
        model=find_model(name),
        vllm_version=GPU_VLLM_VERSION,
        context_length=_CONTEXT,
        tensor_parallel_size=count,
    )
    for precision in _BEST_FIRST:
        row = plan_row(replace(base, precision=precision), card)
        if isinstance(row, CardPlan) and row.fits:
            return f"{precision}, {row.longest_context_tokens:,}"
    return "no"


_TEXT = """\
# What fits where

The most precise weights of bf16, fp8 and int4 that serve 8,192 tokens, and the longest request that
they leave room for with a 16-bit KV cache. Computed by `make models` with the safe end of the band;
`kubectl qwen models` lists the others.

{table}
"""


def main() -> None:
    """Write the page."""
    headings = ["model", *(f"{count} x {name}" for name, count in _PLACES)]
    rows = [
        [name, *(best_fit(name, find_card(card), count) for card, count in _PLACES)]
        for name in MODELS
    ]
    text = _TEXT.format(table=table(headings, rows))
    PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
