"""Bytes in words that a person reads."""

from typing import Final

GIB: Final = 1 << 30
MIB: Final = 1 << 20


def format_bytes(size: int) -> str:
    """``12.34 GiB``, or ``56.7 MiB`` below a tenth of a GiB."""
    if size < GIB // 10:
        return f"{size / MIB:.1f} MiB"
    return f"{size / GIB:.2f} GiB"
