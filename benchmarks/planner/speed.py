"""How long a plan and the command take: ``make plan-speed``."""

from __future__ import annotations

import compileall
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import pydantic
import yaml

import qwen_operator
from qwen_operator.api.enums import Precision
from qwen_operator.catalog.cards import DEFAULT_CARD_NAMES, find_card
from qwen_operator.catalog.models import find_model
from qwen_operator.catalog.vllm_versions import GPU_VLLM_VERSION
from qwen_operator.planning.plan import plan
from qwen_operator.planning.request import PlanRequest

_COMMAND_RUNS = 11
_PLAN_RUNS = 51


def main() -> None:
    """Print medians: a row, a whole plan with its alternatives, the command from start to exit."""
    cards = [find_card(name) for name in DEFAULT_CARD_NAMES]
    fits = PlanRequest(model=find_model("Qwen/Qwen3-8B"), vllm_version=GPU_VLLM_VERSION)
    refused = PlanRequest(
        model=find_model("Qwen/Qwen3.5-27B"),
        vllm_version=GPU_VLLM_VERSION,
        precision=Precision.FP8,
        context_length=131_072,
    )
    converted = PlanRequest(
        model=find_model("Qwen/Qwen3-32B"),
        vllm_version=GPU_VLLM_VERSION,
        precision=Precision.MIXED,
        tensor_parallel_size=2,
    )
    for name, request in (
        ("fits", fits),
        ("does not fit, with alternatives", refused),
        ("converted while loading", converted),
    ):
        one = _milliseconds(partial(plan, request, cards[:1]), _PLAN_RUNS)
        four = _milliseconds(partial(plan, request, cards), _PLAN_RUNS)
        print(f"plan, {name}: {one:.1f} ms a card, {four:.1f} ms for four cards")
    for module in (qwen_operator, pydantic, yaml):
        compileall.compile_dir(Path(str(module.__file__)).parent, quiet=1)
    command = [sys.executable, "-m", "qwen_operator.cli.main", "plan", "--model", "Qwen/Qwen3-8B"]
    took = _milliseconds(
        lambda: subprocess.run(command, check=True, capture_output=True), _COMMAND_RUNS
    )
    print(f"kubectl-qwen plan, start to exit: {took / 1000:.2f} s (median of {_COMMAND_RUNS})")


def _milliseconds(run: Callable[[], object], times: int) -> float:
    run()
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begin)
    return median(taken) * 1000


if __name__ == "__main__":
    main()
