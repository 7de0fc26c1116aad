"""``kubectl qwen models``: what the catalogue has."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from qwen_operator.api.enums import Precision
from qwen_operator.catalog.models import Model, find_model, model_names
from qwen_operator.cli.exit_codes import OK
from qwen_operator.cli.text import columns

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[Any]

_CONVERTED = (Precision.FP8, Precision.MIXED)
"""What vLLM makes of 16-bit weights while it loads them."""


def add_to(commands: Subparsers) -> None:
    """Add the sub-command and its options."""
    parser = commands.add_parser(
        "models",
        help="the models that can be planned by name",
        description="List the models of the catalogue, their contexts and their precisions. Any "
        "other model of a Qwen architecture can be planned from its config.json.",
    )
    parser.add_argument("pattern", nargs="?", default="", help="part of a name, such as qwen3-8b")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the models whose names hold the pattern."""
    wanted = options.pattern.lower()
    models = [find_model(name) for name in model_names() if wanted in name.lower()]
    if options.output == "json":
        print(json.dumps([_as_dict(model) for model in models], indent=2))
        return OK
    rows = [
        (
            model.name,
            f"{model.native_context_length:,}",
            f"{model.yarn_context_length:,}" if model.yarn_context_length else "",
            " ".join(_precisions(model)),
            model.licence or "",
        )
        for model in models
    ]
    for line in columns([("MODEL", "CONTEXT", "YARN", "PRECISIONS", "LICENCE"), *rows], left=1):
        print(line)
    return OK


def _as_dict(model: Model) -> dict[str, Any]:
    return {
        "model": model.name,
        "context_length": model.native_context_length,
        "yarn_context_length": model.yarn_context_length,
        "precisions": list(_precisions(model)),
        "licence": model.licence,
        "unverified": model.unverified,
    }


def _precisions(model: Model) -> tuple[str, ...]:
    there = {*model.checkpoints, Precision.FP16, *_CONVERTED}
    return tuple(str(precision) for precision in Precision if precision in there)
