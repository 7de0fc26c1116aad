from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_operator.planning.allocator import LoadingAllocator, block_bytes
from qwen_operator.units import MIB

sizes = st.integers(min_value=1, max_value=2048 * MIB)


@pytest.mark.parametrize(
    ("size", "block"),
    [
        (1, 512),
        (512, 512),
        (513, 1024),
        (10 * MIB - 1, 10 * MIB),
        (10 * MIB, 10 * MIB),
        (11 * MIB, 12 * MIB),
        (11 * MIB - 512, 11 * MIB - 512),
        (20 * MIB, 20 * MIB),
        (20 * MIB + 512, 22 * MIB),
        (49 * MIB, 50 * MIB),
    ],
)
def test_a_block_is_rounded_as_pytorch_rounds_it(size: int, block: int) -> None:
    assert block_bytes(size) == block


@given(sizes)
def test_a_block_holds_its_tensor_and_wastes_less_than_a_segment(size: int) -> None:
    assert size <= block_bytes(size) < size + 2 * MIB


@given(st.lists(sizes, max_size=30))
def test_what_is_allocated_is_the_sum_of_the_blocks(requested: list[int]) -> None:
    allocator = LoadingAllocator()
    blocks = [allocator.allocate(size) for size in requested]
    assert allocator.allocated_bytes == sum(blocks)
    for block in blocks:
        allocator.release(block)
    assert allocator.allocated_bytes == 0


def test_a_freed_block_is_taken_by_a_tensor_a_little_smaller() -> None:
    allocator = LoadingAllocator()
    block = allocator.allocate(64 * MIB)
    allocator.release(block)
    assert allocator.allocate(50 * MIB) == block
    assert allocator.allocate(50 * MIB) == 50 * MIB


def test_a_freed_block_is_not_taken_by_a_much_smaller_tensor() -> None:
    allocator = LoadingAllocator()
    allocator.release(allocator.allocate(64 * MIB))
    assert allocator.allocate(44 * MIB) == 44 * MIB
