"""Asks a real vLLM parser whether it accepts argument lists.

    python -m benchmarks.planner.vllm_parser.check VERSION < lists.jsonl

A line of input is a JSON list: the arguments after ``vllm serve MODEL``. A line of output is
``{"accepted": bool, "error": str | null, "unknown": [str, ...]}``. The exit code is 1 when a
list was refused. One process answers all: its start costs seconds, a list milliseconds.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterable

from benchmarks.planner.vllm_parser.install import (
    WORKER,
    InstallError,
    install,
    interpreter,
    worker_variables,
)

_WORKER_SECONDS = 600


class CheckError(Exception):
    """The lists could not be put to vLLM; this says nothing about the lists."""


@dataclasses.dataclass(frozen=True)
class ParseResult:
    """What vLLM said of one argument list."""

    accepted: bool
    """The server would go on to load the model."""
    error: str | None
    """vLLM's own words, None when accepted."""
    unknown: tuple[str, ...]
    """Flags that are none of vLLM's, abbreviations included."""


def parse_all(version: str, argument_lists: list[list[str]]) -> list[ParseResult]:
    """Put ``argument_lists`` to vLLM ``version``; one result each, in order.

    The environment is built first if need be (InstallError when that fails).
    """
    environment = install(version)
    if not argument_lists:
        return []
    try:
        ended = subprocess.run(
            [str(interpreter(environment)), "-m", WORKER],
            input="".join(json.dumps(one) + "\n" for one in argument_lists),
            env=worker_variables(),
            capture_output=True,
            text=True,
            timeout=_WORKER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise CheckError(
            f"vLLM {version} had not answered {len(argument_lists)} lists after {_WORKER_SECONDS} s"
        ) from late
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    if ended.returncode != 0 or len(answers) != len(argument_lists):
        raise CheckError(
            f"vLLM {version} answered {len(answers)} of {len(argument_lists)} lists and ended "
            f"with {ended.returncode}: {ended.stderr.strip()[-2000:]}"
        )
    return [ParseResult(one["accepted"], one["error"], tuple(one["unknown"])) for one in answers]


def read_lists(lines: Iterable[str]) -> list[list[str]]:
    """Read one JSON list of strings per line."""
    lists = []
    for number, line in enumerate(lines, start=1):
        try:
            one = json.loads(line)
        except json.JSONDecodeError as error:
            raise CheckError(f"line {number} is not JSON: {error}") from error
        if not isinstance(one, list) or not all(isinstance(argument, str) for argument in one):
            raise CheckError(f"line {number} is not a list of strings; write every value as text")
        lists.append(one)
    return lists


def main() -> int:
    """Answer stdin on stdout."""
    parser = argparse.ArgumentParser(prog="check", description=__doc__.splitlines()[0])
    parser.add_argument("version", metavar="VERSION")
    version = parser.parse_args().version
    try:
        results = parse_all(version, read_lists(sys.stdin))
    except (CheckError, InstallError) as error:
        print(f"check: {error}", file=sys.stderr)
        return 2
    for result in results:
        print(json.dumps(dataclasses.asdict(result)))
    return 0 if all(result.accepted for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
