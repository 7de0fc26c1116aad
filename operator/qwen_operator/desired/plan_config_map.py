"""The plan rows as the launcher reads them.

The ConfigMap is immutable and named by the hash of its content, and the pod template names it:
another content is another rollout. So it holds what the launcher acts on and nothing else. What
the plan expects (weights, non-KV bytes, bands) and its sentences stay with the operator, which
sets the launcher's measurements beside them: a later operator may know better without a restart.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from qwen_contract import pod
from qwen_contract.errors import Unreadable
from qwen_contract.plan import PlannedCard, PlanRow, read_plan, write_plan
from qwen_operator import naming
from qwen_operator.api.v1alpha1 import Source
from qwen_operator.desired.metadata import Object, build_object
from qwen_operator.desired.wanted import Wanted
from qwen_operator.planning.result import CardPlan

_HASH_DIGITS = 10


def build_plan_config_map(wanted: Wanted) -> Object | None:
    """One key a card, and an index that tells the launcher which is whose."""
    if not wanted.rows:
        return None
    data = _build_data(wanted)
    name = naming.plan_name(wanted.name, content_hash(data))
    return build_object(wanted, "v1", "ConfigMap", name) | {"immutable": True, "data": data}


def plan_config_map_name(wanted: Wanted) -> str:
    """The name that the pod template refers to."""
    return naming.plan_name(wanted.name, content_hash(_build_data(wanted)))


def rows_of(config_map: Mapping[str, Any]) -> tuple[PlanRow, ...]:
    """The rows in a plan ConfigMap; () when it holds none that we know."""
    try:
        return read_plan(config_map["data"])
    except (KeyError, TypeError, Unreadable):
        return ()


def content_hash(content: object) -> str:
    """Ten hexadecimal digits that are the same for equal JSON values."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:_HASH_DIGITS]


def product_labels(row: CardPlan) -> tuple[str, ...]:
    """Values of the node label nvidia.com/gpu.product; a card given by hand is named by it."""
    if row.card.is_cpu:
        return ()
    return tuple(sorted(row.card.product_labels)) or (row.card.name,)


def source_folder(source: Source) -> str | None:
    """Where weights lie that are not fetched; None where they are."""
    if source.host_path is not None:
        return pod.SOURCE_FOLDER
    if (claim := source.persistent_volume_claim) is not None:
        return f"{pod.SOURCE_FOLDER}/{claim.path}" if claim.path else pod.SOURCE_FOLDER
    return None


def _build_data(wanted: Wanted) -> dict[str, str]:
    return write_plan(tuple(_build_row(row, wanted.spec.source) for row in wanted.cards))


def _build_row(row: CardPlan, source: Source) -> PlanRow:
    capability = row.card.compute_capability
    return PlanRow(
        card=PlannedCard(
            name=row.card.name,
            product_labels=product_labels(row),
            memory_bytes=row.card.memory_bytes,
            compute_capability=None if capability is None else "{}.{}".format(*capability),
        ),
        vllm_version=row.request.vllm_version,
        tensor_parallel_size=row.request.tensor_parallel_size,
        model=source_folder(source) or row.model_repository,
        needed_bytes=0 if row.card.is_cpu else row.budget.admissible_bytes,
        kv_cache_bytes=row.kv_cache_bytes,
        args=row.args,
        env=dict(row.env),
    )
