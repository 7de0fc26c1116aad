"""The plan as a person reads it in a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

from qwen_operator.cli.plan_explain import explain_arithmetic
from qwen_operator.cli.planned import Planned
from qwen_operator.cli.text import bold, columns, width, wrap
from qwen_operator.planning.cost import Cost, Prices, plan_cost
from qwen_operator.planning.result import CardPlan, CardResult, RefusedCard
from qwen_operator.planning.workload import WORKLOADS
from qwen_operator.units import GIB, format_bytes

_BAR_CELLS = 48
_SEGMENTS = (("weights", "█"), ("vLLM", "▓"), ("band", "▒"), ("KV cache", "░"), ("outside", "·"))
_HEADINGS = (
    "GPU", "FITS", "WEIGHTS", "VLLM", "±BAND", "KV CACHE", "TOKENS", "LONGEST", "AT ONCE", "BATCH",
)  # fmt: skip
_ALIKE = 0.005
"""Cards whose memory differs by less than this share get one paragraph."""


def render_table(every: Sequence[Planned], prices: Prices | None, *, explain: bool) -> str:
    """The whole output: for each QwenDeployment a row a card, bars, reasons, flags."""
    sections: list[list[str]] = []
    for planned in every:
        sections += [
            list(_heading(planned, named=len(every) > 1)),
            list(_rows(planned)),
            list(_bars(planned)),
            list(_refusals(planned)),
            list(_sentences(planned)),
            list(_commands(planned)),
            list(_costs(planned, prices)) if prices else [],
            list(_explanations(planned)) if explain else [],
        ]
    return "\n\n".join("\n".join(section) for section in sections if section)


def _heading(planned: Planned, *, named: bool) -> Iterator[str]:
    request = planned.request
    name = f"{planned.name}: " if named else ""
    yield bold(
        f"{name}{request.model.name}  {request.precision}  context {request.context_length:,}  "
        f"tensor parallel {request.tensor_parallel_size}  {request.profile}"
    )


def _rows(planned: Planned) -> Iterator[str]:
    yield from columns([_HEADINGS, *map(_cells, planned.results)], left=2)
    if not planned.rows:
        return
    version = planned.rows[0].request.vllm_version
    yield f"vLLM {version}; GiB of one card. LONGEST: longest request that fits. AT ONCE:"
    yield "requests of the full context. BATCH: requests that vLLM works on at a time."
    if not all(row.budget.measured for row in planned.rows):
        yield "±BAND is inferred: nobody has measured this vLLM version on this card yet."


def _cells(result: CardResult) -> tuple[str, ...]:
    name = result.card.name.split(",")[0]
    if isinstance(result, RefusedCard):
        return (name, "no", *[""] * (len(_HEADINGS) - 2))
    budget = result.budget
    sizes = (
        budget.weights_bytes, budget.non_kv.total, budget.band_bytes, result.kv_cache_bytes,
    )  # fmt: skip
    return (
        name,
        "yes" if result.fits else "no",
        *(f"{size / GIB:.2f}" for size in sizes),
        f"{result.kv_cache_tokens:,}",
        f"{result.longest_context_tokens:,}",
        f"{result.max_concurrency:.2f}",
        str(result.shape.max_num_seqs),
    )


def _bars(planned: Planned) -> Iterator[str]:
    names = [row.card.name.split(",")[0] for row in planned.rows]
    room = max(map(len, names), default=0)
    for name, row in zip(names, planned.rows, strict=True):
        yield f"{name.ljust(room)}  |{_bar(row)}|  {format_bytes(row.budget.card_bytes)}"
    if planned.rows:
        yield " " * room + "  " + "  ".join(f"{mark} {name}" for name, mark in _SEGMENTS)


def _bar(row: CardPlan) -> str:
    budget = row.budget
    weights_and_vllm = budget.weights_bytes + budget.non_kv.total
    parts = (
        budget.weights_bytes,
        budget.non_kv.total,
        budget.requested_bytes - weights_and_vllm - row.kv_cache_bytes,
        row.kv_cache_bytes,
        budget.card_bytes,
    )
    bar, filled = "", 0
    for size, (_, mark) in zip(parts, _SEGMENTS, strict=True):
        filled = min(budget.card_bytes, filled + max(0, size))
        bar += mark * (round(filled / budget.card_bytes * _BAR_CELLS) - len(bar))
    return bar


def _refusals(planned: Planned) -> Iterator[str]:
    refused = [r for r in planned.results if not (isinstance(r, CardPlan) and r.fits)]
    for alike in _alike(refused):
        first = alike[0]
        reason = first.reason if isinstance(first, CardPlan) else first.refusal.sentence
        yield from wrap(f"{_names(alike)} cannot serve it: {reason}.")
        if not isinstance(first, CardPlan):
            continue
        if first.alternatives:
            yield "  What would fit there:"
            for alternative in first.alternatives:
                yield from wrap(f"  - {alternative.sentence}")
        elif first.request.engine.kv_cache_bytes is None:
            yield "  Neither smaller weights nor 8 such cards would serve it."


def _alike(results: Iterable[CardResult]) -> Iterator[list[CardResult]]:
    """Consecutive cards of almost the same memory and the same kind of answer."""
    group: list[CardResult] = []
    for result in results:
        if group and not _same(group[0], result):
            yield group
            group = []
        group.append(result)
    if group:
        yield group


def _same(one: CardResult, other: CardResult) -> bool:
    difference = abs(one.card.memory_bytes - other.card.memory_bytes)
    return (
        type(one) is type(other)
        and difference < _ALIKE * one.card.memory_bytes
        and one.card.compute_capability == other.card.compute_capability
    )


def _sentences(planned: Planned) -> Iterator[str]:
    """Sentences that hold for all rows once, the others with the names of their cards."""
    rows = planned.fitting
    for kind in ("decisions", "warnings"):
        names: dict[str, list[str]] = {}
        for row in rows:
            for sentence in getattr(row, kind):
                general = sentence.replace(row.card.name, "this card")
                names.setdefault(general, []).append(row.card.name)
        if names:
            yield bold(kind.capitalize())
        for sentence, cards in names.items():
            where = "" if len(cards) == len(rows) else f" [{', '.join(cards)}]"
            yield from wrap(f"- {sentence}{where}")


def _commands(planned: Planned) -> Iterator[str]:
    for alike in _alike(planned.fitting):
        # The smallest of almost equal cards; its flags hold for all of them.
        smallest = min(alike, key=lambda row: row.card.memory_bytes)
        yield bold(f"On {_names(alike)}")
        if isinstance(smallest, CardPlan):
            yield from _command(smallest)
    for row in planned.fitting[:1]:
        host, count = row.host, row.request.tensor_parallel_size
        cards = "" if row.card.is_cpu else f"{count} card{'s' if count > 1 else ''}, "
        yield from wrap(
            f"Each replica: {cards}{host.cpu_cores} CPU cores, {host.memory_bytes // GIB} GiB of "
            f"memory, {host.shared_memory_bytes // GIB} GiB of it shared memory"
        )


def _command(row: CardPlan) -> Iterator[str]:
    """Environment a line each, then the flags, ready to be pasted into a shell."""
    words = [shlex.quote(f"{name}={value}") for name, value in row.env]
    lines = [*words, f"vllm serve {shlex.quote(row.model_repository)}"]
    line = "   "
    for pair in _pairs(row.args):
        if len(line) + len(pair) + 3 > width() and line.strip():
            lines.append(line)
            line = "   "
        line += f" {pair}"
    yield from (f"{each} \\" for each in lines)
    yield line


def _pairs(args: Iterable[str]) -> Iterator[str]:
    """Flags with their values, quoted for a shell."""
    pair = ""
    for argument in args:
        if argument.startswith("--") and pair:
            yield pair
            pair = ""
        pair += (" " if pair else "") + shlex.quote(argument)
    if pair:
        yield pair


def _costs(planned: Planned, prices: Prices) -> Iterator[str]:
    yield bold("Cost (estimated speed, a full batch of typical requests)")
    typical = WORKLOADS[planned.request.profile].typical_request_tokens
    for row in planned.fitting:
        cost = plan_cost(row, prices, typical)
        yield from wrap(f"  {row.card.name}: {_cost_words(cost)}")


def _cost_words(cost: Cost | None) -> str:
    if cost is None:
        return "its price is not known; give --gpu-price or --electricity-price"
    words = (
        f"{cost.hourly:.2f} an hour, about {cost.tokens_per_second:,.0f} tokens/s with "
        f"{cost.running_requests} requests, {cost.million_tokens:.2f} a million output tokens"
    )
    if cost.break_even_tokens_per_hour is not None and cost.break_even_share is not None:
        words += (
            f"; cheaper than the API from {cost.break_even_tokens_per_hour / 1e6:.2f} million "
            f"tokens an hour on ({cost.break_even_share:.0%} of what it can do)"
        )
    return words


def _explanations(planned: Planned) -> Iterator[str]:
    for row in planned.rows:
        yield bold(f"{row.card.name}, step by step")
        yield from (f"  {line}" for line in explain_arithmetic(row))


def _names(results: Iterable[CardResult]) -> str:
    return ", ".join(result.card.name for result in results)
