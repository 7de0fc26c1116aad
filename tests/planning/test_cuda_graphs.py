from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_operator.planning.cuda_graphs import (
    MAX_CAPTURE_SIZE,
    capture_sizes,
    full_graphs,
    max_capture_size,
)

batches = st.integers(min_value=1, max_value=4096)


@pytest.mark.parametrize(
    ("max_num_seqs", "largest"), [(1, 2), (8, 16), (200, 400), (256, 512), (4096, 512)]
)
def test_vllm_captures_twice_the_requests_up_to_its_ceiling(
    max_num_seqs: int, largest: int
) -> None:
    assert max_capture_size(max_num_seqs) == largest


def test_the_default_batch_has_the_known_numbers_of_graphs() -> None:
    assert len(capture_sizes(512)) == 51
    assert full_graphs(256, 512) == 35


@pytest.mark.parametrize(
    ("largest", "sizes"),
    [
        (1, (1,)),
        (2, (1, 2)),
        (3, (1, 2)),
        (8, (1, 2, 4, 8)),
        (31, (1, 2, 4, 8, 16, 24)),
    ],
)
def test_small_batches_are_captured_one_two_four_and_by_eights(
    largest: int, sizes: tuple[int, ...]
) -> None:
    assert capture_sizes(largest) == sizes


def test_large_batches_are_captured_by_sixteens() -> None:
    assert capture_sizes(300)[-4:] == (248, 256, 272, 288)


@given(batches)
def test_sizes_rise_from_one_to_the_largest(largest: int) -> None:
    sizes = capture_sizes(largest)
    assert sizes[0] == 1
    assert list(sizes) == sorted(set(sizes))
    assert largest - 16 < sizes[-1] <= largest


@given(batches, batches)
def test_no_more_full_graphs_than_sizes(max_num_seqs: int, largest: int) -> None:
    graphs = full_graphs(max_num_seqs, largest)
    assert 1 <= graphs <= len(capture_sizes(largest))
    if max_num_seqs >= largest:
        assert graphs == len(capture_sizes(largest))


@given(batches)
def test_the_ceiling_is_never_passed(max_num_seqs: int) -> None:
    assert max_capture_size(max_num_seqs) <= MAX_CAPTURE_SIZE
