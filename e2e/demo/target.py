"""Where the demonstration runs: a cluster made on this machine, or the one of KUBECONFIG."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from e2e.cluster.commands import need, run
from e2e.cluster.errors import HarnessError
from e2e.cluster.existing import ExistingCluster
from e2e.cluster.images import Image
from e2e.cluster.local import LocalCluster
from e2e.cluster.paths import DEFAULT_STATE, LOCK, exclusive
from e2e.cluster.progress import Progress
from e2e.demo.model import Model, serve_model


class Target(Protocol):
    """A cluster to install into."""

    kubeconfig: Path
    pulls_vllm: bool
    """Whether its nodes pull vLLM's public image, so that none need be built."""

    def up(self, progress: Progress) -> None:
        """Have it serve."""

    def load(self, image: Image, progress: Progress) -> str:
        """Have its nodes know the image; return the reference."""

    def serve_model(self, model: Model) -> str | None:
        """Address of a hub of ours; None when pods go to Hugging Face themselves."""

    def tool(self, name: str) -> str:
        """Path of kubectl or helm."""

    def down(self) -> bool:
        """Remove the cluster; False when it is the user's and stays."""

    def shell_lines(self) -> str:
        """What a shell needs for kubectl to reach it."""


class OwnMachine:
    """The harness's cluster with its node."""

    pulls_vllm = False

    def __init__(self) -> None:
        self.kubeconfig = DEFAULT_STATE / "kubeconfig"

    def up(self, progress: Progress) -> None:
        """Have it serve."""
        if os.geteuid() != 0:
            raise HarnessError("a node needs root; run as root, or set KUBECONFIG to a cluster")
        with exclusive(LOCK):
            LocalCluster(DEFAULT_STATE, progress).up(control_plane_only=False)

    def load(self, image: Image, progress: Progress) -> str:
        """Build the image and import it into the node's container runtime."""
        return LocalCluster(DEFAULT_STATE, progress).load(image)

    def serve_model(self, model: Model) -> str | None:
        """Start a hub on this machine; pods reach nothing beyond it."""
        return serve_model(model, DEFAULT_STATE)

    def tool(self, name: str) -> str:
        """The one that was built with the cluster."""
        return str(DEFAULT_STATE / "bin" / name)

    def down(self) -> bool:
        """Remove every trace but the cache."""
        with exclusive(LOCK):
            LocalCluster(DEFAULT_STATE, Progress()).down()
        return True

    def shell_lines(self) -> str:
        """For eval."""
        return 'eval "$(uv run python -m e2e.cluster env)"'


class UsersCluster:
    """The cluster that KUBECONFIG names."""

    pulls_vllm = True

    def __init__(self, existing: ExistingCluster) -> None:
        self._existing = existing
        self.kubeconfig = existing.kubeconfig

    def up(self, progress: Progress) -> None:
        """Say which one it is."""
        progress.say(self._existing.describe())

    def load(self, image: Image, progress: Progress) -> str:
        """Build the image and push it to the user's registry."""
        return self._existing.load(image, progress)

    def serve_model(self, model: Model) -> str | None:
        """Its pods cannot be presumed to reach this machine."""
        return None

    def tool(self, name: str) -> str:
        """The user's own."""
        return need(name, "install it, or unset KUBECONFIG to use a cluster of the harness")

    def down(self) -> bool:
        """It is not ours to remove."""
        return False

    def shell_lines(self) -> str:
        """For a shell where it is not set already."""
        return f"export KUBECONFIG={self.kubeconfig}"


def choose_target() -> Target:
    """By KUBECONFIG."""
    existing = ExistingCluster.from_environment(DEFAULT_STATE)
    return OwnMachine() if existing is None else UsersCluster(existing)


def call(target: Target, program: str, *words: str | Path, settings: Mapping[str, str]) -> str:
    """Run kubectl or helm against the target; `settings` become --set."""
    pairs = [word for pair in settings.items() for word in ("--set-string", "=".join(pair))]
    environment = {"KUBECONFIG": str(target.kubeconfig)}
    return run([target.tool(program), *words, *pairs], environment=environment)


def call_qwen(target: Target, *words: str) -> str:
    """Run the product's own command, which finds kubectl in PATH."""
    tools = Path(target.tool("kubectl")).parent
    environment = {
        "KUBECONFIG": str(target.kubeconfig),
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
    }
    return run([sys.executable, "-m", "qwen_operator.cli.main", *words], environment=environment)
