"""Whatever reason a user meets has its paragraph."""

from __future__ import annotations

import re
from pathlib import Path

from qwen_contract.failure import FailureReason
from qwen_operator.api.conditions import ConditionReason

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"


def test_every_reason_has_one_paragraph_and_no_paragraph_is_for_nothing() -> None:
    headings = re.findall(r"^### (\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert sorted(headings) == sorted([*ConditionReason, *FailureReason])
