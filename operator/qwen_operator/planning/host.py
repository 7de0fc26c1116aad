"""What a replica needs of its node beside the cards: CPU cores, main memory, shared memory."""

from __future__ import annotations

from dataclasses import dataclass

from qwen_operator.units import GIB

_PROCESS_BYTES = 4 * GIB
"""API server and engine core: imports, tokenizer, CUDA host allocations."""
_WORKER_BYTES = 3 * GIB
"""Each worker: its own CUDA host memory and one shard of weights on its way to the card."""
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
    tensor_parallel_size: int, *, kv_offloading_gib: int, cpu_resident_bytes: int = 0
) -> HostResources:
    """Resources of a replica; ``cpu_resident_bytes`` is what vLLM's CPU build keeps in memory.

    vLLM wants a core for the API server, one for the engine core and one for each worker.
    """
    shared = _SHARED_MEMORY_BYTES
    if tensor_parallel_size > 1:
        shared += tensor_parallel_size * _SHARED_MEMORY_PER_GPU_BYTES
    memory = _PROCESS_BYTES + tensor_parallel_size * _WORKER_BYTES + shared
    return HostResources(
        cpu_cores=2 + tensor_parallel_size,
        memory_bytes=memory + kv_offloading_gib * GIB + cpu_resident_bytes,
        shared_memory_bytes=shared,
    )
