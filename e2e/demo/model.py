"""Which model the demonstration serves, and the hub on this machine that its pod fetches it from.

Pods on the harness's node reach the machine and nothing beyond it. So the machine downloads the
model, or makes one of random weights where no hub can be reached, and serves it as a hub would.
"""

import os
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from e2e.cluster.errors import HarnessError
from e2e.cluster.health import when_answers
from e2e.cluster.network import MACHINE_ADDRESS
from e2e.cluster.paths import CACHE, REPOSITORY
from e2e.cluster.processes import Processes, Program
from e2e.models.tiny_qwen3 import write_tiny_qwen3

VARIABLE: Final = "QWEN_DEMO_MODEL"
"""Names the model to serve, such as Qwen/Qwen3-1.7B."""

TINY: Final = "qwen-operator/tiny-qwen3"
"""Random weights, made here in a second: everything but the words is real."""
SMALL: Final = "Qwen/Qwen3-0.6B"

_HUB: Final = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
_REACH_SECONDS: Final = 5
_PORT: Final = 8790
_FILES: Final = ["*.safetensors", "*.json", "*.txt", "*.jinja"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What is served, and with how much."""

    name: str
    context_tokens: int
    memory_mib: int
    """For weights and KV cache."""


_TINY: Final = Model(name=TINY, context_tokens=2048, memory_mib=2048)


def choose_model(*, reachable_hub: bool) -> Model:
    """What the environment names; else a small real model, or the tiny one without a hub."""
    named = os.environ.get(VARIABLE) or (SMALL if reachable_hub else TINY)
    if named == TINY:
        return _TINY
    if not reachable_hub:
        raise HarnessError(
            f"{VARIABLE}={named} cannot be downloaded, for {_HUB} does not answer; "
            f"unset {VARIABLE} to serve a model of random weights"
        )
    return Model(name=named, context_tokens=4096, memory_mib=6144)


def is_hub_reachable() -> bool:
    """Whether Hugging Face, or the hub that HF_ENDPOINT names, answers at all."""
    try:
        with urllib.request.urlopen(_HUB, timeout=_REACH_SECONDS):  # noqa: S310 the user's own
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False


def serve_model(model: Model, state: Path) -> str:
    """Have the model's files here and a hub that serves them to pods; return its address."""
    folder = state / "hub"
    target = folder / model.name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        if model.name == TINY:
            write_tiny_qwen3(target)
        else:
            target.symlink_to(_download(model.name))
    address = f"http://{MACHINE_ADDRESS}:{_PORT}"
    Processes(state).ensure(
        Program(
            name="hub",
            command=(
                *(sys.executable, "-m", "e2e.hub", "--folder", folder),
                *("--address", MACHINE_ADDRESS, "--port", str(_PORT)),
            ),
            ready=when_answers(f"{address}/api/models/{model.name}"),
            environment={"PYTHONPATH": str(REPOSITORY)},
        )
    )
    return address


def _download(name: str) -> str:
    """Folder of the model in the cache, which outlives the cluster."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return snapshot_download(name, cache_dir=CACHE / "huggingface", allow_patterns=_FILES)
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise HarnessError(f"{name} could not be downloaded: {reason}") from error
