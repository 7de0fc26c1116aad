from __future__ import annotations

import json

import pytest

from qwen_operator.catalog.models import model_names
from qwen_operator.cli.main import main


def test_every_model_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "-o", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [each["model"] for each in listed] == list(model_names())
    assert all("fp8" in each["precisions"] for each in listed)


def test_a_part_of_a_name_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "qwen3-8b"]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["MODEL", "CONTEXT", "YARN", "PRECISIONS", "LICENCE"]
    (line,) = (each for each in lines if each.startswith("Qwen/Qwen3-8B "))
    assert "32,768" in line
    assert "int4" in line
