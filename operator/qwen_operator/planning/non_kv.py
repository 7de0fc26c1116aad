"""What vLLM uses of its budget beside weights and KV cache: a physical model with few constants.

    non-KV = kernels + tensor parallel + sampler state + expert workspace + transient peak
             + CUDA graphs (+ attention workspace and LoRA slots, where asked for)

The transient peak is the largest of four moments that do not coincide: the sampler at work on one
row of logits a sequence, one layer's forward pass over a full batch of tokens, the vision encoder
on the largest image, and, in the first start of a single GPU with an empty compile cache, a second
copy of the embedding (Inductor runs the first graph on real weights). All of it was read off inside
vLLM, allocation by allocation; the constants are in `qwen_operator.catalog.calibration`.
"""

from __future__ import annotations

from dataclasses import dataclass

from qwen_operator.api.enums import KvCacheDtype
from qwen_operator.catalog.calibration import Calibration
from qwen_operator.catalog.cards import ComputeCapability
from qwen_operator.catalog.geometry import Geometry
from qwen_operator.planning.cuda_graphs import capture_sizes, full_graphs
from qwen_operator.planning.request import CompileCache, LoraSlots

_BYTES16 = 2
_BYTES32 = 4
_ATTENTION_SPLITS = 32
_MAX_IMAGE_PATCHES = 65536
"""16,384 tokens of 2 x 2 patches, the largest image of the Qwen-VL processors."""
_FLASHINFER_WORKSPACE_BYTES = 394 << 20
_FLASHINFER_BYTES_PER_ELEMENT = 16
_HOPPER: ComputeCapability = (9, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineShape:
    """Everything beside the weights that decides what one GPU's vLLM worker allocates."""

    geometry: Geometry
    tensor_parallel_size: int
    max_model_len: int
    max_num_seqs: int
    max_num_batched_tokens: int
    kv_cache_dtype: KvCacheDtype
    enforce_eager: bool
    max_capture_size: int
    compile_cache: CompileCache
    vision: bool
    lora: LoraSlots | None
    compute_capability: ComputeCapability | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NonKv:
    """Bytes of one GPU's budget that are neither weights nor KV cache, by component."""

    kernels: int
    tensor_parallel: int
    sampler_state: int
    expert_workspace: int
    transient_peak: int
    cuda_graphs: int
    attention_workspace: int
    lora: int

    @property
    def total(self) -> int:
        """All components together."""
        return sum(self.by_component().values())

    def by_component(self) -> dict[str, int]:
        """Component name to bytes, in the order a reader expects."""
        return {name: getattr(self, name) for name in self.__slots__}


def estimate_non_kv(shape: EngineShape, calibration: Calibration) -> NonKv:
    """The central estimate for one GPU; its error band is the calibration's."""
    top_k_rows = _top_k_rows(shape, calibration)
    expert_workspace = int(calibration.expert_workspace_copies * _routed_hidden(shape))
    kept = top_k_rows + expert_workspace
    return NonKv(
        kernels=int(calibration.kernels_bytes),
        tensor_parallel=(
            int(calibration.tensor_parallel_bytes) if shape.tensor_parallel_size > 1 else 0
        ),
        sampler_state=int(
            calibration.state_bytes_per_logit * shape.max_num_seqs * shape.geometry.vocabulary
        )
        + top_k_rows,
        expert_workspace=expert_workspace,
        transient_peak=max(0, _peak(shape, calibration, kept, expert_workspace) - kept),
        cuda_graphs=_cuda_graphs(shape, calibration),
        attention_workspace=_flashinfer_workspace(shape),
        lora=_lora_slots(shape),
    )


def _top_k_rows(shape: EngineShape, calibration: Calibration) -> int:
    rows = min(shape.max_num_seqs, calibration.top_k_rows)
    return rows * shape.geometry.vocabulary * _BYTES32


def _hidden(shape: EngineShape) -> int:
    """The hidden states of one full batch."""
    return shape.max_num_batched_tokens * shape.geometry.hidden_size * _BYTES16


def _routed_hidden(shape: EngineShape) -> int:
    experts = shape.geometry.experts
    return _hidden(shape) * experts.active if experts is not None else 0


def _peak(shape: EngineShape, calibration: Calibration, kept: int, expert_workspace: int) -> int:
    """Most bytes at once; ``kept`` of them are allocated by then for good at the sampler's turn."""
    geometry, hidden = shape.geometry, _hidden(shape)
    rows = min(shape.max_num_seqs, shape.max_num_batched_tokens)
    sampler = kept + calibration.sampler_bytes_per_logit * rows * geometry.vocabulary + hidden
    forward = (
        expert_workspace
        + calibration.activation_copies * hidden
        + max(
            _ffn_bytes(shape),
            calibration.linear_attention_copies * _linear_projections_bytes(shape),
        )
    )
    vision = calibration.vision_patch_copies * _largest_image_bytes(shape)
    return int(max(sampler, forward, vision, _compilation_bytes(shape, hidden)))


def _compilation_bytes(shape: EngineShape, hidden: int) -> int:
    """The embedding once more; a divided one is masked, which keeps it out of the first graph."""
    cold = shape.compile_cache is CompileCache.COLD and not shape.enforce_eager
    if not cold or shape.tensor_parallel_size > 1:
        return 0
    return _BYTES16 * shape.geometry.vocabulary * shape.geometry.hidden_size + 2 * hidden


def _largest_image_bytes(shape: EngineShape) -> int:
    """Hidden states of the largest image in the vision tower, which is whole on every GPU."""
    vision = shape.geometry.vision
    if vision is None or not shape.vision:
        return 0
    return _MAX_IMAGE_PATCHES * vision.hidden_size * _BYTES16


def _ffn_bytes(shape: EngineShape) -> float:
    """Gate, up and their product of one dense layer, or of the experts of one layer, at once."""
    geometry = shape.geometry
    width = geometry.intermediate_size if geometry.dense_layers else 0
    if (experts := geometry.experts) is not None:
        routed = experts.active * experts.intermediate_size + experts.shared_intermediate_size
        width = max(width, routed)
    return 3 * _BYTES16 * shape.max_num_batched_tokens * width / shape.tensor_parallel_size


def _linear_projections_bytes(shape: EngineShape) -> float:
    """Queries, keys, values and gate of one Gated DeltaNet layer."""
    if (linear := shape.geometry.linear_attention) is None:
        return 0.0
    width = linear.conv_channels + linear.value_heads * linear.value_dim
    return _BYTES16 * shape.max_num_batched_tokens * width / shape.tensor_parallel_size


def _cuda_graphs(shape: EngineShape, calibration: Calibration) -> int:
    """What vLLM sets aside for its graphs; an adapter doubles their number."""
    if shape.enforce_eager:
        return 0
    doubled = 2 if shape.lora is not None else 1
    sizes = doubled * len(capture_sizes(shape.max_capture_size))
    full = doubled * full_graphs(shape.max_num_seqs, shape.max_capture_size)
    experts = calibration.graph_expert_bytes if shape.geometry.experts is not None else 0
    return int(
        calibration.graph_base_bytes
        + sizes * shape.geometry.layers * calibration.graph_layer_bytes
        + full * calibration.graph_full_bytes
        + calibration.graph_scratch_copies * _split_attention_bytes(shape)
        + experts
    )


def _uses_flashinfer(shape: EngineShape) -> bool:
    """FlashAttention reads an FP8 cache only from Hopper on."""
    before_hopper = shape.compute_capability is not None and shape.compute_capability < _HOPPER
    return before_hopper and shape.kv_cache_dtype in {KvCacheDtype.FP8, KvCacheDtype.FP8_E5M2}


def _query_elements(shape: EngineShape) -> int:
    attention = shape.geometry.attention
    return attention.heads // shape.tensor_parallel_size * attention.head_dim


def _split_attention_bytes(shape: EngineShape) -> int:
    """Partial results of FlashAttention's decode: 32 float32 splits a query."""
    if _uses_flashinfer(shape):
        return 0
    batch = min(shape.max_num_seqs, shape.max_capture_size)
    return batch * _query_elements(shape) * _ATTENTION_SPLITS * _BYTES32


def _flashinfer_workspace(shape: EngineShape) -> int:
    """FlashInfer's own buffer (``v1/attention/backends/flashinfer.py``)."""
    if not _uses_flashinfer(shape):
        return 0
    return max(
        _FLASHINFER_WORKSPACE_BYTES,
        shape.max_num_batched_tokens * _query_elements(shape) * _FLASHINFER_BYTES_PER_ELEMENT,
    )


def _lora_slots(shape: EngineShape) -> int:
    """Two factors for each projection of a dense model, embedding and lm_head, in every slot.

    The factor on the inputs of a projection is not divided over GPUs.
    """
    if (slots := shape.lora) is None:
        return 0
    geometry, tp = shape.geometry, shape.tensor_parallel_size
    attention, hidden, ffn = geometry.attention, geometry.hidden_size, geometry.intermediate_size
    queries = attention.heads // tp * attention.head_dim
    keys_values = 2 * attention.kv_heads_per_gpu(tp) * attention.head_dim
    per_attention = 3 * hidden + queries + queries + keys_values + hidden
    per_ffn = 2 * hidden + ffn // tp + 2 * ffn // tp + hidden
    per_rank = (
        geometry.full_attention_layers * per_attention
        + geometry.dense_layers * per_ffn
        + 2 * (geometry.vocabulary + hidden)
    )
    return slots.max_loras * slots.max_rank * per_rank * _BYTES16
