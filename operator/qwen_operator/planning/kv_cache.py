"""The exact half of the plan: what a number of KV cache bytes holds.

The arithmetic is vLLM's own (``v1/kv_cache_interface.py``, ``v1/core/kv_cache_utils.py`` and, for
hybrid models, ``platforms/interface.py``), so a pool of N bytes gives the token count and the
concurrency that vLLM logs, not an estimate of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from qwen_operator.api.enums import KvCacheDtype
from qwen_operator.catalog.geometry import Geometry, LinearAttention

ATTENTION_BLOCK_TOKENS = 16
"""vLLM's default block on a GPU; a hybrid's block is the multiple of it that holds a state."""

CPU_BLOCK_TOKENS = 128
"""The default block of vLLM's CPU build."""

NULL_BLOCKS = 1
"""Blocks of the pool that no request may use."""

_CONV_STATE_BYTES = 2
_SCALE_BYTES_PER_TOKEN_HEAD = 8
"""Float32 scales of K and V that the per-token-head formats keep beside every head of a token."""


_ELEMENT_BITS = {
    KvCacheDtype.AUTO: 16,
    KvCacheDtype.BFLOAT16: 16,
    KvCacheDtype.FLOAT16: 16,
    KvCacheDtype.FP8: 8,
    KvCacheDtype.FP8_E5M2: 8,
    KvCacheDtype.INT8_PER_TOKEN_HEAD: 8,
    KvCacheDtype.FP8_PER_TOKEN_HEAD: 8,
    KvCacheDtype.INT4_PER_TOKEN_HEAD: 4,
}


@dataclass(frozen=True, slots=True)
class KvCacheLayout:
    """How vLLM cuts its pool into blocks for one model on one GPU."""

    block_tokens: int
    bytes_per_block: int
    state_blocks_per_request: int
    """Blocks a running request pins for recurrent state, whatever its length; 0 if not hybrid."""

    def blocks(self, kv_cache_bytes: int) -> int:
        """Blocks that a pool of this size has."""
        return max(0, kv_cache_bytes) // self.bytes_per_block

    def blocks_per_request(self, tokens: int) -> int:
        """Blocks that one request of this length takes."""
        return -(-tokens // self.block_tokens) + self.state_blocks_per_request

    def bytes_for_request(self, tokens: int) -> int:
        """Smallest pool that admits one request of this length."""
        return (self.blocks_per_request(tokens) + NULL_BLOCKS) * self.bytes_per_block

    def max_concurrency(self, kv_cache_bytes: int, tokens: int) -> float:
        """Requests of this length that fit at once, as vLLM logs it (null block not deducted)."""
        return self.blocks(kv_cache_bytes) / self.blocks_per_request(tokens)

    def tokens(self, kv_cache_bytes: int, max_model_len: int) -> int:
        """The pool's size in tokens as vLLM logs it."""
        blocks = self.blocks(kv_cache_bytes)
        return blocks * max_model_len // self.blocks_per_request(max_model_len)

    def longest_request(self, kv_cache_bytes: int) -> int:
        """Longest request, in tokens, that a pool of this size admits; 0 if none."""
        blocks = self.blocks(kv_cache_bytes) - NULL_BLOCKS - self.state_blocks_per_request
        return max(0, blocks) * self.block_tokens


def kv_cache_layout(
    geometry: Geometry,
    *,
    tensor_parallel_size: int,
    dtype: KvCacheDtype,
    prefix_caching: bool,
    block_tokens: int = ATTENTION_BLOCK_TOKENS,
) -> KvCacheLayout:
    """Blocks of one GPU's pool for this model, precision of the cache and tensor parallelism.

    ``block_tokens`` is the smallest block the attention kernel takes.
    """
    attention = geometry.attention
    kv_heads = attention.kv_heads_per_gpu(tensor_parallel_size)
    token_bits = 2 * attention.head_dim * _ELEMENT_BITS[dtype]
    if dtype.name.endswith("PER_TOKEN_HEAD"):
        token_bits += 8 * _SCALE_BYTES_PER_TOKEN_HEAD
    token_bytes = kv_heads * token_bits // 8
    state_blocks = 0
    if (linear := geometry.linear_attention) is not None:
        state_page = state_page_bytes(linear, tensor_parallel_size)
        per_block = token_bytes * block_tokens
        block_tokens *= -(-state_page // per_block)
        groups = -(-geometry.linear_attention_layers // geometry.full_attention_layers)
        # Prefix caching keeps the state at the last block boundary beside the running one.
        state_blocks = groups * (2 if prefix_caching else 1)
    return KvCacheLayout(
        block_tokens=block_tokens,
        bytes_per_block=geometry.full_attention_layers * block_tokens * token_bytes,
        state_blocks_per_request=state_blocks,
    )


def state_page_bytes(linear: LinearAttention, tensor_parallel_size: int) -> int:
    """Recurrent state of one request in one Gated DeltaNet layer on one GPU."""
    convolution = linear.conv_channels // tensor_parallel_size * (linear.conv_kernel - 1)
    heads = linear.value_heads // tensor_parallel_size
    return (
        convolution * _CONV_STATE_BYTES
        + heads * linear.key_dim * linear.value_dim * linear.ssm_state_bytes
    )
