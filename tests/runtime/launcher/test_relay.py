"""vLLM's output arrives complete, in order, and whole lines at a time."""

from __future__ import annotations

import os
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_runtime.launcher.relay import Output, Relay


def relay(chunks: list[bytes]) -> tuple[bytes, tuple[str, ...]]:
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as file:
        lines: list[str] = []
        passing = Relay(reading, Output(file.fileno()), lines.append)
        for chunk in chunks:
            os.write(writing, chunk)
        passing.catch_up(10)
        told = b"".join(chunks).rstrip(b"\r\n").replace(b"\r", b"\n").rpartition(b"\n")[0]
        assert len(lines) >= len([line for line in told.split(b"\n") if line.strip()])
        os.close(writing)
        tail = passing.finish(10)
        os.close(reading)
        file.seek(0)
        assert tuple(lines[-2000:]) == tail
        return file.read(), tail


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=20))
def test_every_byte_arrives(chunks: list[bytes]) -> None:
    data = b"".join(chunks)
    passed, _ = relay(chunks)
    # A last line without an end gets one, for ours may follow.
    assert passed in (data, data + b"\n")


def test_lines_end_at_returns_too_as_progress_bars_write_them() -> None:
    _, lines = relay([b"0%\r50", b"%\r100%\n", b"\xff done"])
    assert lines == ("0%", "50%", "100%", "\ufffd done")
