"""What the user asked for, written on the Deployment: a later pass tells by it what has changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from qwen_operator import naming
from qwen_operator.api.v1alpha1 import QwenDeploymentSpec
from qwen_operator.desired.plan_config_map import content_hash

_LONGEST_VALUE: Final = 120
"""Characters; a longer value is told by its hash, for an annotation has little room."""

Asked = Mapping[str, str]
"""Values by the path of their field, for example ``{"engine.maxNumSeqs": "16"}``."""


def write_asked(spec: QwenDeploymentSpec) -> str:
    """The spec as the text of an annotation.

    Without defaults, so that a field which only a later operator knows is no difference.
    """
    document = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    flat = {path: _shortened(value) for path, value in _flatten(document)}
    return json.dumps(flat, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read_asked(deployment: Mapping[str, Any]) -> Asked:
    """What `write_asked` wrote; empty when nothing legible is there."""
    try:
        asked = json.loads(deployment["metadata"]["annotations"][naming.ASKED_ANNOTATION])
    except (KeyError, TypeError, ValueError):
        return {}
    return asked if isinstance(asked, dict) else {}


def default_of(path: str) -> str:
    """What a field means that was left out, in the words of `write_asked`."""
    return _DEFAULTS.get(path, "unset")


def _flatten(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Leaves by their path; where order may matter, the whole list or affinity is one leaf."""
    for key, value in document.items():
        path = f"{prefix}{key}"
        if path in ("accelerators", "engine.env"):
            yield from ((f"{path}.{item['name']}", _facts_of(item)) for item in value)
        elif isinstance(value, Mapping) and not path.endswith(".affinity"):
            yield from _flatten(value, f"{path}.")
        elif value not in (None, [], {}):
            yield path, value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _facts_of(item: Mapping[str, Any]) -> str:
    facts = {key: value for key, value in item.items() if key != "name"}
    if set(facts) == {"value"}:
        return str(facts["value"])
    return json.dumps(facts, sort_keys=True) if facts else "listed"


def _shortened(value: str) -> str:
    return value if len(value) <= _LONGEST_VALUE else f"#{content_hash(value)}"


_DEFAULTS: Final[Asked] = dict(
    _flatten(QwenDeploymentSpec(model="none/none").model_dump(mode="json", by_alias=True))
)
