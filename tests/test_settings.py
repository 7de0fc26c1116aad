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


def test_nodes_are_read_unless_only_namespaces_are_watched_or_it_is_said() -> None:
    assert read_settings({}).read_nodes
    watched = {"QWEN_OPERATOR_NAMESPACES": "a"}
    assert not read_settings(watched).read_nodes
    assert read_settings(watched | {"QWEN_OPERATOR_READ_NODES": "true"}).read_nodes


def test_a_flag_that_is_neither_true_nor_false_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="QWEN_OPERATOR_READ_NODES is 'perhaps'"):
        read_settings({"QWEN_OPERATOR_READ_NODES": "perhaps"})
