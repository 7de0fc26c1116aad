"""One request on one card: budget, pool, flags, and a sentence for every choice."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qwen_operator.api.enums import KvCacheDtype
from qwen_operator.catalog.calibration import (
    MEASURED_COMPUTE_CAPABILITIES,
    CalibrationTable,
    calibration_for,
)
from qwen_operator.catalog.cards import Card
from qwen_operator.planning.context import ContextChoice, choose_context
from qwen_operator.planning.cuda_graphs import max_capture_size
from qwen_operator.planning.engine_args import (
    EngineSettings,
    build_engine_args,
    build_engine_env,
)
from qwen_operator.planning.host import plan_host
from qwen_operator.planning.kv_cache import (
    ATTENTION_BLOCK_TOKENS,
    CPU_BLOCK_TOKENS,
    KvCacheLayout,
    kv_cache_layout,
)
from qwen_operator.planning.non_kv import EngineShape, estimate_non_kv
from qwen_operator.planning.precision import WeightChoice, choose_weights
from qwen_operator.planning.refusal import Refusal, invalid
from qwen_operator.planning.request import PlanRequest
from qwen_operator.planning.result import Budget, CardPlan, CardResult, RefusedCard
from qwen_operator.planning.tensor_parallel import (
    ParallelChoice,
    check_parallelism,
    choose_parallelism,
)
from qwen_operator.planning.units import format_bytes
from qwen_operator.planning.weights import loaded_bytes
from qwen_operator.planning.workload import WORKLOADS, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A request whose qualitative choices are made; only the batch size is open."""

    request: PlanRequest
    card: Card
    workload: Workload
    table: CalibrationTable
    weights: WeightChoice
    context: ContextChoice
    parallel: ParallelChoice
    layout: KvCacheLayout
    weights_bytes: int
    vision: bool


def plan_row(
    request: PlanRequest, card: Card, calibration: CalibrationTable | None = None
) -> CardResult:
    """Plan one card, or say why no plan can be made. Total: never raises for a valid request.

    ``calibration`` stands in for the catalogue's constants of the request's vLLM version.
    """
    case = _open_case(request, card, calibration)
    if isinstance(case, Refusal):
        return RefusedCard(card=card, refusal=case)
    candidates = _batch_sizes(request, case.workload)
    typical = min(case.workload.typical_request_tokens, request.context_length)
    *larger, smallest = candidates
    last_resort = _plan_batch(case, smallest)
    if not last_resort.fits:
        return last_resort
    for max_num_seqs in larger:
        row = _plan_batch(case, max_num_seqs)
        if row.fits and case.layout.max_concurrency(row.kv_cache_bytes, typical) >= max_num_seqs:
            return row
    return last_resort


def _batch_sizes(request: PlanRequest, workload: Workload) -> tuple[int, ...]:
    """The user's, or the profile's; vLLM wants a step to hold a token of every request."""
    engine = request.engine
    if engine.max_num_seqs is not None:
        return (engine.max_num_seqs,)
    step = engine.max_num_batched_tokens
    return tuple(size for size in workload.max_num_seqs if step is None or size <= step)


def _open_case(
    request: PlanRequest, card: Card, calibration: CalibrationTable | None
) -> _Case | Refusal:
    if card.shared:
        return invalid(
            f"gpu is {card.name} and shared, but a memory plan holds only for a card that no other "
            "container uses; turn time-slicing off for this node, or use a whole card"
        )
    weights = choose_weights(request.model, request.precision, request.engine.kv_cache_dtype, card)
    if isinstance(weights, Refusal):
        return weights
    context = choose_context(request.model, request.context_length)
    if isinstance(context, Refusal):
        return context
    geometry, tp = weights.checkpoint.geometry, request.tensor_parallel_size
    if refusal := check_parallelism(geometry, weights.scheme, tp):
        return refusal
    vision = geometry.vision is not None and not request.engine.language_model_only
    return _Case(
        request=request,
        card=card,
        workload=WORKLOADS[request.profile],
        table=calibration or calibration_for(request.vllm_version, geometry.model_type),
        weights=weights,
        context=context,
        parallel=choose_parallelism(card, tp),
        layout=kv_cache_layout(
            geometry,
            tensor_parallel_size=tp,
            dtype=weights.kv_cache_dtype,
            prefix_caching=request.engine.prefix_caching,
            block_tokens=CPU_BLOCK_TOKENS if card.is_cpu else ATTENTION_BLOCK_TOKENS,
        ),
        weights_bytes=loaded_bytes(
            geometry,
            weights.scheme,
            tp,
            max_position_embeddings=context.max_position_embeddings,
            vision=vision,
        ),
        vision=vision,
    )


