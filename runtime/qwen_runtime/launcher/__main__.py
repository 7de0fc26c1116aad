"""``python3 launcher.pyz``: process 1 of the model container."""

from __future__ import annotations

import time

_began = time.monotonic()

from qwen_runtime.launcher.signals import Signals  # noqa: E402

# Before everything that takes time to import: process 1 has no default action for a signal, so one
# that came earlier would be lost, and the pod would stay until the kubelet kills it.
_signals = Signals()

import os  # noqa: E402
import sys  # noqa: E402
from dataclasses import replace  # noqa: E402

from qwen_contract.report import OUR_PHASES, Phase  # noqa: E402
from qwen_runtime.launcher.board import Board  # noqa: E402
from qwen_runtime.launcher.host import process_age_seconds  # noqa: E402
from qwen_runtime.launcher.options import parse_options  # noqa: E402
from qwen_runtime.launcher.run import run  # noqa: E402


def main() -> int:
    """The exit status."""
    imports_seconds = time.monotonic() - _began
    interpreter_seconds = max(0.0, process_age_seconds() - imports_seconds)
    board = Board()
    board.change(
        lambda status: replace(
            status,
            phases_before=(
                Phase(name=f"{OUR_PHASES}Interpreter", seconds=round(interpreter_seconds, 3)),
                Phase(name=f"{OUR_PHASES}Imports", seconds=round(imports_seconds, 3)),
            ),
        )
    )
    return run(parse_options(sys.argv[1:]), os.environ, board, _signals)


def main_and_end() -> None:
    """Ends the process: threads that wait for an answer or a driver must not hold that up."""
    code = main()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    main_and_end()
