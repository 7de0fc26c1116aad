"""One request on one card: budget, pool, flags, and a sentence for every choice."""

from __future__ import annotations

import math

from qwen_operator.catalog.calibration import MEASURED_COMPUTE_CAPABILITIES, CalibrationTable
from qwen_operator.catalog.cards import Card
from qwen_operator.planning.case import Case, open_case
from qwen_operator.planning.cuda_graphs import max_capture_size
from qwen_operator.planning.engine_args import (
    EngineSettings,
    build_engine_args,
    build_engine_env,
)
from qwen_operator.planning.explain import explain_choices, explain_warnings
from qwen_operator.planning.host import plan_host
from qwen_operator.planning.non_kv import EngineShape, estimate_non_kv
from qwen_operator.planning.refusal import Refusal
from qwen_operator.planning.request import PlanRequest
from qwen_operator.planning.result import Budget, CardPlan, CardResult, RefusedCard
from qwen_operator.planning.verdict import judge
from qwen_operator.planning.workload import Workload


def plan_row(
    request: PlanRequest, card: Card, calibration: CalibrationTable | None = None
) -> CardResult:
    """Plan one card, or say why no plan can be made. Total: never raises for a valid request.

    ``calibration`` stands in for the catalogue's constants of the request's vLLM version.
    """
    case = open_case(request, card, calibration)
    if isinstance(case, Refusal):
        return RefusedCard(card=card, request=request, refusal=case)
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


def _plan_batch(case: Case, max_num_seqs: int) -> CardPlan:
    request, engine, card = case.request, case.request.engine, case.card
    batched_tokens = engine.max_num_batched_tokens or max(
        case.workload.max_num_batched_tokens, max_num_seqs
    )
    wished_graph = engine.max_cudagraph_capture_size or max_capture_size(max_num_seqs)
    largest_graph = min(wished_graph, batched_tokens)
    # Compiling wants a C++ compiler and a minute; on a CPU it is a wish, not a default.
    eager = card.is_cpu if engine.enforce_eager is None else engine.enforce_eager
    shape = EngineShape(
        geometry=case.weights.checkpoint.geometry,
        tensor_parallel_size=request.tensor_parallel_size,
        max_model_len=case.context.max_model_len,
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=batched_tokens,
        kv_cache_dtype=case.weights.kv_cache_dtype,
        enforce_eager=eager or card.is_cpu,
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
        enforce_eager=eager,
        max_capture_size=largest_graph,
        kv_cache_bytes=kv_cache_bytes,
        gpu_memory_utilization=budget.admissible_utilization,
        kv_offloading_gib=offloading,
        language_model_only=bool(engine.language_model_only),
        on_cpu=card.is_cpu,
    )
    tokens = case.context.max_model_len
    fits, reason = judge(case, budget, kv_cache_bytes, max_num_seqs)
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
            resident_bytes=budget.requested_bytes if card.is_cpu else None,
        ),
        decisions=tuple(explain_choices(case, settings)),
        warnings=tuple(explain_warnings(case, budget, kv_cache_bytes)),
    )


def _budget(case: Case, shape: EngineShape) -> Budget:
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
        band_bytes=_band_bytes(case, measured=measured),
        measured=measured,
    )


def _band_bytes(case: Case, *, measured: bool) -> int:
    """Wider where the card was not measured, and wider still where the version was not either."""
    constants = case.table.constants
    if measured:
        return constants.band_bytes
    known = case.table.exact or case.card.is_cpu
    return constants.inferred_band_bytes if known else constants.inferred_band_bytes * 3 // 2


def _planned_kv_cache_bytes(case: Case, budget: Budget) -> int:
    """Whole blocks at the safe end of the band, or just what the user asks for."""
    asked = case.request.engine.kv_cache_bytes
    if asked is not None:
        return asked
    return case.layout.blocks(budget.kv_cache_bytes_safe) * case.layout.bytes_per_block


def _offloading_gib(case: Case) -> int:
    if case.card.is_cpu:
        return 0
    asked = case.request.engine.kv_offloading_gib
    if asked is not None:
        return asked
    # vLLM's offloading connector moves blocks of one size; a hybrid's state pages are not tested.
    return 0 if case.layout.state_blocks_per_request else case.workload.kv_offloading_gib
