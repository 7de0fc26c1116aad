"""SHA256SUMS, as sha256sum writes it."""

from __future__ import annotations

import re
from typing import Final

SUMS_FILE: Final = "SHA256SUMS"
_LINE: Final = re.compile(r"([0-9a-f]{64}) [ *](?:\./)?(.+)")


def read_sums(text: str) -> dict[str, str]:
    """Hash by file name. Raises ValueError with the line that is none."""
    sums = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            if (match := _LINE.fullmatch(line.rstrip())) is None:
                raise ValueError(f"line {number} is not a hash and a file name")
            sums[match[2]] = match[1]
    return sums
