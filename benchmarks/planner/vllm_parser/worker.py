"""Runs inside a vLLM environment: argument lists on stdin, what vLLM says of each on stdout.

Both are JSON lines. The lists are those after ``vllm serve MODEL``. Each goes through the same
steps as in vLLM's own command line: the ``serve`` parser, ``validate_parsed_serve_args``, the
server's check of the parser names, ``AsyncEngineArgs.from_cli_args``. Nothing is loaded. The
one difference is meant: an abbreviated flag is refused, since the operator writes full names
and an abbreviation turns ambiguous with the next vLLM.
"""

import argparse
import contextlib
import importlib
import io
import json
import os
import re
import sys
from typing import Any, NoReturn, TextIO

from benchmarks.planner.vllm_parser import stand_ins

MODEL = "Qwen/Qwen3-0.6B"
"""Stands where the model does; it is never looked up."""

# The module moved between 0.32 and 0.33.
_CLI_ARGS = ("vllm.entrypoints.common.cli_args", "vllm.entrypoints.launchers.cli_args")


class RefusedError(Exception):
    """vLLM would not start with these arguments."""

    def __init__(self, message: str, unknown: list[str] | None = None) -> None:
        """Keep vLLM's ``message`` and the flags it does not know."""
        super().__init__(message)
        self.unknown = unknown or []


class Checker:
    """One vLLM's parser, built once."""

    def __init__(self) -> None:
        """Import vLLM and build the parser of ``vllm serve``."""
        self._cli_args = _import_first(_CLI_ARGS)
        flexible = importlib.import_module("vllm.utils.argparse_utils").FlexibleArgumentParser
        self._engine_args = importlib.import_module("vllm.engine.arg_utils").AsyncEngineArgs
        self._tool_parsers = importlib.import_module("vllm.tool_parsers").ToolParserManager
        self._reasoning_parsers = importlib.import_module("vllm.reasoning").ReasoningParserManager
        # A subparser takes its parent's class, so the serve parser is a strict one as well.
        self._parser = _strict(flexible)(prog="vllm")
        commands = self._parser.add_subparsers(dest="subparser", required=True)
        self._serve = self._cli_args.make_arg_parser(commands.add_parser("serve"))

    def check(self, arguments: list[str]) -> None:
        """Return if vLLM takes ``arguments``, raise ``RefusedError`` if it does not."""
        parsed = self._parse(arguments)
        for step in (
            self._cli_args.validate_parsed_serve_args,
            self._check_parser_names,
            self._engine_args.from_cli_args,
        ):
            try:
                step(parsed)
            except RefusedError:
                raise
            except Exception as error:
                raise RefusedError(f"{step.__name__}: {error}") from error

    def _parse(self, arguments: list[str]) -> argparse.Namespace:
        self._parser.extras = []
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                parsed = self._parser.parse_args(["serve", MODEL, *arguments])
        except RefusedError as refused:
            unknown = [extra for extra in self._parser.extras if extra.startswith("-")]
            if not unknown:
                raise
            raise RefusedError("; ".join(map(self._say_unknown, unknown)), unknown) from refused
        except SystemExit as left:  # --help and the like: vLLM would not serve
            raise RefusedError(f"vllm serve ends at once with exit code {left.code}") from left
        except Exception as error:  # not every bad value reaches argparse as its own error
            raise RefusedError(f"{type(error).__name__}: {error}") from error
        assert isinstance(parsed, argparse.Namespace)
        return parsed

    def _say_unknown(self, flag: str) -> str:
        name = flag.partition("=")[0].replace("_", "-")
        longer = [full for full in self._serve._option_string_actions if full.startswith(name)]
        if longer:
            return f"{name} is an abbreviation, not a flag: write {' or '.join(sorted(longer))}"
        return f"vllm serve has no flag {name}"

    def _check_parser_names(self, parsed: argparse.Namespace) -> None:
        """Repeat what the server checks at start; a plugin may bring further names."""
        for kind, manager in (
            ("tool_call_parser", self._tool_parsers),
            ("reasoning_parser", self._reasoning_parsers),
        ):
            name = getattr(parsed, kind)
            plugin = getattr(parsed, kind.replace("_call", "") + "_plugin")
            if name and not plugin and name not in manager.list_registered():
                known = ", ".join(sorted(manager.list_registered()))
                flag = "--" + kind.replace("_", "-")
                raise RefusedError(f"{flag}: no parser is named {name!r}; there are {known}")


def _strict(flexible: Any) -> Any:
    class StrictParser(flexible):  # type: ignore[misc]  # a class of vLLM's, unknown to mypy
        extras: list[str]

        def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
            parsed, self.extras = super().parse_known_args(args, namespace)
            return parsed, self.extras

        def _get_option_tuples(self, option_string: str) -> list[Any]:
            # argparse offers every flag that begins with what was typed. Only the reverse may
            # stay: a short flag with its value attached (-tp2). allow_abbrev=False would not
            # do, as it leaves abbreviated short flags (-as for -asc) alone.
            found: list[Any] = super()._get_option_tuples(option_string)
            return [one for one in found if option_string.startswith(one[1])]

        def error(self, message: str) -> NoReturn:
            raise RefusedError(message)

    return StrictParser


def _import_first(names: tuple[str, ...]) -> Any:
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not name.startswith(error.name):
                raise  # the module is there; something that it needs is not
    raise ModuleNotFoundError(f"this vLLM has none of {', '.join(names)}")


def _answer(checker: Checker, arguments: list[str]) -> dict[str, object]:
    try:
        checker.check(arguments)
    except RefusedError as refused:
        # vLLM prints functions with their address, which no two runs share.
        error = re.sub(r" at 0x[0-9a-f]+", "", str(refused))
        return {"accepted": False, "error": error, "unknown": refused.unknown}
    return {"accepted": True, "error": None, "unknown": []}


def _claim_stdout() -> TextIO:
    """Keep stdout for the answers: whatever vLLM prints or logs goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def main() -> None:
    """Answer every line of stdin with one line on stdout."""
    answers = _claim_stdout()
    stand_ins.put_in_place()
    checker = Checker()
    for line in sys.stdin:
        print(json.dumps(_answer(checker, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
