"""helm and kubectl against a cluster."""

from __future__ import annotations

import shutil
from pathlib import Path

from e2e.cluster.commands import run
from e2e.fixtures import Cluster


def tool(cluster: Cluster, name: str) -> str:
    """helm or kubectl of the cluster's version; the user's own beside a cluster of the user's."""
    built = cluster.kubeconfig.parent / "bin" / name
    return str(built) if built.exists() else shutil.which(name) or name


def helm(cluster: Cluster, *words: str | Path) -> str:
    """Its output; raises with its own words when it fails."""
    return _run(cluster, "helm", *words)


def kubectl(cluster: Cluster, *words: str | Path) -> str:
    """Likewise."""
    return _run(cluster, "kubectl", *words)


def _run(cluster: Cluster, program: str, *words: str | Path) -> str:
    environment = {"KUBECONFIG": str(cluster.kubeconfig)}
    return run([tool(cluster, program), *words], environment=environment, timeout_seconds=180)
