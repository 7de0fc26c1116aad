"""The shape of a Qwen model, read from the ``config.json`` that Hugging Face publishes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qwen_operator.errors import InvalidInput

DENSE_MODEL_TYPES = frozenset({"qwen2", "qwen3"})
MOE_MODEL_TYPES = frozenset({"qwen2_moe", "qwen3_moe"})
HYBRID_MODEL_TYPES = frozenset({"qwen3_next", "qwen3_5_text", "qwen3_5_moe_text"})
VISION_MODEL_TYPES = frozenset({"qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe"})
"""Model types whose config nests the language model and adds a ``vision_config``."""

_SUPPORTED = DENSE_MODEL_TYPES | MOE_MODEL_TYPES | HYBRID_MODEL_TYPES | VISION_MODEL_TYPES
_TEXT_TYPE_OF_VISION = {
    "qwen2_5_vl": "qwen2",
    "qwen3_vl": "qwen3",
    "qwen3_vl_moe": "qwen3_moe",
    "qwen3_5": "qwen3_5_text",
    "qwen3_5_moe": "qwen3_5_moe_text",
}
_VOCABULARY_PADDING = 64
"""vLLM pads the vocabulary to a multiple of this (VocabParallelEmbedding)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Full (softmax) attention of one layer."""

    heads: int
    kv_heads: int
    head_dim: int
    rotary_dim: int
    bias: bool
    qk_norm: bool
    output_gate: bool
    """The query projection carries a gate of its own size (Qwen3-Next and later)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearAttention:
    """Gated DeltaNet of one layer: a state of fixed size instead of a growing KV cache."""

    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    conv_kernel: int
    ssm_state_bytes: int
    """Bytes per element of the recurrent state."""

    @property
    def conv_channels(self) -> int:
        """Channels of the short convolution: queries, keys and values."""
        return 2 * self.key_heads * self.key_dim + self.value_heads * self.value_dim


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """Mixture-of-experts FFN of one layer."""

    count: int
    active: int
    intermediate_size: int
    shared_intermediate_size: int
    """0 where there is no shared expert."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vision:
    """Vision tower of a vision-language model."""

    parameters: int
    depth: int
    hidden_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """What shapes the memory of a model. Sizes are elements, not bytes."""

    model_type: str
    hidden_size: int
    intermediate_size: int
    vocabulary: int
    """Rows of the embedding, padded as vLLM pads them."""
    tied_embeddings: bool
    full_attention_layers: int
    linear_attention_layers: int
    expert_layers: int
    attention: Attention
    linear_attention: LinearAttention | None
    experts: Experts | None
    vision: Vision | None
    max_position_embeddings: int
    rope_theta: float
    rope_extras: Mapping[str, Any]
    """Keys of ``rope_parameters`` that a new rope type must keep (multimodal, partial)."""

    @property
    def layers(self) -> int:
        """Transformer layers of either kind of attention."""
        return self.full_attention_layers + self.linear_attention_layers

    @property
    def dense_layers(self) -> int:
        """Layers whose FFN is one dense block."""
        return self.layers - self.expert_layers

    @property
    def is_hybrid(self) -> bool:
        """Whether some layers keep a recurrent state instead of a KV cache."""
        return self.linear_attention is not None


def parse_geometry(config: Mapping[str, Any]) -> Geometry:
    """Read a geometry from the dictionary of a ``config.json``.

    Raises `InvalidInput` when the config is of another architecture or lacks a key.
    """
    model_type = config.get("model_type")
    if model_type not in _SUPPORTED:
        raise InvalidInput(
            "config.json: model_type",
            model_type,
            "only Qwen architectures are planned (" + ", ".join(sorted(_SUPPORTED)) + ")",
            "use the config.json of a Qwen2.5 or newer Qwen language model",
        )
    nested = config.get("text_config")
    text: dict[str, Any] = {**config, **(nested if isinstance(nested, Mapping) else {})}
    text_type = _TEXT_TYPE_OF_VISION.get(str(model_type), str(model_type))
    layers = _positive(text, "num_hidden_layers")
    attention = _parse_attention(text, text_type)
    linear_layers = _linear_layers(text, layers) if text_type in HYBRID_MODEL_TYPES else 0
    experts = _parse_experts(text)
    dense_layers = _dense_layers(text, layers) if experts else layers
    rope = text.get("rope_parameters") or {}
    return Geometry(
        model_type=str(model_type),
        hidden_size=_positive(text, "hidden_size"),
        intermediate_size=_positive(text, "intermediate_size") if dense_layers else 0,
        vocabulary=_round_up(_positive(text, "vocab_size"), _VOCABULARY_PADDING),
        tied_embeddings=bool(config.get("tie_word_embeddings", text.get("tie_word_embeddings"))),
        full_attention_layers=layers - linear_layers,
        linear_attention_layers=linear_layers,
        expert_layers=layers - dense_layers,
        attention=attention,
        linear_attention=_parse_linear_attention(text) if linear_layers else None,
        experts=experts,
        vision=_parse_vision(config) if model_type in VISION_MODEL_TYPES else None,
        max_position_embeddings=_positive(text, "max_position_embeddings"),
        rope_theta=float(rope.get("rope_theta") or text.get("rope_theta") or 10_000.0),
        rope_extras={
            key: value
            for key, value in rope.items()
            if key.startswith("mrope_") or key == "partial_rotary_factor"
        },
    )


def _parse_attention(text: Mapping[str, Any], text_type: str) -> Attention:
    heads = _positive(text, "num_attention_heads")
    head_dim = _integer(text, "head_dim", default=_positive(text, "hidden_size") // heads)
    rope = text.get("rope_parameters") or {}
    rotary_share = rope.get("partial_rotary_factor", text.get("partial_rotary_factor", 1.0))
    return Attention(
        heads=heads,
        kv_heads=_integer(text, "num_key_value_heads", default=heads),
        head_dim=head_dim,
        rotary_dim=int(head_dim * float(rotary_share)),
        bias=text_type in {"qwen2", "qwen2_moe"},
        qk_norm=text_type not in {"qwen2", "qwen2_moe"},
        output_gate=text_type in HYBRID_MODEL_TYPES and bool(text.get("attn_output_gate", True)),
    )


def _parse_linear_attention(text: Mapping[str, Any]) -> LinearAttention:
    state_type = str(text.get("mamba_ssm_dtype") or text.get("torch_dtype") or "bfloat16")
    return LinearAttention(
        key_heads=_positive(text, "linear_num_key_heads"),
        value_heads=_positive(text, "linear_num_value_heads"),
        key_dim=_positive(text, "linear_key_head_dim"),
        value_dim=_positive(text, "linear_value_head_dim"),
        conv_kernel=_positive(text, "linear_conv_kernel_dim"),
        ssm_state_bytes=4 if state_type == "float32" else 2,
    )


def _linear_layers(text: Mapping[str, Any], layers: int) -> int:
    kinds = text.get("layer_types")
    if isinstance(kinds, list):
        return sum(kind == "linear_attention" for kind in kinds)
    return layers - layers // _integer(text, "full_attention_interval", default=4)


def _parse_experts(text: Mapping[str, Any]) -> Experts | None:
    if not text.get("num_experts"):
        return None
    return Experts(
        count=_positive(text, "num_experts"),
        active=_positive(text, "num_experts_per_tok"),
        intermediate_size=_positive(text, "moe_intermediate_size"),
        shared_intermediate_size=_integer(text, "shared_expert_intermediate_size", default=0),
    )


def _dense_layers(text: Mapping[str, Any], layers: int) -> int:
    """Layers of a mixture-of-experts model whose FFN is dense all the same."""
    step = _integer(text, "decoder_sparse_step", default=1)
    dense_only = set(text.get("mlp_only_layers") or ())
    return sum(layer in dense_only or (layer + 1) % step != 0 for layer in range(layers))


def _parse_vision(config: Mapping[str, Any]) -> Vision | None:
    vision = config.get("vision_config")
    if not isinstance(vision, Mapping):
        return None
    hidden, depth = _positive(vision, "hidden_size"), _positive(vision, "depth")
    intermediate = _positive(vision, "intermediate_size")
    out = _positive(vision, "out_hidden_size")
    patch = _integer(vision, "patch_size", default=16)
    merged = hidden * _integer(vision, "spatial_merge_size", default=2) ** 2
    block = 4 * hidden**2 + 2 * hidden * intermediate + intermediate + 9 * hidden
    merger = merged**2 + merged * out + 2 * merged + out + hidden
    patches = 3 * _integer(vision, "temporal_patch_size", default=2) * patch**2 * hidden
    positions = _integer(vision, "num_position_embeddings", default=0) * hidden
    mergers = 1 + len(vision.get("deepstack_visual_indexes") or ())
    return Vision(
        parameters=depth * block + patches + positions + mergers * merger,
        depth=depth,
        hidden_size=hidden,
    )


def _integer(config: Mapping[str, Any], key: str, *, default: int) -> int:
    return default if config.get(key) is None else _positive(config, key, least=0)


def _positive(config: Mapping[str, Any], key: str, *, least: int = 1) -> int:
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidInput(
            f"config.json: {key}",
            value,
            f"it must be an integer of at least {least}",
            "use the config.json that is published with the model",
        )
    return value


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step
