from __future__ import annotations

import pytest

from qwen_operator.errors import InvalidInput
from qwen_operator.settings import read_settings


def test_every_setting_has_a_default() -> None:
    settings = read_settings({})
    assert settings.namespaces == ()
    assert settings.children.gpu_image.startswith("vllm/vllm-openai:v0.")


def test_namespaces_are_separated_by_commas() -> None:
    assert read_settings({"QWEN_OPERATOR_NAMESPACES": "a, b,"}).namespaces == ("a", "b")


@pytest.mark.parametrize("given", ["x", "0", "-1", "nan", "inf"])
def test_a_number_that_is_none_is_refused_by_name(given: str) -> None:
    with pytest.raises(InvalidInput, match=f"QWEN_OPERATOR_WORKERS is '{given}'"):
        read_settings({"QWEN_OPERATOR_WORKERS": given})


def test_leader_election_is_off_unless_asked_for() -> None:
    assert not read_settings({}).leader_election
    assert read_settings({"QWEN_OPERATOR_LEADER_ELECTION": "true"}).leader_election
    with pytest.raises(InvalidInput, match="QWEN_OPERATOR_LEADER_ELECTION is 'yes'"):
        read_settings({"QWEN_OPERATOR_LEADER_ELECTION": "yes"})
