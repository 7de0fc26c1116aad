"""``kubectl qwen chat``: a question to a model, and its answer as it comes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from qwen_contract import pod
from qwen_operator import naming
from qwen_operator.cli import kubectl
from qwen_operator.cli.exit_codes import OK
from qwen_operator.cli.kubectl import Kubectl, KubectlFailed

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[Any]

_EPILOG = """\
examples:
  kubectl qwen chat qwen3-4b 'Why is the sky blue?'
  kubectl qwen chat qwen3-4b --max-tokens 64 --system 'Be brief.' 'Who was Ada Lovelace?'

The request goes through the API server, so it needs no port-forward, but the permission to
create services/proxy.
"""


def add_to(commands: Subparsers) -> None:
    """Add the sub-command and its options."""
    parser = commands.add_parser(
        "chat",
        help="ask a model something, through the API server",
        description="Ask a QwenDeployment something and print its answer as it comes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", help="of the QwenDeployment")
    parser.add_argument("question")
    parser.add_argument("--system", metavar="TEXT", help="system message")
    parser.add_argument(
        "--max-tokens", type=int, default=256, metavar="N", help="of the answer (default: 256)"
    )
    parser.add_argument(
        "--temperature", type=float, metavar="T", help="default: what the model's files say"
    )
    kubectl.add_to(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the answer. Raises `KubectlFailed`."""
    cluster = Kubectl(options)
    owner = cluster.get(naming.PLURAL, options.name)
    namespace, spec = owner["metadata"]["namespace"], owner["spec"]
    messages = [{"role": "user", "content": options.question}]
    if options.system is not None:
        messages.insert(0, {"role": "system", "content": options.system})
    body: dict[str, Any] = {
        "model": spec.get("servedModelName") or spec["model"],
        "messages": messages,
        "max_tokens": options.max_tokens,
        "stream": True,
    }
    if options.temperature is not None:
        body["temperature"] = options.temperature
    service = f"{options.name}:{pod.HTTP_PORT_NAME}"
    path = f"/api/v1/namespaces/{namespace}/services/{service}/proxy/v1/chat/completions"
    try:
        for piece in read_answer(cluster.post_raw(path, body)):
            print(piece, end="", flush=True)
        print()
    except KubectlFailed as error:
        raise KubectlFailed(f"{error}; kubectl qwen status {options.name} says why") from None
    return OK


def read_answer(lines: Iterable[str]) -> Iterator[str]:
    """Text of a stream of server-sent events, thoughts before the answer. Raises `KubectlFailed`
    for an error that stands in the stream, or in its place."""
    for line in lines:
        data = line.strip().removeprefix("data:").strip()
        if not data or data == "[DONE]":
            continue
        try:
            event = json.loads(data)
        except ValueError:
            raise KubectlFailed(f"the answer is no stream of events: {data[:200]}") from None
        if "error" in event:
            raise KubectlFailed(_message(event["error"]))
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {}
            yield from filter(None, (delta.get("reasoning"), delta.get("content")))


def _message(error: object) -> str:
    return str(error.get("message", error)) if isinstance(error, dict) else str(error)
