"""Kubeconfig files: address of an API server and the identity to show it."""

import base64
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster.certificates import KeyPair
from e2e.cluster.paths import write_if_changed


def write_kubeconfig(file: Path, server: str, authority: Path, identity: KeyPair) -> Path:
    """Write a kubeconfig that holds everything inline, so that it can be copied."""
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "qwen-e2e",
        "contexts": [{"name": "qwen-e2e", "context": {"cluster": "qwen-e2e", "user": "qwen-e2e"}}],
        "clusters": [
            {
                "name": "qwen-e2e",
                "cluster": {"server": server, "certificate-authority-data": _inline(authority)},
            }
        ],
        "users": [
            {
                "name": "qwen-e2e",
                "user": {
                    "client-certificate-data": _inline(identity.certificate),
                    "client-key-data": _inline(identity.key),
                },
            }
        ],
    }
    return write_if_changed(file, yaml.safe_dump(document, sort_keys=False))


def _inline(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
