"""The options of ``kubectl qwen plan``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from qwen_operator.api.enums import KvCacheDtype, Precision, Profile
from qwen_operator.catalog.vllm_versions import CPU_VLLM_VERSION, GPU_VLLM_VERSION
from qwen_operator.cli import kubectl
from qwen_operator.cli.plan_command import run
from qwen_operator.planning.request import DEFAULT_GPU_MEMORY_UTILIZATION, CompileCache

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[Any]

_Enum = TypeVar("_Enum", bound=StrEnum)

_DESCRIPTION = """\
Print which vLLM flags run a Qwen model on a card, what every byte of the card is used for, how sure
that is, and, where it does not fit, the nearest things that do. Needs no cluster and no GPU.
"""
_EPILOG = """\
examples:
  kubectl qwen plan -f qwen3-4b.yaml
  kubectl qwen plan --model Qwen/Qwen3-8B --context-length 32768 --gpu L4
  kubectl qwen plan --model Qwen/Qwen3-14B --precision int4 --tensor-parallel-size 2 -o json
  kubectl qwen plan -f qwen3-4b.yaml --cluster
  kubectl qwen plan --config-json ~/my-qwen/config.json --gpu RTX4090
  kubectl qwen plan --model Qwen/Qwen3-8B --precision fp8 --cost --api-price 0.40

exit status: 0 when a row fits, 2 when none does, 1 for bad input
"""


def add_to(commands: Subparsers) -> None:
    """Add the sub-command and its options."""
    parser = commands.add_parser(
        "plan",
        help="exact vLLM flags and the memory budget of a model, offline",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    _add_model(parser.add_argument_group("model"))
    _add_card(parser.add_argument_group("card (default: RTX4090, RTX4090D, L4 and A10G)"))
    _add_engine(parser.add_argument_group("engine (default: what the plan chooses)"))
    kubectl.add_context_to(parser.add_argument_group("cluster, for --cluster"))
    _add_cost(parser.add_argument_group("cost"))
    parser.add_argument("--explain", action="store_true", help="show the arithmetic of each row")
    parser.add_argument(
        "-o",
        "--output",
        choices=("table", "json", "yaml"),
        default="table",
        help="table for people, json or yaml for scripts (default: table)",
    )


def _add_model(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-f", "--filename", metavar="FILE", help="QwenDeployment as YAML; - reads stdin"
    )
    group.add_argument("--model", metavar="M", help="for example Qwen/Qwen3-8B")
    group.add_argument(
        "--config-json",
        metavar="FILE",
        help="config.json of a Qwen model the catalogue does not have; with --precision fp8 or "
        "mixed a 16-bit model is converted while loading",
    )
    group.add_argument(
        "--precision", type=_word_of(Precision), metavar="P", help=", ".join(Precision)
    )
    group.add_argument("--context-length", type=int, metavar="TOKENS", help="prompt and answer")
    group.add_argument("--tensor-parallel-size", type=int, metavar="N", help="GPUs per replica")
    group.add_argument("--profile", type=_word_of(Profile), metavar="NAME", help=", ".join(Profile))


def _add_card(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--gpu",
        action="append",
        metavar="NAME",
        help="RTX4090, RTX4090D, L4, A10G, CPU or a product label; may be given several times",
    )
    group.add_argument(
        "--cluster",
        action="store_true",
        help="the cards that your cluster really has, by the labels of its nodes (uses kubectl)",
    )
    group.add_argument("--gpu-memory-mib", type=int, metavar="MIB", help="memory that CUDA reports")
    group.add_argument("--compute-capability", metavar="X.Y", help="of the card, for example 8.9")
    group.add_argument(
        "--reserved-memory-mib",
        type=int,
        metavar="MIB",
        help="memory of the card left to a desktop or another process",
    )


def _add_engine(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--max-num-seqs", type=int, metavar="N", help="requests at a time")
    group.add_argument("--max-num-batched-tokens", type=int, metavar="N", help="tokens a step")
    group.add_argument(
        "--gpu-memory-utilization",
        type=float,
        metavar="SHARE",
        help=f"of the card, above 0 and up to 1 (default: {DEFAULT_GPU_MEMORY_UTILIZATION})",
    )
    group.add_argument(
        "--kv-cache-dtype",
        type=_word_of(KvCacheDtype),
        metavar="D",
        help=", ".join(KvCacheDtype),
    )
    group.add_argument(
        "--kv-cache-bytes", type=int, metavar="N", help="skip the estimate: what do N bytes hold?"
    )
    group.add_argument(
        "--kv-offloading-gib", type=int, metavar="GIB", help="KV cache in main memory"
    )
    group.add_argument(
        "--enforce-eager", action="store_true", help="no compilation, no CUDA graphs"
    )
    group.add_argument(
        "--no-prefix-caching", action="store_true", help="do not keep the KV cache of prompts"
    )
    group.add_argument("--max-cudagraph-capture-size", type=int, metavar="N", help="largest graph")
    group.add_argument(
        "--language-model-only", action="store_true", help="leave the vision tower out"
    )
    group.add_argument("--max-loras", type=int, metavar="N", help="adapters at a time")
    group.add_argument("--max-lora-rank", type=int, metavar="R", help="largest rank (default: 16)")
    group.add_argument(
        "--vllm-version",
        metavar="V",
        help=f"version to plan for (default: {GPU_VLLM_VERSION}; on a CPU {CPU_VLLM_VERSION})",
    )
    group.add_argument(
        "--compile-cache",
        type=_word_of(CompileCache),
        default=CompileCache.WARM,
        metavar="C",
        help="whether vLLM finds compiled kernels; only its own measurement depends on it "
        "(default: warm)",
    )


def _add_cost(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--cost", action="store_true", help="cost of a million output tokens")
    group.add_argument("--gpu-price", type=float, metavar="P", help="rent of one GPU for an hour")
    group.add_argument("--electricity-price", type=float, metavar="P", help="of a kilowatt-hour")
    group.add_argument(
        "--api-price", type=float, metavar="P", help="an API's price of a million output tokens"
    )


def _word_of(words: type[_Enum]) -> Callable[[str], _Enum]:
    """Read one of an enum's words in any case, or name the words."""

    def read(text: str) -> _Enum:
        by_lower = {word.lower(): word for word in words}
        found = by_lower.get(text.lower())
        if found is not None:
            return found
        near = get_close_matches(text.lower(), by_lower, n=1)
        hint = f", did you mean {by_lower[near[0]]}?" if near else ""
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(words)}{hint}")

    return read
