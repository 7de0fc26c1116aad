"""What all children have in common: names, labels and their owner."""

from __future__ import annotations

from typing import Any

from qwen_operator import naming
from qwen_operator.desired.wanted import Wanted

Object = dict[str, Any]
"""A Kubernetes object, or a part of one, as JSON holds it."""


def selector_of(owner_name: str) -> dict[str, str]:
    """Labels that tell the model pods of this owner from all others. They can never change:
    Kubernetes forbids it for a Deployment."""
    return {
        naming.NAME_LABEL: naming.MODEL_APP,
        naming.INSTANCE_LABEL: owner_name,
        naming.COMPONENT_LABEL: naming.MODEL_COMPONENT,
    }


def build_selector(wanted: Wanted) -> dict[str, str]:
    """Those of the pods that are wanted."""
    return selector_of(wanted.name)


def build_labels(wanted: Wanted) -> dict[str, str]:
    """Labels of every child."""
    return {
        **build_selector(wanted),
        naming.PART_OF_LABEL: naming.PRODUCT,
        naming.MANAGED_BY_LABEL: naming.PRODUCT,
    }


def build_object(wanted: Wanted, api_version: str, kind: str, name: str | None = None) -> Object:
    """The head of a child; ``name`` is the owner's unless given."""
    owner = wanted.deployment
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name or wanted.name,
            "namespace": owner.metadata.namespace,
            "labels": build_labels(wanted),
            "ownerReferences": [
                {
                    "apiVersion": owner.api_version,
                    "kind": owner.kind,
                    "name": owner.metadata.name,
                    "uid": owner.metadata.uid,
                    "controller": True,
                    # True would need the right to update finalizers of the user's object.
                    "blockOwnerDeletion": False,
                }
            ],
        },
    }
