"""How many replicas a node drain may take away at a time."""

from __future__ import annotations

from qwen_operator.desired.metadata import Object, build_object, build_selector
from qwen_operator.desired.wanted import Wanted


def build_disruption_budget(wanted: Wanted) -> Object | None:
    """One at a time; none for a single replica, which could then never be moved."""
    if not wanted.rows or wanted.replicas <= 1:
        return None
    return build_object(wanted, "policy/v1", "PodDisruptionBudget") | {
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": build_selector(wanted)},
            # A pod that never became ready serves nobody and must not hold up a drain.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        }
    }
