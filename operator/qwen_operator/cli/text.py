"""Text for a terminal: wrapping, columns, bold."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

_MAX_WIDTH = 110


def width() -> int:
    """Columns to write: the terminal's, but not so many that lines become hard to follow."""
    return min(_MAX_WIDTH, shutil.get_terminal_size((_MAX_WIDTH, 24)).columns)


def wrap(text: str) -> list[str]:
    """Lines of at most the terminal's width; later ones stand two columns in."""
    indent = " " * (len(text) - len(text.lstrip())) + "  "
    return textwrap.wrap(
        text, width(), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def bold(text: str) -> str:
    """Bold on a terminal, plain elsewhere and where ``NO_COLOR`` is set."""
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        return f"\x1b[1m{text}\x1b[0m"
    return text


def columns(rows: Sequence[Sequence[str]], *, left: int) -> Iterator[str]:
    """Rows in columns, the first ``left`` of them flush left; the first row is a heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        cells = (
            cell.ljust(size) if index < left else cell.rjust(size)
            for index, (cell, size) in enumerate(zip(row, widths, strict=True))
        )
        line = "  ".join(cells).rstrip()
        yield bold(line) if number == 0 else line
