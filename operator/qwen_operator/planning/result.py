"""What a plan says: one row a card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qwen_operator.catalog.cards import Card
from qwen_operator.planning.host import HostResources
from qwen_operator.planning.kv_cache import KvCacheLayout
from qwen_operator.planning.non_kv import EngineShape, NonKv
from qwen_operator.planning.refusal import Refusal
from qwen_operator.planning.request import PlanRequest
from qwen_operator.planning.weights import WeightScheme


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Bytes of one GPU: weights + non-KV + expected KV cache = what vLLM may use."""

    card_bytes: int
    requested_bytes: int
    """Utilisation times card: what vLLM may use by its own count."""
    reserved_bytes: int
    """Of the card, left free because the user said so."""
    outside_bytes: int
    """CUDA context and growth under load, which vLLM does not count."""
    weights_bytes: int
    non_kv: NonKv
    kv_cache_bytes_expected: int
    """What is left for the KV cache, as vLLM would measure it; negative when nothing is."""
    band_bytes: int
    """How far the expectation may be off, either way."""
    measured: bool
    """Whether the band comes from measurements of this version and compute capability."""

    @property
    def overcommitted_bytes(self) -> int:
        """What the utilisation promises although desktop, CUDA context and load growth need it."""
        promised = self.requested_bytes + self.reserved_bytes + self.outside_bytes
        return max(0, promised - self.card_bytes)

    @property
    def kv_cache_bytes_safe(self) -> int:
        """The low end of the band, less what is overcommitted; negative when nothing is left."""
        return self.kv_cache_bytes_expected - self.band_bytes - self.overcommitted_bytes

    @property
    def admissible_bytes(self) -> int:
        """What vLLM is told it may use, and wants free before it starts."""
        return max(0, self.requested_bytes - self.overcommitted_bytes)

    @property
    def admissible_utilization(self) -> float:
        """Share of the card that is really there to use; vLLM checks it against free memory."""
        return self.admissible_bytes / self.card_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A nearby request that fits."""

    changes: Mapping[str, str | int]
    """Fields of the spec to what they would have to be: one, or two where one is not enough."""
    sentence: str
    kv_cache_tokens: int
    max_concurrency: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPlan:
    """The plan of one request on one card that could be budgeted."""

    card: Card
    request: PlanRequest
    fits: bool
    reason: str
    shape: EngineShape
    budget: Budget
    layout: KvCacheLayout
    kv_cache_bytes: int
    """What ``--kv-cache-memory-bytes`` asks for: the safe end of the expectation."""
    kv_cache_tokens: int
    max_concurrency: float
    longest_context_tokens: int
    """Longest request that the planned pool holds."""
    model_repository: str
    scheme: WeightScheme
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    host: HostResources
    decisions: tuple[str, ...]
    warnings: tuple[str, ...]
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedCard:
    """A card that no budget can be made for, and why."""

    card: Card
    request: PlanRequest
    refusal: Refusal


CardResult = CardPlan | RefusedCard
