"""The command ``kubectl-qwen``, which kubectl finds as ``kubectl qwen``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from qwen_operator import __version__
from qwen_operator.cli import chat_command, models_command, plan_arguments, status_command
from qwen_operator.cli.exit_codes import BAD_INPUT, INTERRUPTED, OK
from qwen_operator.errors import QwenOperatorError


class _Parser(argparse.ArgumentParser):
    """Usage errors exit with 1, for 2 means that nothing fits."""

    def error(self, message: str) -> NoReturn:
        """Print the one sentence that matters."""
        self.exit(BAD_INPUT, f"error: {message}; see {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(
        prog="kubectl-qwen",
        description="Serve Qwen models on 24 GB GPUs: know before you start, and why.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    plan_arguments.add_to(commands)
    models_command.add_to(commands)
    status_command.add_to(commands)
    chat_command.add_to(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except QwenOperatorError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr)
            return BAD_INPUT
        # The reader (head, less) has seen enough; keep the interpreter from flushing into it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


if __name__ == "__main__":
    sys.exit(main())
