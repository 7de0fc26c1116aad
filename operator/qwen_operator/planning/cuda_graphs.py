"""Batch sizes that vLLM captures CUDA graphs for (``config/vllm.py``)."""

from __future__ import annotations

from functools import cache

MAX_CAPTURE_SIZE = 512


def max_capture_size(max_num_seqs: int) -> int:
    """Largest captured batch, in tokens, that vLLM chooses by itself."""
    return min(2 * max_num_seqs, MAX_CAPTURE_SIZE)


@cache
def capture_sizes(largest: int) -> tuple[int, ...]:
    """Captured batches up to ``largest``: 1, 2, 4, then steps of 8, from 256 on steps of 16."""
    sizes = (1, 2, 4, *range(8, 256, 8), *range(256, largest + 1, 16))
    return tuple(size for size in sizes if size <= largest)


@cache
def full_graphs(max_num_seqs: int, largest: int) -> int:
    """Captured batches of decode alone, one whole-model (FULL) graph each."""
    return sum(size <= max_num_seqs for size in capture_sizes(largest))
