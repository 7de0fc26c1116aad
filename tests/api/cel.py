"""The part of the API server that the tests need: defaults, and CEL rules by cel-python."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

import celpy
from celpy import celtypes

Json = Any


def _split(text: celtypes.StringType, separator: celtypes.StringType) -> celtypes.ListType:
    return celtypes.ListType([celtypes.StringType(part) for part in text.split(separator)])


_UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "G": 10**9, "T": 10**12}


def _quantity(text: celtypes.StringType) -> celtypes.DoubleType:
    unit = next((each for each in _UNITS if text.endswith(each)), "")
    return celtypes.DoubleType(float(text.removesuffix(unit)) * _UNITS.get(unit, 1))


def _compare_to(one: celtypes.DoubleType, other: celtypes.DoubleType) -> celtypes.IntType:
    return celtypes.IntType((one > other) - (one < other))


# Kubernetes brings these to CEL; cel-python knows only the language itself.
_KUBERNETES_LIBRARY = {"split": _split, "quantity": _quantity, "compareTo": _compare_to}


# Made at import, because it changes the recursion limit, which Hypothesis minds in a test.
_ENVIRONMENT = celpy.Environment()


@cache
def _program(expression: str) -> celpy.Runner:
    return _ENVIRONMENT.program(_ENVIRONMENT.compile(expression), functions=_KUBERNETES_LIBRARY)


def holds(expression: str, document: Json, old: Json = None) -> bool:
    """Evaluate one rule."""
    context = {"self": celpy.json_to_cel(document)}
    if old is not None:
        context["oldSelf"] = celpy.json_to_cel(old)
    return bool(_program(expression).evaluate(context))


def with_defaults(schema: Json, document: Json) -> Json:
    """Fill in defaults as the API server does."""
    if isinstance(document, list):
        return [with_defaults(schema.get("items", {}), each) for each in document]
    if not isinstance(document, dict):
        return document
    filled = dict(document)
    for name, inner in schema.get("properties", {}).items():
        if name not in filled and "default" in inner:
            filled[name] = deepcopy(inner["default"])
        if name in filled:
            filled[name] = with_defaults(inner, filled[name])
    return filled


def broken_messages(schema: Json, document: Json) -> set[str]:
    """Collect the messages of every rule that a document with defaults breaks, at any depth."""
    broken = {
        each["message"]
        for each in schema.get("x-kubernetes-validations", ())
        if "oldSelf" not in each["rule"] and not holds(each["rule"], document)
    }
    if isinstance(document, list):
        return broken.union(*(broken_messages(schema.get("items", {}), each) for each in document))
    if isinstance(document, dict):
        inner = schema.get("properties", {})
        return broken.union(
            *(
                broken_messages(inner[name], each)
                for name, each in document.items()
                if name in inner
            )
        )
    return broken
