"""The command line and environment of vLLM."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from qwen_runtime.launcher.cards import Card
from qwen_runtime.launcher.choose_row import Choice
from qwen_runtime.launcher.visible_cards import cuda_cards

_READY_SECONDS: Final = "7200"
"""vLLM gives up on its own engine after 600 s, which a slow disk takes; the launcher watches."""
_KEY_FLAG: Final = "--api-key"
_QUIET_ENDPOINTS: Final = "/health,/metrics"
"""Asked every second by the launcher: no line in the log for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How this image starts vLLM: words before the model, and whether it wants ``--model``."""

    words: tuple[str, ...]
    model_flag: bool = False


def default_server(python: str, vllm_path: str | None, *, on_cpu: bool) -> Server:
    """``vllm serve`` where there is one.

    A CPU build is started by its module, for the command looks for a distribution named vllm.
    """
    if vllm_path is not None and not on_cpu:
        return Server(words=(vllm_path, "serve"))
    module = "vllm.entrypoints.openai.api_server"
    return Server(words=(python, "-m", module), model_flag=True)


def build_command(
    server: Server, choice: Choice, model: str, *, port: int, shutdown_seconds: int
) -> tuple[str, ...]:
    """The plan's arguments, then ours, which win: argparse takes the last."""
    return (
        *server.words,
        *(("--model",) if server.model_flag else ()),
        model,
        *choice.row.args,
        "--port",
        str(port),
        "--shutdown-timeout",
        str(shutdown_seconds),
        "--disable-access-log-for-endpoints",
        _QUIET_ENDPOINTS,
    )


def build_env(
    choice: Choice, environ: Mapping[str, str], cards: tuple[Card, ...] = ()
) -> dict[str, str]:
    """The container's environment, under the plan's: the operator refuses users' own of those.

    ``cards`` are all that the driver shows.
    """
    env = {
        "HF_HUB_OFFLINE": "1",
        "VLLM_ENGINE_READY_TIMEOUT_S": _READY_SECONDS,
        # A line that waits in a buffer would be missing from the message about a death.
        "PYTHONUNBUFFERED": "1",
        **environ,
        **choice.row.env,
    }
    # Without it vLLM's imports are compiled again in each of its processes at each start.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    if choice.cards and choice.cards != cuda_cards(cards, env):
        env["CUDA_VISIBLE_DEVICES"] = ",".join(card.uuid for card in choice.cards)
    return env


def show_command(command: tuple[str, ...]) -> str:
    """For the log, as a shell would take it; a key is left out."""
    hidden = list(command)
    for position, word in enumerate(command):
        if word.startswith(f"{_KEY_FLAG}="):
            hidden[position] = f"{_KEY_FLAG}=***"
        elif position and command[position - 1] == _KEY_FLAG:
            hidden[position] = "***"
    return shlex.join(hidden)


def served_name(args: tuple[str, ...], model: str) -> str:
    """The name that requests must give."""
    return _value_of("--served-model-name", args) or model


def api_key(args: tuple[str, ...], env: Mapping[str, str]) -> str | None:
    """The key that vLLM asks for, if any."""
    return _value_of(_KEY_FLAG, args) or env.get("VLLM_API_KEY") or None


def _value_of(flag: str, args: tuple[str, ...]) -> str | None:
    value = None
    for position, argument in enumerate(args):
        if argument == flag and position + 1 < len(args):
            value = args[position + 1]
        elif argument.startswith(f"{flag}="):
            value = argument.partition("=")[2]
    return value


def find_program(name: str, environ: Mapping[str, str]) -> str | None:
    """Where the shell would find it."""
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder or ".", name)  # noqa: PTH118 pathlib drops a leading "./"
        if os.access(path, os.X_OK) and not os.path.isdir(path):  # noqa: PTH112
            return path
    return None
