"""The cluster through the user's own kubectl: his contexts, log-ins and proxies, no library."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import IO, Any, cast

from qwen_operator.errors import QwenOperatorError

_RAW_TIMEOUT = "5s"

Object = Mapping[str, Any]


class KubectlFailed(QwenOperatorError):
    """kubectl could not do it; the sentence is its own."""


class Kubectl:
    """kubectl with the options that say which cluster and namespace."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options: list[str] = []
        for name in ("context", "kubeconfig", "namespace"):
            value = getattr(options, name, None)
            if value is not None:
                self._options += [f"--{name}", value]

    def get(self, *what: str) -> Object:
        """``kubectl get ... -o json``. Raises `KubectlFailed`."""
        return dict(json.loads(self._run("get", *what, "--output", "json")))

    def get_raw(self, path: str) -> str:
        """What the API server answers to a GET. Raises `KubectlFailed`."""
        return self._run("get", "--raw", path, "--request-timeout", _RAW_TIMEOUT)

    def post_raw(self, path: str, body: Object) -> Iterator[str]:
        """Lines of the answer to a POST, as they come. Raises `KubectlFailed`."""
        command = ["kubectl", *self._options, "create", "--raw", path, "--filename", "-"]
        with _started(command) as process:
            pipes = (process.stdin, process.stdout, process.stderr)
            question, answer, error = (cast(IO[str], pipe) for pipe in pipes)
            # kubectl may be gone before it has read its question; what it said comes below.
            with suppress(BrokenPipeError):
                question.write(json.dumps(body))
            with suppress(BrokenPipeError):
                question.close()
            try:
                yield from answer
            finally:
                # Whoever listens no longer wants no more of the answer.
                answer.close()
            said = error.read()
            if process.wait():
                raise KubectlFailed(_sentence(said))

    def _run(self, *arguments: str) -> str:
        with _started(["kubectl", *self._options, *arguments]) as process:
            output, error = process.communicate()
        if process.returncode:
            raise KubectlFailed(_sentence(error))
        return output


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options that kubectl itself has."""
    group = parser.add_argument_group("cluster (default: what kubectl uses)")
    group.add_argument("-n", "--namespace", metavar="NAME")
    add_context_to(group)


def add_context_to(group: argparse._ArgumentGroup) -> None:
    """Those of them that say which cluster."""
    group.add_argument("--context", metavar="NAME")
    group.add_argument("--kubeconfig", metavar="FILE")


def _started(command: list[str]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(  # noqa: S603 the user's own arguments
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except OSError:
        raise KubectlFailed(
            "kubectl cannot be run from PATH; install it, for it knows how to reach your cluster"
        ) from None


def _sentence(error: str) -> str:
    """The last line of what kubectl said, without its prefixes."""
    lines = error.strip().splitlines() or ["kubectl failed without a word"]
    return re.sub(r"^(error|Error from server( \(\w+\))?): ", "", lines[-1])
