"""The part of a live object that we applied, told by the API server's record of who owns what.

A live object also holds defaults and what others have written; compared with what we want, these
would look like differences.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from qwen_operator import naming

Fields = Mapping[str, Any]


def own_fields(live: Mapping[str, Any], manager: str = naming.FIELD_MANAGER) -> dict[str, Any]:
    """What ``manager`` applied to ``live`` and still owns, with the values that are there now.

    A field that somebody else has changed is no longer ours, so it is missing. Type, name and
    namespace are always there, for no record mentions them.
    """
    entries = live.get("metadata", {}).get("managedFields") or ()
    owned: dict[str, Any] = {}
    for entry in entries:
        is_ours = entry.get("manager") == manager and entry.get("operation") == "Apply"
        if is_ours and not entry.get("subresource"):
            owned = _merge(owned, entry.get("fieldsV1") or {})
    picked = _pick(live, owned) if owned else {}
    metadata = {
        key: live["metadata"][key] for key in ("name", "namespace") if key in live["metadata"]
    }
    return {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        **picked,
        "metadata": {**metadata, **picked.get("metadata", {})},
    }


def _pick(value: Any, fields: Fields) -> Any:
    inner = {key: sub for key, sub in fields.items() if key != "."}
    if not inner:
        return value
    if isinstance(value, Mapping):
        names = {key.removeprefix("f:"): sub for key, sub in inner.items()}
        return {name: _pick(value[name], sub) for name, sub in names.items() if name in value}
    if isinstance(value, list):
        return _pick_items(value, inner)
    return value


def _pick_items(items: list[Any], fields: Fields) -> list[Any]:
    """Items by their keys (``k:``), or by their value in a set (``v:``), in the live order."""
    wanted = [(key[0], json.loads(key[2:]), sub) for key, sub in fields.items()]
    return [
        _pick(item, sub)
        for item in items
        for kind, key, sub in wanted
        if (kind == "v" and item == key)
        or (kind == "k" and all(item.get(name) == value for name, value in key.items()))
    ]


def _merge(base: Fields, other: Fields) -> dict[str, Any]:
    merged = dict(base)
    for key, sub in other.items():
        merged[key] = _merge(merged.get(key, {}), sub)
    return merged
