"""What a pass shall do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qwen_operator.desired.metadata import Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A child that is no longer wanted; the preconditions keep a namesake alive."""

    api_version: str
    kind: str
    plural: str
    name: str
    uid: str
    resource_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to the owner, told once."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Writes in the order they are safe in, and when to look again."""

    apply: tuple[Object, ...] = ()
    prune: tuple[Removal, ...] = ()
    status: Mapping[str, Any] | None = None
    """None where the status is already so."""
    rollout_events: tuple[Event, ...] = ()
    """Told before the children are written: what they tell cannot be seen any more afterwards."""
    condition_events: tuple[Event, ...] = ()
    """Told with the status."""
    requeue_after_seconds: float | None = None
    """None: the next event or the resync is soon enough."""

    @property
    def events(self) -> tuple[Event, ...]:
        """All that is told."""
        return (*self.rollout_events, *self.condition_events)

    @property
    def is_quiet(self) -> bool:
        """Whether the pass writes nothing."""
        return not (self.apply or self.prune or self.events) and self.status is None