def _plan_batch(case: _Case, max_num_seqs: int) -> CardPlan:
    request, engine, card = case.request, case.request.engine, case.card
    batched_tokens = engine.max_num_batched_tokens or max(
        case.workload.max_num_batched_tokens, max_num_seqs
    )
    largest_graph = engine.max_cudagraph_capture_size or max_capture_size(max_num_seqs)
    shape = EngineShape(
        geometry=case.weights.checkpoint.geometry,
        tensor_parallel_size=request.tensor_parallel_size,
        max_model_len=case.context.max_model_len,
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=batched_tokens,
        kv_cache_dtype=case.weights.kv_cache_dtype,
        enforce_eager=engine.enforce_eager or card.is_cpu,
        max_capture_size=largest_graph,
        compile_cache=request.compile_cache,
        vision=case.vision,
        lora=engine.lora,
        compute_capability=card.compute_capability,
    )
    budget = _budget(case, shape)
    kv_cache_bytes = _planned_kv_cache_bytes(case, budget)
    offloading = _offloading_gib(case)
    settings = EngineSettings(
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=batched_tokens,
        max_capture_size=largest_graph,
        kv_cache_bytes=kv_cache_bytes,
        gpu_memory_utilization=budget.admissible_utilization,
        kv_offloading_gib=offloading,
        language_model_only=bool(engine.language_model_only),
        on_cpu=card.is_cpu,
    )
    tokens = case.context.max_model_len
    fits, reason = _judge(case, kv_cache_bytes, max_num_seqs)
    return CardPlan(
        card=card,
        request=request,
        fits=fits,
        reason=reason,
        shape=shape,
        budget=budget,
        layout=case.layout,
        kv_cache_bytes=kv_cache_bytes,
        kv_cache_tokens=case.layout.tokens(kv_cache_bytes, tokens),
        max_concurrency=case.layout.max_concurrency(kv_cache_bytes, tokens),
        longest_context_tokens=min(
            case.layout.longest_request(kv_cache_bytes), case.context.longest_tokens
        ),
        model_repository=case.weights.checkpoint.repository,
        scheme=case.weights.scheme,
        args=build_engine_args(request, settings, case.weights, case.context, case.parallel),
        env=build_engine_env(case.parallel, on_cpu=card.is_cpu),
        host=plan_host(
            request.tensor_parallel_size,
            kv_offloading_gib=offloading,
            cpu_resident_bytes=budget.requested_bytes if card.is_cpu else 0,
        ),
        decisions=_explain(case, settings),
        warnings=_warn(case, budget),
    )


def _budget(case: _Case, shape: EngineShape) -> Budget:
    card, request = case.card, case.request
    constants = case.table.constants
    requested = math.ceil(card.memory_bytes * request.engine.gpu_memory_utilization)
    non_kv = estimate_non_kv(shape, constants)
    measured = case.table.exact and card.compute_capability in MEASURED_COMPUTE_CAPABILITIES
    return Budget(
        card_bytes=card.memory_bytes,
        requested_bytes=requested,
        reserved_bytes=card.reserved_bytes,
        outside_bytes=0 if card.is_cpu else constants.outside_budget_bytes,
        weights_bytes=case.weights_bytes,
        non_kv=non_kv,
        kv_cache_bytes_expected=requested - case.weights_bytes - non_kv.total,
        band_bytes=constants.band_bytes if measured else constants.inferred_band_bytes,
        measured=measured,
    )


def _planned_kv_cache_bytes(case: _Case, budget: Budget) -> int:
    """Whole blocks at the safe end of the band, or just what the user asks for."""
    asked = case.request.engine.kv_cache_bytes
    if asked is not None:
        return asked
    safe = budget.kv_cache_bytes_expected - budget.band_bytes - budget.overcommitted_bytes
    return case.layout.blocks(safe) * case.layout.bytes_per_block


