"""The chart's values with what their comments say, read from values.yaml."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "charts" / "qwen-operator"


@dataclass(frozen=True)
class Value:
    """One leaf of values.yaml."""

    path: str
    default: Any
    comment: str


def read_values() -> Iterator[Value]:
    """Every leaf in the order of the file. A comment stands on the lines right above its key."""
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    path: list[str] = []
    comment: list[str] = []
    for line in (CHART / "values.yaml").read_text().splitlines():
        text = line.strip()
        if text.startswith("#"):
            comment.append(text.removeprefix("#").strip())
            continue
        key, colon, _ = text.partition(":")
        if not text or not colon:
            comment = []
            continue
        depth = (len(line) - len(line.lstrip())) // 2
        path[depth:] = [key]
        value = _at(defaults, path)
        inside = any(_is_given_whole(path[:length]) for length in range(1, len(path)))
        if not inside and (not isinstance(value, dict) or _is_given_whole(path)):
            yield Value(".".join(path), value, " ".join(comment))
        comment = []


def write_table() -> str:
    """The values as a table in Markdown."""
    rows = ["| value | default | meaning |", "| --- | --- | --- |"]
    for value in read_values():
        default = json.dumps(value.default).replace("|", "\\|")
        rows.append(f"| `{value.path}` | `{default}` | {value.comment} |")
    return "\n".join(rows)


def schema_at(path: list[str]) -> dict[str, Any]:
    """The schema of a value."""
    schema: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    for key in path:
        schema = schema["properties"][key]
    return schema


def _is_given_whole(path: list[str]) -> bool:
    """Whether it is one value although it has keys: labels and the like, and Kubernetes' own."""
    schema = schema_at(path)
    return path == ["resources"] or (
        schema.get("type") == "object" and schema.get("additionalProperties") is not False
    )


def _at(defaults: Any, path: list[str]) -> Any:
    for key in path:
        defaults = defaults[key]
    return defaults


if __name__ == "__main__":
    page = CHART.parents[1] / "docs" / "install.md"
    head, mark, _ = page.read_text().partition("<!-- values:")
    line = (mark + page.read_text().partition("<!-- values:")[2]).splitlines()[0]
    page.write_text(f"{head}{line}\n\n{write_table()}\n")
