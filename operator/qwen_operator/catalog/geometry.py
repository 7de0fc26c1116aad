"""The shape of a Qwen model, read from the ``config.json`` that Hugging Face publishes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qwen_operator.catalog.config_reader import ConfigReader
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
_MOST_LAYERS = 1024
_DEFAULT_ROPE_THETA = 10_000.0
_DEFAULT_FULL_ATTENTION_INTERVAL = 4
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

    def kv_heads_per_gpu(self, tensor_parallel_size: int) -> int:
        """KV heads on one GPU: divided, or repeated where there are fewer than GPUs."""
        return max(1, self.kv_heads // tensor_parallel_size)


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
    rope_extras: Mapping[str, Any] = field(hash=False)
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

    Raises `InvalidInput` when the config is of another architecture, lacks a key or makes no sense.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in _SUPPORTED:
        raise InvalidInput(
            "config.json: model_type",
            model_type,
            "only Qwen architectures are planned (" + ", ".join(sorted(_SUPPORTED)) + ")",
            "use the config.json of a Qwen2.5 or newer Qwen language model",
        )
    outer = ConfigReader(config)
    text = ConfigReader({**config, **outer.section("text_config").values})
    text_type = _TEXT_TYPE_OF_VISION.get(model_type, model_type)
    layers = text.count("num_hidden_layers", most=_MOST_LAYERS)
    linear_layers = _linear_layers(text, layers) if text_type in HYBRID_MODEL_TYPES else 0
    experts = _parse_experts(text)
    dense_layers = _dense_layers(text, layers) if experts else layers
    rope = _rope(text)
    attention = _parse_attention(text, text_type, rope)
    return Geometry(
        model_type=model_type,
        hidden_size=text.count("hidden_size"),
        intermediate_size=text.count("intermediate_size") if dense_layers else 0,
        vocabulary=_round_up(text.count("vocab_size"), _VOCABULARY_PADDING),
        tied_embeddings=bool(text.values.get("tie_word_embeddings")),
        full_attention_layers=layers - linear_layers,
        linear_attention_layers=linear_layers,
        expert_layers=layers - dense_layers,
        attention=attention,
        linear_attention=_parse_linear_attention(text) if linear_layers else None,
        experts=experts,
        vision=_parse_vision(outer, model_type) if model_type in VISION_MODEL_TYPES else None,
        max_position_embeddings=text.count("max_position_embeddings"),
        rope_theta=rope.number(
            "rope_theta", default=text.number("rope_theta", default=_DEFAULT_ROPE_THETA)
        ),
        rope_extras=_rope_extras(attention, rope),
    )


def _rope(text: ConfigReader) -> ConfigReader:
    """Rotary settings, by their name in newer or in older configs."""
    return text.section("rope_parameters" if "rope_parameters" in text.values else "rope_scaling")


def _rope_extras(attention: Attention, rope: ConfigReader) -> Mapping[str, Any]:
    extras = {key: value for key, value in rope.values.items() if key.startswith("mrope_")}
    if attention.rotary_dim != attention.head_dim:
        extras["partial_rotary_factor"] = attention.rotary_dim / attention.head_dim
    return extras


def _parse_attention(text: ConfigReader, text_type: str, rope: ConfigReader) -> Attention:
    heads, hidden = text.count("num_attention_heads"), text.count("hidden_size")
    if heads > hidden:
        raise text.complaint("num_attention_heads", f"it is at most the hidden size of {hidden}")
    head_dim = text.count("head_dim", default=hidden // heads)
    share = rope.number(
        "partial_rotary_factor", default=text.number("partial_rotary_factor", default=1.0)
    )
    return Attention(
        heads=heads,
        kv_heads=text.count("num_key_value_heads", default=heads),
        head_dim=head_dim,
        rotary_dim=int(head_dim * share),
        bias=text_type in {"qwen2", "qwen2_moe"},
        qk_norm=text_type not in {"qwen2", "qwen2_moe"},
        output_gate=(
            text_type in HYBRID_MODEL_TYPES and text.values.get("attn_output_gate") is not False
        ),
    )


def _parse_linear_attention(text: ConfigReader) -> LinearAttention:
    # Without a type of its own the state has the model's (Qwen3-Next).
    state_type = text.values.get("mamba_ssm_dtype") or text.values.get("torch_dtype")
    return LinearAttention(
        key_heads=text.count("linear_num_key_heads"),
        value_heads=text.count("linear_num_value_heads"),
        key_dim=text.count("linear_key_head_dim"),
        value_dim=text.count("linear_value_head_dim"),
        conv_kernel=text.count("linear_conv_kernel_dim"),
        ssm_state_bytes=4 if state_type == "float32" else 2,
    )


def _linear_layers(text: ConfigReader, layers: int) -> int:
    if (kinds := text.values.get("layer_types")) is not None:
        if not isinstance(kinds, list) or len(kinds) != layers or "full_attention" not in kinds:
            raise text.complaint(
                "layer_types", f"it names all {layers} layers, some of them full_attention"
            )
        return kinds.count("linear_attention")
    interval = text.count("full_attention_interval", default=_DEFAULT_FULL_ATTENTION_INTERVAL)
    if interval > layers:
        raise text.complaint("full_attention_interval", f"there are only {layers} layers")
    return layers - layers // interval


def _parse_experts(text: ConfigReader) -> Experts | None:
    if not text.values.get("num_experts"):
        return None
    return Experts(
        count=text.count("num_experts"),
        active=text.count("num_experts_per_tok"),
        intermediate_size=text.count("moe_intermediate_size"),
        shared_intermediate_size=text.count("shared_expert_intermediate_size", default=0, least=0),
    )


def _dense_layers(text: ConfigReader, layers: int) -> int:
    """Layers of a mixture-of-experts model whose FFN is dense all the same."""
    step = text.count("decoder_sparse_step", default=1)
    dense_only = text.integers("mlp_only_layers")
    return sum(layer in dense_only or (layer + 1) % step != 0 for layer in range(layers))


def _parse_vision(outer: ConfigReader, model_type: str) -> Vision | None:
    if outer.values.get("vision_config") is None:
        return None
    vision = outer.section("vision_config")
    hidden, depth = vision.count("hidden_size"), vision.count("depth")
    intermediate = vision.count("intermediate_size")
    out = vision.count("out_hidden_size")
    patch = vision.count("patch_size", default=16)
    merged = hidden * vision.count("spatial_merge_size", default=2) ** 2
    if model_type == "qwen2_5_vl":
        # A gated FFN and RMS norms, as in the language model.
        block = 4 * hidden**2 + 3 * hidden * intermediate + 2 * intermediate + 7 * hidden
        merger = merged**2 + merged * out + merged + out + hidden
    else:
        block = 4 * hidden**2 + 2 * hidden * intermediate + intermediate + 9 * hidden
        merger = merged**2 + merged * out + 2 * merged + out + hidden
    patches = 3 * vision.count("temporal_patch_size", default=2) * patch**2 * hidden
    positions = vision.count("num_position_embeddings", default=0, least=0) * hidden
    mergers = 1 + len(vision.integers("deepstack_visual_indexes"))
    return Vision(
        parameters=depth * block + patches + positions + mergers * merger,
        depth=depth,
        hidden_size=hidden,
    )


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step
