"""The claim that keeps weights and compiled kernels when nobody names another."""

from __future__ import annotations

import math
from typing import Final

from qwen_operator import naming
from qwen_operator.api.v1alpha1 import CacheType
from qwen_operator.desired.metadata import Object, build_object
from qwen_operator.desired.quantities import (
    canonical_quantity,
    format_bytes_quantity,
    parse_quantity,
)
from qwen_operator.desired.wanted import Wanted
from qwen_operator.planning.result import CardPlan
from qwen_operator.planning.weights import SIXTEEN_BIT, stored_bytes, weight_tensors
from qwen_operator.units import GIB

_SPARE: Final = 1.25
"""Tokenizer, manifests, what a file system takes, and a shard that is fetched anew."""
_STEP_BYTES: Final = 10 * GIB
_COMPILE_CACHE_BYTES: Final = 10 * GIB
"""Kernels of a few plans and cards, a GiB or two each; older ones are kept for a way back."""


def build_volume_claim(wanted: Wanted) -> Object | None:
    """A claim of ours, or none when the cache is elsewhere, or nothing to keep exists yet."""
    if not wanted.owns_claim:
        return None
    size = _size(wanted)
    if size is None:
        return None
    existing, storage_class = wanted.existing_claim, wanted.spec.cache.storage_class_name
    spec: Object = {
        "accessModes": (
            list(existing.access_modes) if existing else [wanted.settings.claim_access_mode]
        ),
        "resources": {"requests": {"storage": size}},
    }
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    claim = build_object(
        wanted, "v1", "PersistentVolumeClaim", naming.cache_claim_name(wanted.name)
    )
    return claim | {"spec": spec}


def plan_cache_bytes(rows: tuple[CardPlan, ...]) -> int:
    """Room for the checkpoint of these rows and their compiled kernels."""
    weights = max(map(checkpoint_bytes, rows))
    return math.ceil(weights * _SPARE / _STEP_BYTES) * _STEP_BYTES + _COMPILE_CACHE_BYTES


def weights_quota_bytes(wanted: Wanted) -> int | None:
    """Most bytes of weights to keep in a cache of this pod's own; None where others share it."""
    cache = wanted.spec.cache
    if cache.type is CacheType.HOST_PATH or cache.claim_name is not None:
        return None
    whole = (
        plan_cache_bytes(wanted.rows)
        if cache.size is None
        else math.floor(parse_quantity(cache.size))
    )
    return whole - min(_COMPILE_CACHE_BYTES, whole // 2)


def _size(wanted: Wanted) -> str | None:
    asked, existing = wanted.spec.cache.size, wanted.existing_claim
    if asked is not None:
        size, size_bytes = canonical_quantity(asked), math.ceil(parse_quantity(asked))
    elif wanted.rows:
        size_bytes = plan_cache_bytes(wanted.rows)
        size = format_bytes_quantity(size_bytes)
    elif existing is None:
        return None
    else:
        size_bytes, size = 0, ""
    if existing is not None and existing.requested_bytes > size_bytes:
        return format_bytes_quantity(existing.requested_bytes)
    return size


def checkpoint_bytes(row: CardPlan) -> int:
    """Bytes on disk: those of all tensors, before they are divided, and converted, at load."""
    scheme = SIXTEEN_BIT if row.scheme.quantised_at_load else row.scheme
    return sum(
        tensor.copies * sum(stored_bytes(tensor, scheme))
        for tensor in weight_tensors(row.shape.geometry, 1)
    )
