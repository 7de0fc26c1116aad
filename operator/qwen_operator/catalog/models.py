"""The Qwen models the planner knows by name, and any other that comes with its ``config.json``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatch
from functools import cache
from typing import Any

from qwen_operator.api.enums import Precision
from qwen_operator.catalog.checkpoints import (
    Checkpoint,
    CheckpointFormat,
    parse_checkpoint,
    sixteen_bit_parts,
)
from qwen_operator.catalog.config_reader import ConfigReader
from qwen_operator.catalog.data import load_data
from qwen_operator.catalog.geometry import Geometry, parse_geometry
from qwen_operator.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model, whatever its precision."""

    name: str
    geometry: Geometry
    native_context_length: int
    """Longest request, in tokens, without rope scaling."""
    yarn_context_length: int | None
    """Longest request with YaRN; None where the model card gives none."""
    checkpoints: Mapping[Precision, Checkpoint]
    """Weights that exist, by the precision a user names; a 16-bit one stands under ``bf16``."""
    tool_call_parser: str | None = None
    reasoning_parser: str | None = None
    licence: str | None = None
    unverified: str | None = None
    """What nobody has checked against the published repository."""

    @property
    def context_limit(self) -> int:
        """Longest request the model takes at all."""
        return max(self.native_context_length, self.yarn_context_length or 0)


def find_model(name: str) -> Model:
    """The catalogue's model of this repository name.

    By the name of an official quantised checkpoint the model has only that one. Raises
    `InvalidInput` for a name that is not in the catalogue, with the nearest ones, and for a model
    that is no generative language model.
    """
    entries = _entries()
    entry = entries.get(name.lower())
    if entry is not None:
        return _only_checkpoint(_parse_model(entry), name)
    for refusal in load_data("models.yaml")["refused"]:
        if fnmatch(name.lower(), f"*{refusal['pattern'].lower()}"):
            raise InvalidInput(
                "model",
                name,
                f"it is {refusal['reason']}",
                "only generative Qwen language and vision-language models are served",
            )
    nearest = _nearest(name.lower(), entries)
    names = dict.fromkeys(entries[key]["name"] for key in nearest)
    hint = "use one of " + ", ".join(names) if names else ""
    raise InvalidInput(
        "model",
        name,
        "the catalogue does not have it",
        (hint + ", or " if hint else "") + "plan it from its own file with --config-json",
    )


def _nearest(name: str, names: Collection[str]) -> list[str]:
    """Names that continue this one, then names that look like it."""
    short = name.rpartition("/")[2]
    continued = [each for each in names if each.rpartition("/")[2].startswith(short)]
    alike = get_close_matches(name, names, n=3, cutoff=0.5)
    return list(dict.fromkeys([*continued[:3], *alike]))[:3]


def _only_checkpoint(model: Model, name: str) -> Model:
    for precision, checkpoint in model.checkpoints.items():
        if precision is not Precision.BF16 and checkpoint.repository.lower() == name.lower():
            return replace(model, name=checkpoint.repository, checkpoints={precision: checkpoint})
    return model


def model_names() -> tuple[str, ...]:
    """Names of all models of the catalogue, in its order."""
    return tuple(entry["name"] for entry in load_data("models.yaml")["models"])


def model_from_config(name: str, config: Mapping[str, Any], *, folder: str | None = None) -> Model:
    """A model of a Qwen architecture from its ``config.json``; ``folder`` is where it lies."""
    checkpoint = parse_checkpoint(folder or name, config)
    return Model(
        name=name,
        geometry=checkpoint.geometry,
        native_context_length=checkpoint.geometry.max_position_embeddings,
        yarn_context_length=None,
        checkpoints={checkpoint.format.precision: checkpoint},
    )


def inherit_parsers(model: Model) -> Model:
    """The same with the parsers of the catalogue's model of this name, if there is one."""
    entry = _entries().get(model.name.lower())
    if entry is None:
        return model
    return replace(
        model,
        tool_call_parser=entry.get("toolCallParser"),
        reasoning_parser=entry.get("reasoningParser"),
    )


@cache
def _entries() -> Mapping[str, Mapping[str, Any]]:
    entries: dict[str, Mapping[str, Any]] = {}
    for entry in load_data("models.yaml")["models"]:
        entries[entry["name"].lower()] = entry
        for checkpoint in entry.get("checkpoints", {}).values():
            entries.setdefault(checkpoint["repository"].lower(), entry)
    return entries


def _parse_model(entry: Mapping[str, Any]) -> Model:
    config = _merge(load_data("models.yaml")["geometries"][entry["geometry"]], entry.get("config"))
    sixteen_bit = parse_checkpoint(entry["name"], config)
    checkpoints = {Precision.BF16: sixteen_bit}
    for precision, published in entry.get("checkpoints", {}).items():
        own_config = published.get("config")
        checkpoints[Precision(precision)] = Checkpoint(
            repository=published["repository"],
            format=CheckpointFormat(published["format"]),
            geometry=parse_geometry(_merge(config, own_config))
            if own_config
            else sixteen_bit.geometry,
            sixteen_bit_parts=sixteen_bit_parts(
                sixteen_bit.geometry, ConfigReader(own_config or {}).section("quantization_config")
            ),
        )
    return Model(
        name=entry["name"],
        geometry=sixteen_bit.geometry,
        native_context_length=entry["contextLength"],
        yarn_context_length=entry.get("yarnContextLength"),
        checkpoints=checkpoints,
        tool_call_parser=entry.get("toolCallParser"),
        reasoning_parser=entry.get("reasoningParser"),
        licence=entry.get("licence"),
        unverified=entry.get("unverified"),
    )


def _merge(base: Mapping[str, Any], overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    merged = dict(base)
    for key, value in (overrides or {}).items():
        nested = merged.get(key)
        merged[key] = _merge(nested, value) if isinstance(nested, Mapping) else value
    return merged
