"""From the spec of a QwenDeployment to what the planner works on."""

from __future__ import annotations

from dataclasses import replace

from qwen_operator.api.v1alpha1 import Accelerator, Engine, QwenDeploymentSpec
from qwen_operator.catalog.cards import (
    DEFAULT_CARD_NAMES,
    Card,
    describe_card,
    find_card,
    parse_compute_capability,
)
from qwen_operator.catalog.models import Model
from qwen_operator.catalog.vllm_versions import CPU_VLLM_VERSION, GPU_VLLM_VERSION
from qwen_operator.planning.request import (
    DEFAULT_GPU_MEMORY_UTILIZATION,
    EngineChoices,
    PlanRequest,
)
from qwen_operator.units import MIB


def request_of(spec: QwenDeploymentSpec, model: Model) -> PlanRequest:
    """What to plan for this spec; ``model`` is what the catalogue says of ``spec.model``."""
    return PlanRequest(
        model=model,
        vllm_version=GPU_VLLM_VERSION,
        precision=spec.precision,
        context_length=spec.context_length,
        tensor_parallel_size=spec.tensor_parallel_size,
        profile=spec.profile,
        engine=_engine_choices(spec.engine),
        served_model_name=spec.served_name,
        revision=spec.revision,
    )


def cards_of(spec: QwenDeploymentSpec) -> tuple[Card, ...]:
    """The cards that a spec allows; raises `InvalidInput` for one nobody can describe."""
    if not spec.accelerators:
        return tuple(find_card(name) for name in DEFAULT_CARD_NAMES)
    return tuple(map(card_of, spec.accelerators))


def card_of(accelerator: Accelerator) -> Card:
    """The catalogue's card, or the one that the accelerator's own numbers describe."""
    memory, capability = accelerator.memory_mib, accelerator.compute_capability
    if memory is not None and capability is not None:
        card = describe_card(accelerator.name, memory, parse_compute_capability(capability))
    else:
        card = find_card(accelerator.name)
    if memory is not None:
        card = replace(card, memory_bytes=memory * MIB)
    if capability is not None:
        card = replace(card, compute_capability=parse_compute_capability(capability))
    return replace(card, reserved_bytes=accelerator.reserved_memory_mib * MIB)


def version_for(card: Card) -> str:
    """The vLLM version a card runs: the CPU build has a pin of its own."""
    return CPU_VLLM_VERSION if card.is_cpu else GPU_VLLM_VERSION


def _engine_choices(engine: Engine) -> EngineChoices:
    percent = engine.gpu_memory_utilization_percent
    return EngineChoices(
        max_num_seqs=engine.max_num_seqs,
        max_num_batched_tokens=engine.max_num_batched_tokens,
        gpu_memory_utilization=(
            DEFAULT_GPU_MEMORY_UTILIZATION if percent is None else percent / 100
        ),
        kv_cache_dtype=engine.kv_cache_dtype,
        kv_offloading_gib=engine.kv_offloading_gib,
        enforce_eager=engine.enforce_eager,
        prefix_caching=engine.enable_prefix_caching is not False,
        max_cudagraph_capture_size=engine.max_cudagraph_capture_size,
        language_model_only=engine.language_model_only,
        tool_call_parser=engine.tool_call_parser,
        reasoning_parser=engine.reasoning_parser,
        extra_args=engine.extra_args,
    )
