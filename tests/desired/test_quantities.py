from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_operator.desired.quantities import (
    canonical_quantity,
    format_bytes_quantity,
    parse_quantity,
)

SUFFIXES = ["", "m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi"]
WRITTEN = st.builds(
    "{}{}{}".format,
    st.integers(1, 10**6),
    st.sampled_from(["", ".5", ".25", ".125"]),
    st.sampled_from(SUFFIXES),
)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("4000m", "4"),
        ("1500m", "1500m"),
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("1000Ki", "1000Ki"),
        ("1024", "1024"),
        ("5000000000", "5G"),
        ("0.0001m", "100n"),
        ("0.00000000001", "1n"),
        ("1024Pi", "1Ei"),
    ],
)
def test_a_quantity_is_written_as_the_api_server_keeps_it(written: str, kept: str) -> None:
    assert canonical_quantity(written) == kept


@given(WRITTEN)
def test_the_form_is_stable_and_the_value_stays(written: str) -> None:
    kept = canonical_quantity(written)
    assert parse_quantity(kept) == parse_quantity(written)
    assert canonical_quantity(kept) == kept


@given(st.integers(0, 1 << 62))
def test_bytes_keep_their_value(size: int) -> None:
    kept = format_bytes_quantity(size)
    assert parse_quantity(kept) == size
    assert canonical_quantity(kept) == kept
