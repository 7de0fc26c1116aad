"""Whether a safetensors file is whole, as far as its header tells; milliseconds for any size."""

from __future__ import annotations

import json
import struct
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

_LENGTH: Final = struct.Struct("<Q")
_LONGEST_HEADER_BYTES: Final = 100_000_000
"""The format's own limit."""


def find_flaw(file: Path) -> str | None:
    """What is wrong with the file, as half a sentence, or None."""
    file_bytes = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(_LENGTH.size)
        if len(start) < _LENGTH.size:
            return f"it has {file_bytes} bytes, too few for a header"
        (header_bytes,) = _LENGTH.unpack(start)
        if header_bytes > min(_LONGEST_HEADER_BYTES, file_bytes - _LENGTH.size):
            return f"its header claims {header_bytes} bytes of {file_bytes}"
        header = stream.read(header_bytes)
    return find_header_flaw(header, data_bytes=file_bytes - _LENGTH.size - header_bytes)


def find_header_flaw(header: bytes, *, data_bytes: int) -> str | None:
    """The tensors must cover the data from its first byte to its last, without gaps."""
    try:
        ranges = sorted(_ranges(json.loads(header)))
    except (KeyError, TypeError, ValueError, AttributeError):
        return "its header is damaged"
    end = 0
    for begin, next_end in ranges:
        if begin != end or next_end < begin:
            return f"its tensors leave a gap or overlap at byte {end} of the data"
        end = next_end
    if end != data_bytes:
        return f"its tensors need {end} bytes of data and it has {data_bytes}"
    return None


def _ranges(header: dict[str, Any]) -> list[tuple[int, int]]:
    ranges = []
    for name, tensor in header.items():
        if name != "__metadata__":
            begin, end = tensor["data_offsets"]
            ranges.append((int(begin), int(end)))
    return ranges


def read_index(text: str) -> frozenset[str]:
    """Names of the shards that an index lists. Raises ValueError."""
    try:
        weight_map = json.loads(text)["weight_map"]
        return frozenset(map(str, weight_map.values()))
    except (KeyError, TypeError, AttributeError):
        raise ValueError("it has no weight_map") from None


def find_missing_shards(listed: Collection[str], present: Collection[str]) -> tuple[str, ...]:
    """Shards of the index that are not there, in order."""
    return tuple(sorted(set(listed) - set(present)))
