"""What every container of ours may do: nothing beyond the restricted Pod Security level."""

from __future__ import annotations

from qwen_operator.desired.metadata import Object


def build_container_security() -> Object:
    """Security context of a container."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
