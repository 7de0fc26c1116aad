"""Typed reading of a ``config.json``, whose mistakes end in one sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from qwen_operator.errors import InvalidInput

_MOST = 1 << 24
_WAY_OUT = "use the config.json that is published with the model"


class ConfigReader:
    """One object of a ``config.json``. Every method raises `InvalidInput` for a value of no sense.

    An absent key and ``null`` are the same.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def count(
        self, key: str, *, default: int | None = None, least: int = 1, most: int = _MOST
    ) -> int:
        """An integer from ``least`` to ``most``."""
        value = self.values.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self.complaint(key, f"it must be an integer of at least {least}")
        if value > most:
            raise self.complaint(key, f"it must be an integer of at most {most}")
        return value

    def number(self, key: str, *, default: float) -> float:
        """A positive number."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.complaint(key, "it must be a number")
        if not math.isfinite(value) or value <= 0:
            raise self.complaint(key, "it must be above 0")
        return float(value)

    def integers(self, key: str) -> frozenset[int]:
        """A list of integers; none where the key is absent."""
        value = self.values.get(key)
        if value is None:
            return frozenset()
        if not isinstance(value, list) or not all(isinstance(item, int) for item in value):
            raise self.complaint(key, "it must be a list of integers")
        return frozenset(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; none where the key is absent."""
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.complaint(key, "it must be a list of texts")
        return tuple(value)

    def section(self, key: str) -> ConfigReader:
        """An object inside this one; an empty one where the key is absent."""
        value = self.values.get(key)
        if value is None:
            return ConfigReader({})
        if not isinstance(value, Mapping):
            raise self.complaint(key, "it must be an object")
        return ConfigReader(value)

    def complaint(self, key: str, limit: str) -> InvalidInput:
        """The sentence about one key."""
        return InvalidInput(f"config.json: {key}", self.values.get(key), limit, _WAY_OUT)