def _offloading_gib(case: _Case) -> int:
    if case.card.is_cpu:
        return 0
    asked = case.request.engine.kv_offloading_gib
    if asked is not None:
        return asked
    # vLLM's offloading connector moves blocks of one size; a hybrid's state pages are not tested.
    return 0 if case.layout.state_blocks_per_request else case.workload.kv_offloading_gib


def _judge(case: _Case, kv_cache_bytes: int, max_num_seqs: int) -> tuple[bool, str]:
    layout, tokens = case.layout, case.context.max_model_len
    needed = layout.bytes_for_request(tokens)
    if kv_cache_bytes < needed:
        if case.request.engine.kv_cache_bytes is None and kv_cache_bytes == 0:
            return False, (
                f"contextLength {tokens:,} needs {format_bytes(needed)} of KV cache, but beside "
                f"{format_bytes(case.weights_bytes)} of weights nothing is safely left"
            )
        return False, (
            f"contextLength {tokens:,} needs {format_bytes(needed)} of KV cache, but "
            f"{format_bytes(kv_cache_bytes)} is safely left, which holds "
            f"{layout.longest_request(kv_cache_bytes):,} tokens"
        )
    blocks = layout.blocks(kv_cache_bytes)
    if layout.state_blocks_per_request and max_num_seqs > blocks:
        return False, (
            f"maxNumSeqs {max_num_seqs} needs a state block for each request, but the pool has "
            f"{blocks}; set maxNumSeqs to {blocks} or less"
        )
    return True, (
        f"{format_bytes(kv_cache_bytes)} of KV cache holds "
        f"{layout.tokens(kv_cache_bytes, tokens):,} tokens"
    )


def _explain(case: _Case, settings: EngineSettings) -> tuple[str, ...]:
    return (
        *case.weights.decisions,
        *case.context.decisions,
        _explain_kv_cache(case),
        *_explain_batch(case, settings),
        *case.parallel.decisions,
        *_explain_hybrid(case),
        *_explain_offloading(settings),
    )


def _explain_kv_cache(case: _Case) -> str:
    layout, dtype = case.layout, case.weights.kv_cache_dtype
    per_token = layout.bytes_per_block // layout.block_tokens
    name = "16-bit" if dtype is KvCacheDtype.AUTO else str(dtype)
    return (
        f"KV cache: {name}, {per_token:,} bytes a token on each GPU, pinned in bytes so that the "
        "start neither measures nor depends on a warm compile cache."
    )


def _explain_batch(case: _Case, settings: EngineSettings) -> tuple[str, ...]:
    engine, workload = case.request.engine, case.workload
    sentence = f"Batch: at most {settings.max_num_seqs} requests and "
    sentence += f"{settings.max_num_batched_tokens:,} tokens a step"
    if engine.max_num_seqs is None:
        sentence += f" ({workload.sentence})"
    return (sentence + ".",)


def _explain_hybrid(case: _Case) -> tuple[str, ...]:
    if not case.layout.state_blocks_per_request:
        return ()
    return (
        f"Hybrid model: blocks of {case.layout.block_tokens} tokens; each running request pins "
        f"{case.layout.state_blocks_per_request} of them for its recurrent state, so max-num-seqs "
        "stays below the number of blocks.",
    )


def _explain_offloading(settings: EngineSettings) -> tuple[str, ...]:
    if not settings.kv_offloading_gib:
        return ()
    return (
        f"Offloading: {settings.kv_offloading_gib} GiB of main memory keep KV cache that leaves "
        "the card.",
    )


def _warn(case: _Case, budget: Budget) -> tuple[str, ...]:
    warnings = []
    if budget.overcommitted_bytes:
        warnings.append(
            f"Utilisation {case.request.engine.gpu_memory_utilization:g} leaves too little for the "
            f"CUDA context, load growth and what is reserved; the plan gives back "
            f"{format_bytes(budget.overcommitted_bytes)}."
        )
    if not case.table.exact:
        warnings.append(
            f"vLLM {case.request.vllm_version} was not measured; the constants are those of "
            f"{case.table.version}, with a wider band."
        )
    if case.request.model.unverified:
        warnings.append(f"Not verified for this model: {case.request.model.unverified}")
    return tuple(warnings)
