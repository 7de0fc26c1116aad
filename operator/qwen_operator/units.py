"""Bytes and tokens in words that a person reads."""

GIB = 1 << 30
MIB = 1 << 20


def format_bytes(size: int) -> str:
    """``12.34 GiB``, or ``56 MiB`` below a tenth of a GiB."""
    if abs(size) < GIB // 10:
        return f"{size / MIB:.0f} MiB"
    return f"{size / GIB:.2f} GiB"
