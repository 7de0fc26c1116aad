"""All children of a QwenDeployment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from qwen_operator import naming
from qwen_operator.desired.deployment import build_deployment
from qwen_operator.desired.disruption_budget import build_disruption_budget
from qwen_operator.desired.metadata import Object
from qwen_operator.desired.network_policy import build_network_policy
from qwen_operator.desired.plan_config_map import build_plan_config_map
from qwen_operator.desired.service import build_service
from qwen_operator.desired.service_account import build_service_account
from qwen_operator.desired.volume_claim import build_volume_claim
from qwen_operator.desired.wanted import Wanted


@dataclass(frozen=True, slots=True)
class OwnedKind:
    """A kind of which every object with our owner reference is ours to make and to remove."""

    api_version: str
    kind: str
    plural: str
    name_of: Callable[[str], str] | None = str
    """Name of the one child by the name of its owner; None where there may be several."""


_BUILDERS: Final[tuple[tuple[OwnedKind, Callable[[Wanted], Object | None]], ...]] = (
    # In the order of need: the Deployment refers to what stands before it, and its pods are never
    # reachable without their policy.
    (OwnedKind("v1", "ServiceAccount", "serviceaccounts"), build_service_account),
    (
        OwnedKind("v1", "PersistentVolumeClaim", "persistentvolumeclaims", naming.cache_claim_name),
        build_volume_claim,
    ),
    (OwnedKind("v1", "ConfigMap", "configmaps", None), build_plan_config_map),
    (
        OwnedKind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
        build_network_policy,
    ),
    (OwnedKind("v1", "Service", "services"), build_service),
    (
        OwnedKind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
        build_disruption_budget,
    ),
    (OwnedKind("apps/v1", "Deployment", "deployments"), build_deployment),
)


def build_children(wanted: Wanted) -> tuple[Object, ...]:
    """Every object that shall exist, in an order that is safe to apply.

    Raises `InvalidInput` for what only the API server's schema of pods would have refused.
    """
    built = (build(wanted) for _, build in _BUILDERS)
    return tuple(child for child in built if child is not None)


def owned_kinds() -> tuple[OwnedKind, ...]:
    """Kinds to look through for children that are no longer wanted, the pods' first."""
    return tuple(kind for kind, _ in reversed(_BUILDERS))
