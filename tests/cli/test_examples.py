"""Every example is planned, and says how to ask it something."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwen_operator.cli.main import main

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_fits_some_card_and_has_a_line_to_ask_it(file: Path) -> None:
    assert main(["plan", "-f", str(file)]) == 0
    text = file.read_text()
    name = text.split("\n  name: ")[1].split()[0]
    assert f"curl http://{name}/v1/chat/completions" in text
