"""Runs that other people published: what their logs let us check.

``data/public_runs.csv`` keeps each run as it was logged; ``catalogue_model``, ``max_loras`` and
``compile_cache`` are our reading of it. No run says everything, so two things are checked: what a
pool of the logged size holds, and, given the logged weights, how large the pool became.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.planner.measurements import DATA, LOG_ROUNDING_GIB
from qwen_operator.api.enums import KvCacheDtype, Precision
from qwen_operator.catalog.cards import Card
from qwen_operator.catalog.models import find_model
from qwen_operator.planning.kv_cache import kv_cache_layout
from qwen_operator.planning.request import CompileCache, EngineChoices, LoraSlots, PlanRequest
from qwen_operator.planning.result import CardPlan
from qwen_operator.planning.row import plan_row
from qwen_operator.units import GIB

_DEFAULT_MAX_NUM_SEQS = 256
_DEFAULT_BATCHED_TOKENS = 2048
_CAPABILITIES = {"RTX 4090": (8, 9), "NVIDIA L4": (8, 9)}


@dataclass(frozen=True)
class PublicRun:
    """One line of the table; empty cells were not in the log."""

    cells: dict[str, str]

    def number(self, column: str) -> float | None:
        """A numeric cell; ``default(256)`` reads as 256, an empty one as None."""
        found = re.search(r"-?[\d.]+", self.cells[column])
        return float(found[0]) if found else None

    def tokens(self) -> tuple[int, int, int] | None:
        """Tokens that the logged pool holds by our arithmetic, least and most, and as logged."""
        pool, logged = self.number("available_kv_gib"), self.number("kv_tokens")
        length = self.number("max_model_len")
        if not self.cells["catalogue_model"] or not pool or not logged or not length or pool < 0:
            return None
        layout = kv_cache_layout(
            find_model(self.cells["catalogue_model"]).geometry,
            tensor_parallel_size=int(self.number("tp") or 1),
            dtype=KvCacheDtype.FP8 if self.cells["kv_dtype"] == "fp8" else KvCacheDtype.AUTO,
            prefix_caching=True,
        )
        least = layout.tokens(int((pool - LOG_ROUNDING_GIB) * GIB), int(length))
        most = layout.tokens(int((pool + LOG_ROUNDING_GIB) * GIB), int(length))
        return least, most, int(logged)

    def pool(self) -> tuple[float, float, float] | None:
        """KV cache in GiB: expected from the logged weights, its safe end, and as logged."""
        row, logged = self._plan(), self.number("available_kv_gib")
        weights = self.number("weights_gib")
        if row is None or logged is None or weights is None:
            return None
        # A log counts adapters among the weights; the plan has them apart.
        non_kv = (row.budget.non_kv.total - row.budget.non_kv.lora) / GIB
        expected = row.budget.requested_bytes / GIB - weights - non_kv
        return expected, expected - row.budget.band_bytes / GIB, logged

    def _plan(self) -> CardPlan | None:
        total, share = self.number("gpu_total_gib"), self.number("gpu_mem_util")
        version = re.fullmatch(r"0\.(\d+)\.\d+", self.cells["vllm_version"])
        capability = _CAPABILITIES.get(self.cells["gpu"].removeprefix("2x "))
        if not total or not share or not version or int(version[1]) < 24 or not capability:
            return None
        if not self.cells["catalogue_model"]:
            return None
        request = PlanRequest(
            model=find_model(self.cells["catalogue_model"]),
            vllm_version=self.cells["vllm_version"],
            precision=Precision.BF16,
            context_length=int(self.number("max_model_len") or 0),
            tensor_parallel_size=int(self.number("tp") or 1),
            compile_cache=CompileCache(self.cells["compile_cache"]),
            engine=EngineChoices(
                max_num_seqs=int(self.number("max_num_seqs") or _DEFAULT_MAX_NUM_SEQS),
                max_num_batched_tokens=int(
                    self.number("max_num_batched_tokens") or _DEFAULT_BATCHED_TOKENS
                ),
                gpu_memory_utilization=share,
                enforce_eager=self.cells["enforce_eager"] == "True",
                lora=LoraSlots(max_loras=int(self.cells["max_loras"]), max_rank=16)
                if self.cells["max_loras"]
                else None,
            ),
        )
        card = Card(
            name=self.cells["gpu"],
            title=self.cells["gpu"],
            memory_bytes=round(total * GIB),
            compute_capability=capability,
        )
        row = plan_row(request, card)
        return row if isinstance(row, CardPlan) else None


def load_public_runs() -> Iterator[PublicRun]:
    """Every published run."""
    with (DATA / "public_runs.csv").open(encoding="utf-8", newline="") as file:
        yield from (PublicRun(cells) for cells in csv.DictReader(file))
