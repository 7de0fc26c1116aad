"""What a replica needs of its node beside the cards: CPU cores, main memory, shared memory."""

from __future__ import annotations

from dataclasses import dataclass

from qwen_operator.units import GIB

_PROCESS_BYTES = 4 * GIB
"""API server and engine core: imports, tokenizer, CUDA host allocations."""
_WORKER_BYTES = 3 * GIB
"""Each worker: its own CUDA host memory and one shard of weights on its way to the card."""
_CPU_BUILD_BYTES = 2 * GIB
"""Both processes of vLLM's CPU build: 1.1 GB were measured beside weights and KV cache."""
_CPU_BUILD_CORES = 1
"""It takes every core that is free; asking for more would keep it off small nodes."""
_SHARED_MEMORY_BYTES = 1 * GIB
_SHARED_MEMORY_PER_GPU_BYTES = 1 * GIB
"""NCCL's channels when GPUs talk through main memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostResources:
    """Requests of the model container."""

    cpu_cores: int
    memory_bytes: int
    """Includes shared memory, which Kubernetes counts as memory."""
    shared_memory_bytes: int


def plan_host(
    tensor_parallel_size: int, *, kv_offloading_gib: int, resident_bytes: int | None = None
) -> HostResources:
    """Resources of a replica; ``resident_bytes`` of weights and KV cache are in main memory when
    vLLM's CPU build serves, None when cards do.

    vLLM wants a core for the API server, one for the engine core and one for each worker.
    """
    if resident_bytes is not None:
        return HostResources(
            cpu_cores=_CPU_BUILD_CORES,
            memory_bytes=resident_bytes + _CPU_BUILD_BYTES + _SHARED_MEMORY_BYTES,
            shared_memory_bytes=_SHARED_MEMORY_BYTES,
        )
    shared = _SHARED_MEMORY_BYTES
    if tensor_parallel_size > 1:
        shared += tensor_parallel_size * _SHARED_MEMORY_PER_GPU_BYTES
    memory = _PROCESS_BYTES + tensor_parallel_size * _WORKER_BYTES + shared
    return HostResources(
        cpu_cores=2 + tensor_parallel_size,
        memory_bytes=memory + kv_offloading_gib * GIB,
        shared_memory_bytes=shared,
    )
