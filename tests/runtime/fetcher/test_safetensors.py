import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2e.models.tiny_qwen3 import pack_safetensors
from qwen_runtime.fetcher.safetensors import find_flaw, find_header_flaw, read_index

WHOLE = pack_safetensors(
    {"a": np.zeros(8, dtype=np.float32), "b": np.zeros((2, 3), dtype=np.float32)}
)


def flaw_of(folder: Path, content: bytes) -> str | None:
    file = folder / "model.safetensors"
    file.write_bytes(content)
    return find_flaw(file)


def test_a_whole_file_has_no_flaw(tmp_path: Path) -> None:
    assert flaw_of(tmp_path, WHOLE) is None


@pytest.mark.parametrize(
    ("content", "flaw"),
    [
        (b"", "too few for a header"),
        (WHOLE[:-1], "its tensors need 56 bytes of data and it has 55"),
        (WHOLE + b"\0", "its tensors need 56 bytes of data and it has 57"),
        (WHOLE[:20], "its header claims"),
        (struct.pack("<Q", 1 << 62) + b"{}", "its header claims"),
        (struct.pack("<Q", 2) + b"[]", "its header is damaged"),
        (struct.pack("<Q", 9) + b'{"a": {}}', "its header is damaged"),
        (b"<html><body>Please log in</body></html>", "its header claims"),
    ],
)
def test_a_damaged_file_is_told_from_its_header(tmp_path: Path, content: bytes, flaw: str) -> None:
    assert flaw in (flaw_of(tmp_path, content) or "")


def test_tensors_must_not_leave_a_gap() -> None:
    header = {"a": {"data_offsets": [0, 4]}, "b": {"data_offsets": [8, 12]}}
    assert "at byte 4" in (find_header_flaw(json.dumps(header).encode(), data_bytes=12) or "")


@given(st.binary(max_size=200))
def test_any_bytes_for_a_header_give_an_answer(header: bytes) -> None:
    find_header_flaw(header, data_bytes=10)


@pytest.mark.parametrize("text", ["[]", "{}", '{"weight_map": 3}'])
def test_an_index_without_a_map_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="it has no weight_map"):
        read_index(text)
