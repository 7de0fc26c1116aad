"""Quantities in the one form the API server keeps, so that 4000m and 4 are no difference."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Final

_BINARY: Final = {
    "Ei": 1 << 60,
    "Pi": 1 << 50,
    "Ti": 1 << 40,
    "Gi": 1 << 30,
    "Mi": 1 << 20,
    "Ki": 1 << 10,
}
"""Bytes, the largest first."""
_DECIMAL: Final = {"E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "": 0, "m": -3, "u": -6}
"""Powers of ten, the largest first."""
_NANO: Final = Fraction(1, 10**9)
"""The API server rounds what is finer than this up."""


def parse_quantity(text: str) -> Fraction:
    """Value of a quantity that the CRD has let pass."""
    number, suffix = _split(text)
    if suffix in _BINARY:
        return number * _BINARY[suffix]
    return number * Fraction(10) ** _DECIMAL[suffix]


def canonical_quantity(text: str) -> str:
    """The same quantity with the largest suffix that leaves a whole number."""
    return _format(parse_quantity(text), binary=_split(text)[1] in _BINARY)


def format_bytes_quantity(size_bytes: int) -> str:
    """Bytes as a quantity, for example 16Gi."""
    return _format(Fraction(size_bytes), binary=True)


def _format(exact: Fraction, *, binary: bool) -> str:
    nanos = math.ceil(exact / _NANO)
    value = nanos * _NANO
    if binary:
        for suffix, unit in _BINARY.items():
            if value and value % unit == 0:
                return f"{value / unit}{suffix}"
    # Without a binary suffix the API server takes the number for a decimal one.
    for suffix, power in _DECIMAL.items():
        scaled = value / Fraction(10) ** power
        if scaled and scaled.denominator == 1:
            return f"{scaled}{suffix}"
    return f"{nanos}n" if nanos else "0"


def _split(text: str) -> tuple[Fraction, str]:
    number, suffix = re.findall(r"^([0-9.]+)([A-Za-z]*)$", text)[0]
    return Fraction(number), suffix
