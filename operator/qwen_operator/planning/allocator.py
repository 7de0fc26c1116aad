"""What PyTorch's caching allocator makes of a tensor: why a model weighs more than its parameters.

vLLM loads with blocks above 20 MiB kept whole (``max_split_size``), so a large tensor takes its
segment's rounding with it, and a freed block may be taken again by a tensor up to 20 MiB smaller.
Sizes are bytes. Source: PyTorch, ``c10/cuda/CUDACachingAllocator.cpp``.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from qwen_operator.units import MIB

_GRAIN = 512
_SMALL = MIB
_MEDIUM = 10 * MIB
_LARGE = 20 * MIB
_SEGMENT = 2 * MIB


def block_bytes(size: int) -> int:
    """Bytes that a fresh tensor of ``size`` bytes occupies."""
    if size < _MEDIUM:
        return -(-size // _GRAIN) * _GRAIN
    remainder = -size % _SEGMENT
    kept_whole = size >= _LARGE or remainder <= _SMALL
    return size + (remainder if kept_whole else 0)


class LoadingAllocator:
    """Blocks above 20 MiB during a load that replaces tensors one after another."""

    def __init__(self) -> None:
        self._free: list[int] = []
        self.allocated_bytes = 0

    def allocate(self, size: int) -> int:
        """Take a block for ``size`` bytes, a freed one where it fits; return the block's bytes."""
        block = block_bytes(size)
        if size >= _LARGE:
            index = bisect_left(self._free, size)
            if index < len(self._free) and self._free[index] < size + _LARGE:
                block = self._free.pop(index)
        self.allocated_bytes += block
        return block

    def release(self, block: int) -> None:
        """Give a block back; it stays cached."""
        self.allocated_bytes -= block
        if block >= _LARGE:
            insort(self._free, block)
