"""A cluster of the user's own, named by KUBECONFIG: nothing is built, started or stopped."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from e2e.cluster.api import Refused, connect
from e2e.cluster.errors import HarnessError, Unreachable
from e2e.cluster.images import Image, build_and_push
from e2e.cluster.progress import Progress

REGISTRY_VARIABLE: Final = "QWEN_E2E_REGISTRY"
"""Where images for that cluster are pushed, such as registry.example.com/qwen."""


@dataclass(frozen=True)
class ExistingCluster:
    """How to reach the user's cluster, and the registry that it pulls from."""

    kubeconfig: Path
    registry: str | None

    @classmethod
    def from_environment(cls, own_state: Path) -> "ExistingCluster | None":
        """The cluster that KUBECONFIG names, unless it names the one that the harness made."""
        named = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
        if not named or Path(named).resolve().is_relative_to(own_state.resolve()):
            return None
        return cls(Path(named), os.environ.get(REGISTRY_VARIABLE) or None)

    def describe(self) -> str:
        """One line that shows which cluster it is; raise HarnessError if it does not answer."""
        version = asyncio.run(self._version())
        registry = self.registry or f"none; set {REGISTRY_VARIABLE} to push images"
        return f"{self.kubeconfig}: Kubernetes {version}; registry: {registry}"

    def load(self, image: Image, progress: Progress) -> str:
        """Build the image, push it where the cluster pulls from, and return its reference."""
        if self.registry is None:
            raise HarnessError(
                f"set {REGISTRY_VARIABLE} to a registry that your cluster pulls from, "
                "such as registry.example.com/qwen"
            )
        return build_and_push(image, self.registry, progress)

    async def _version(self) -> str:
        try:
            async with connect(self.kubeconfig) as api:
                return str((await api.request("GET", "/version"))["gitVersion"])
        except (OSError, Refused, Unreachable) as error:
            raise HarnessError(f"{self.kubeconfig}: {error}") from None
