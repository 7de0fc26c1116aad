"""The launcher's own command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qwen_contract import pod

_PROPAGATION_SECONDS: Final = 5.0
"""kube-proxy hears of an endpoint within a second or two, and writes its rules once a second."""
_BUSY_SECONDS: Final = 60.0
"""The replica before may still be ending, which takes the driver some seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a launcher is told."""

    plan: Path
    fetched: Path
    port: int
    http_port: int
    termination_log: Path
    propagation_seconds: float
    grace_seconds: float
    busy_seconds: float
    model_server: tuple[str, ...]
    """Words before the model; empty for what the image has."""


def parse_options(arguments: list[str]) -> Options:
    """Usage errors end the process with status 2, as argparse does."""
    parser = argparse.ArgumentParser(
        prog="launcher", description="Start vLLM by the plan's row for the card of this pod."
    )
    parser.add_argument("--plan", type=Path, default=Path(pod.PLAN_FOLDER), metavar="FOLDER")
    parser.add_argument("--fetched", type=Path, default=Path(pod.FETCHED_PATH), metavar="FILE")
    parser.add_argument("--port", type=int, default=pod.LAUNCHER_PORT, help="of probes and metrics")
    parser.add_argument("--http-port", type=int, default=pod.HTTP_PORT, help="of vLLM")
    parser.add_argument(
        "--termination-log", type=Path, default=Path(pod.TERMINATION_LOG), metavar="FILE"
    )
    parser.add_argument(
        "--propagation-seconds",
        type=float,
        default=_PROPAGATION_SECONDS,
        help="serve on for so long after SIGTERM, until nobody sends requests any more",
    )
    parser.add_argument(
        "--grace-seconds",
        type=float,
        default=float(pod.TERMINATION_GRACE_SECONDS),
        help="the pod's terminationGracePeriodSeconds",
    )
    parser.add_argument(
        "--busy-seconds",
        type=float,
        default=_BUSY_SECONDS,
        help="wait for so long until a GPU that is in use becomes free",
    )
    parser.add_argument(
        "--model-server",
        nargs=argparse.REMAINDER,
        default=[],
        metavar="COMMAND",
        help="words before the model, when the image has no vllm; must come last",
    )
    read = parser.parse_args(arguments)
    return Options(
        plan=read.plan,
        fetched=read.fetched,
        port=read.port,
        http_port=read.http_port,
        termination_log=read.termination_log,
        propagation_seconds=read.propagation_seconds,
        grace_seconds=read.grace_seconds,
        busy_seconds=read.busy_seconds,
        model_server=tuple(read.model_server),
    )
