"""Logs of real starts and ends of vLLM; the first line of each says how it was made."""

import re
from pathlib import Path

FOLDER = Path(__file__).with_name("recorded")


def recorded_lines(name: str) -> list[str]:
    """The log, without the line that says how it was made."""
    return (FOLDER / f"{name}.log").read_text().splitlines()[1:]


def recorded_status(name: str) -> int:
    """What vLLM ended with."""
    header = (FOLDER / f"{name}.log").read_text().splitlines()[0]
    found = re.search(r"Ended with status (-?\d+)", header)
    assert found
    return int(found[1])
