"""What the builders of children are given; everything they know stands here."""

from __future__ import annotations

from dataclasses import dataclass

from qwen_operator.api.v1alpha1 import CacheType, QwenDeployment, QwenDeploymentSpec
from qwen_operator.planning.result import CardPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSettings:
    """What the administrator decides for all QwenDeployments."""

    gpu_image: str
    """vLLM for GPUs, of the version that plans are made for; by digest, so that it stays."""
    cpu_image: str
    """vLLM's CPU build, likewise."""
    runtime_image: str
    """Our own image, whose entry point puts the launcher into the pod."""
    operator_namespace: str
    """Where the operator runs, which may talk to every launcher."""
    claim_access_mode: str = "ReadWriteOnce"
    """Of claims that are made: every storage class has ReadWriteOnce, but it binds all replicas to
    one node; ReadWriteMany needs a class that offers it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingClaim:
    """The cache claim as it was found. Kubernetes neither shrinks a claim nor changes its modes."""

    requested_bytes: int
    access_modes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One QwenDeployment with the plan that it gets."""

    deployment: QwenDeployment
    rows: tuple[CardPlan, ...]
    """One a card that fits; empty when none does, and then no pod may exist."""
    settings: ChildSettings
    existing_claim: ExistingClaim | None = None
    """The claim of ours that exists, so that its size and modes are kept."""
    surge: bool = False
    """Whether a rollout may start the new pod first, which takes a replica's worth of free cards;
    otherwise the old pod goes first."""

    @property
    def name(self) -> str:
        """Name of the owner, after which the children are named."""
        return self.deployment.metadata.name

    @property
    def spec(self) -> QwenDeploymentSpec:
        """What the user asks for."""
        return self.deployment.spec

    @property
    def cards(self) -> tuple[CardPlan, ...]:
        """The rows by name of the card, whatever order the user wrote them in.

        Of a card that is listed twice (by its name and by its label) the more cautious row stays.
        """
        by_name: dict[str, CardPlan] = {}
        for row in sorted(self.rows, key=lambda row: (row.card.name, row.card.reserved_bytes)):
            by_name[row.card.name] = row
        return tuple(by_name.values())

    @property
    def on_cpu(self) -> bool:
        """Whether vLLM's CPU build serves; the rules of the spec keep CPU and cards apart."""
        return any(row.card.is_cpu for row in self.rows)

    @property
    def replicas(self) -> int:
        """Pods that shall exist. The scale subresource writes spec.replicas of the owner, so an
        autoscaler is obeyed here and never fought."""
        if self.spec.suspend:
            return 0
        return 1 if self.spec.replicas is None else self.spec.replicas

    @property
    def owns_claim(self) -> bool:
        """Whether the cache is a claim that we make."""
        cache = self.spec.cache
        return cache.type is CacheType.PERSISTENT_VOLUME_CLAIM and cache.claim_name is None
