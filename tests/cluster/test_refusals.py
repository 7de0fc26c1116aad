from __future__ import annotations

from qwen_operator.cluster.api import explain_refusal


def test_what_is_forbidden_says_who_can_allow_it() -> None:
    said = explain_refusal(403, {"message": 'pods is forbidden: User "u" cannot list resource'})
    assert said.endswith("; whoever administers the cluster must grant it, as the chart's roles do")


def test_a_quota_is_no_missing_right() -> None:
    # It is answered with 403 too.
    message = 'services "x" is forbidden: exceeded quota: small'
    assert explain_refusal(403, {"message": message}) == message


def test_an_answer_without_a_message_is_told_as_it_is() -> None:
    assert explain_refusal(404, {"message": ""}, "404 page not found\n") == "404 page not found"
