from __future__ import annotations

import pytest

from qwen_operator.cli.chat_command import read_answer
from qwen_operator.cli.kubectl import KubectlFailed


def test_the_pieces_of_a_stream_are_its_text_thoughts_included() -> None:
    lines = [
        'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}',
        "",
        'data: {"choices": [{"delta": {"reasoning": "hm "}}]}',
        'data: {"choices": [{"delta": {"content": "blue"}}]}',
        'data: {"choices": []}',
        "data: [DONE]",
    ]
    assert "".join(read_answer(lines)) == "hm blue"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"error": {"message": "too long"}}', "too long"),
        ('data: {"error": "gone"}', "gone"),
        ("<html>", "no stream of events: <html>"),
    ],
)
def test_an_error_in_place_of_an_answer_is_one_sentence(line: str, said: str) -> None:
    with pytest.raises(KubectlFailed, match=said):
        list(read_answer([line]))
