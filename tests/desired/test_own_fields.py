from __future__ import annotations

import pytest

from qwen_operator.desired.own_fields import own_fields
from tests.desired.examples import children_of, wanted
from tests.desired.live import apply, edit
from tests.desired.test_golden import CASES


@pytest.mark.parametrize("name", CASES)
def test_what_we_applied_is_found_again_among_defaults(name: str) -> None:
    desired = children_of(wanted(CASES[name]))["Deployment"]
    assert own_fields(apply(desired)) == desired


def test_what_somebody_else_changed_is_not_ours_any_more() -> None:
    desired = children_of(wanted())["Deployment"]
    live = edit(apply(desired), ("spec",), "replicas", 9)
    assert "replicas" not in own_fields(live)["spec"]


def test_what_others_own_is_left_out() -> None:
    desired = children_of(wanted())["Deployment"]
    owned = own_fields(apply(desired, manager="kubectl"))
    assert set(owned) == {"apiVersion", "kind", "metadata"}
    assert owned["metadata"] == {"name": "chat", "namespace": "models"}


def test_set_members_and_fields_of_several_records_are_picked() -> None:
    live = {
        "apiVersion": "v1",
        "kind": "Any",
        "metadata": {
            "name": "it",
            "managedFields": [
                {
                    "manager": "qwen-operator",
                    "operation": "Apply",
                    "fieldsV1": {"f:spec": {"f:set": {'v:"a"': {}}, "f:gone": {}}},
                },
                {
                    "manager": "qwen-operator",
                    "operation": "Apply",
                    "fieldsV1": {"f:spec": {"f:one": {}}},
                },
            ],
        },
        "spec": {"set": ["a", "b"], "one": 1, "two": 2},
    }
    assert own_fields(live)["spec"] == {"set": ["a"], "one": 1}
