"""What vLLM uses of its budget beside weights and KV cache: a physical model with few constants.

    non-KV = kernels + tensor parallel + sampler state + transient peak + CUDA graphs
             (+ attention workspace + LoRA slots + vision encoder, where asked for)

The transient peak is the largest of three moments that do not coincide: the sampler at work on one
row of logits a sequence, the FFN of one layer on a full batch of tokens, and, in the first start
with an empty compile cache, a second copy of the embedding (Inductor runs the first graph on real
weights). The constants are in `qwen_operator.catalog.calibration`.
"""

from __future__ import annotations

from dataclasses import dataclass

from qwen_operator.api.enums import KvCacheDtype
from qwen_operator.catalog.calibration import Calibration
from qwen_operator.catalog.cards import ComputeCapability
from qwen_operator.catalog.geometry import Geometry
from qwen_operator.planning.cuda_graphs import full_graphs
from qwen_operator.planning.request import CompileCache, LoraSlots

_BYTES16 = 2
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
    transient_peak: int
    cuda_graphs: int
    attention_workspace: int
    lora: int
    vision_encoder: int

    @property
    def total(self) -> int:
        """All components together."""
        return sum(self.by_component().values())

    def by_component(self) -> dict[str, int]:
        """Component name to bytes, in the order a reader expects."""
        return {name: getattr(self, name) for name in self.__slots__}


def estimate_non_kv(shape: EngineShape, calibration: Calibration) -> NonKv:
    """The central estimate for one GPU; its error band is the calibration's."""
    logits = shape.max_num_seqs * shape.geometry.vocabulary
    return NonKv(
        kernels=calibration.kernels_bytes,
        tensor_parallel=calibration.tensor_parallel_bytes if shape.tensor_parallel_size > 1 else 0,
        sampler_state=int(calibration.state_bytes_per_logit * logits),
        transient_peak=_transient_peak(shape, calibration),
        cuda_graphs=_cuda_graphs(shape, calibration),
        attention_workspace=_attention_workspace(shape),
        lora=int(calibration.lora_copies * _lora_bytes(shape)),
        vision_encoder=calibration.vision_encoder_bytes if shape.vision else 0,
    )


def _transient_peak(shape: EngineShape, calibration: Calibration) -> int:
    geometry, tokens = shape.geometry, shape.max_num_batched_tokens
    rows = min(shape.max_num_seqs, tokens)
    sampler = calibration.sampler_bytes_per_logit * rows * geometry.vocabulary
    hidden = _BYTES16 * tokens * geometry.hidden_size
    # Gate and up, and their product, are alive at once.
    ffn = 3 * _BYTES16 * tokens * _widest_ffn(geometry) / shape.tensor_parallel_size
    forward = ffn + calibration.activation_copies * hidden
    embedding = _BYTES16 * geometry.vocabulary * geometry.hidden_size / shape.tensor_parallel_size
    compiles = shape.compile_cache is CompileCache.COLD and not shape.enforce_eager
    compilation = embedding + 2 * hidden if compiles else 0
    return int(max(sampler, forward, compilation))


def _widest_ffn(geometry: Geometry) -> int:
    """Elements of FFN activation a token has in one layer, summed over its experts."""
    dense = geometry.intermediate_size if geometry.dense_layers else 0
    if (experts := geometry.experts) is None:
        return dense
    routed = experts.active * experts.intermediate_size + experts.shared_intermediate_size
    return max(dense, routed)


def _cuda_graphs(shape: EngineShape, calibration: Calibration) -> int:
    graphs = full_graphs(shape.max_num_seqs, shape.max_capture_size)
    if shape.enforce_eager or not graphs:
        return 0
    depth = shape.geometry.layers * shape.geometry.hidden_size * _BYTES16
    per_graph = calibration.graph_bytes + calibration.graph_hidden_copies * depth
    return int(calibration.graph_base_bytes + graphs * per_graph)


def _attention_workspace(shape: EngineShape) -> int:
    """FlashInfer's buffers, which FP8 KV needs before Hopper (``backends/flashinfer.py``)."""
    if (shape.compute_capability or _HOPPER) >= _HOPPER or shape.kv_cache_dtype not in {
        KvCacheDtype.FP8,
        KvCacheDtype.FP8_E5M2,
    }:
        return 0
    attention = shape.geometry.attention
    queries = attention.heads // shape.tensor_parallel_size * attention.head_dim
    return max(
        _FLASHINFER_WORKSPACE_BYTES,
        shape.max_num_batched_tokens * queries * _FLASHINFER_BYTES_PER_ELEMENT,
    )


def _lora_bytes(shape: EngineShape) -> int:
    """Two factors for each projection, in every slot; the factor on the inputs is not divided."""
    if (slots := shape.lora) is None:
        return 0
    geometry, tp = shape.geometry, shape.tensor_parallel_size
    attention, hidden = geometry.attention, geometry.hidden_size
    queries = attention.heads * attention.head_dim
    keys_values = 2 * attention.kv_heads * attention.head_dim
    inputs = 3 * hidden + queries // tp
    outputs = (queries + keys_values) // tp + hidden
    per_rank = geometry.full_attention_layers * (inputs + outputs)
    ffn = geometry.intermediate_size
    per_rank += geometry.dense_layers * (2 * hidden + ffn // tp + 2 * ffn // tp + hidden)
    return slots.max_loras * slots.max_rank * per_rank * _BYTES16
