"""From a workload profile to batch limits: how many requests, how many tokens a step, offload."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from qwen_operator.api.enums import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a profile asks of the engine where the user does not say."""

    max_num_seqs: tuple[int, ...]
    """Candidates, the most wished for first; the first whose requests fit the pool wins."""
    max_num_batched_tokens: int
    kv_offloading_gib: int
    typical_request_tokens: int
    """Prompt and answer of a usual request, which concurrency is judged by."""
    sentence: str


WORKLOADS = MappingProxyType(
    {
        Profile.INTERACTIVE: Workload(
            max_num_seqs=(8, 4, 2, 1),
            max_num_batched_tokens=2048,
            kv_offloading_gib=0,
            typical_request_tokens=4096,
            sentence="one interactive user: few requests at a time leave memory to the KV cache",
        ),
        Profile.MANY_USERS: Workload(
            max_num_seqs=(256, 128, 64, 32, 16, 8, 4, 2, 1),
            max_num_batched_tokens=2048,
            kv_offloading_gib=0,
            typical_request_tokens=1024,
            sentence="many users: as many requests at a time as the KV cache can hold",
        ),
        Profile.LONG_DOCUMENTS: Workload(
            max_num_seqs=(4, 2, 1),
            max_num_batched_tokens=4096,
            kv_offloading_gib=16,
            typical_request_tokens=32768,
            sentence="long documents: few requests, larger prefill steps, KV cache offloaded to "
            "main memory so that a document is read once",
        ),
    }
)
"""The one place that says what a profile means."""
