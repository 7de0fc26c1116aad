"""The plan as a person reads it in a terminal."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from qwen_operator.cli.plan_explain import explain_arithmetic
from qwen_operator.planning.cost import Cost, Prices, plan_cost
from qwen_operator.planning.result import CardPlan, CardResult
from qwen_operator.planning.units import GIB, format_bytes
from qwen_operator.planning.workload import WORKLOADS

_MAX_WIDTH = 110
_BAR_CELLS = 48
_SEGMENTS = (("weights", "█"), ("vLLM", "▓"), ("band", "▒"), ("KV cache", "░"), ("outside", "·"))
_HEADINGS = (
    "GPU",
    "FITS",
    "WEIGHTS",
    "VLLM",
    "BAND",
    "KV CACHE",
    "TOKENS",
    "LONGEST",
    "AT ONCE",
    "BATCH",
)


def render_table(results: Sequence[CardResult], prices: Prices | None, *, explain: bool) -> str:
    """The whole output: a heading, a row a card, bars, reasons, flags."""
    width = min(_MAX_WIDTH, shutil.get_terminal_size((_MAX_WIDTH, 24)).columns)
    sections = []
    for group in _by_request(results):
        sections += [
            list(_heading(group)),
            list(_rows(group)),
            list(_bars(group)),
            list(_refusals(group, width)),
            list(_decisions(group, width)),
            list(_flags(group, width)),
            list(_costs(group, prices)) if prices else [],
            list(_explanations(group)) if explain else [],
        ]
    return "\n\n".join("\n".join(section) for section in sections if section)


def _by_request(results: Sequence[CardResult]) -> Iterator[list[CardResult]]:
    """Consecutive rows of one QwenDeployment; a refused card belongs to the rows around it."""
    group: list[CardResult] = []
    name = None
    for result in results:
        current = result.request.served_model_name if isinstance(result, CardPlan) else name
        if group and name is not None and current != name:
            yield group
            group = []
        name = current
        group.append(result)
    if group:
        yield group


def _plans(group: Iterable[CardResult]) -> list[CardPlan]:
    return [result for result in group if isinstance(result, CardPlan)]


def _heading(group: list[CardResult]) -> Iterator[str]:
    for row in _plans(group)[:1]:
        request = row.request
        yield _bold(
            f"{request.model.name}  {request.precision}  context {request.context_length:,}  "
            f"tensor parallel {request.tensor_parallel_size}  {request.profile}"
        )
        yield f"vLLM {request.vllm_version}, bytes per GPU"


def _rows(group: list[CardResult]) -> Iterator[str]:
    cells = [_HEADINGS, *(_cells(result) for result in group)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for index, row in enumerate(cells):
        text = "  ".join(
            cell.ljust(size) if column < 2 else cell.rjust(size)
            for column, (cell, size) in enumerate(zip(row, widths, strict=True))
        )
        yield _bold(text) if index == 0 else text


def _cells(result: CardResult) -> tuple[str, ...]:
    if not isinstance(result, CardPlan):
        return (result.card.name, "no", *[""] * (len(_HEADINGS) - 2))
    budget = result.budget
    return (
        result.card.name,
        "yes" if result.fits else "no",
        format_bytes(budget.weights_bytes),
        format_bytes(budget.non_kv.total),
        f"±{format_bytes(budget.band_bytes)}",
        format_bytes(result.kv_cache_bytes),
        f"{result.kv_cache_tokens:,}",
        f"{result.longest_context_tokens:,}",
        f"{result.max_concurrency:.2f}",
        str(result.shape.max_num_seqs),
    )


def _bars(group: list[CardResult]) -> Iterator[str]:
    plans = _plans(group)
    names = max((len(row.card.name) for row in plans), default=0)
    for row in plans:
        total = format_bytes(row.budget.card_bytes)
        yield f"{row.card.name.ljust(names)}  {_bar(row)}  {total}"
    if plans:
        yield " " * names + "  " + "  ".join(f"{mark} {name}" for name, mark in _SEGMENTS)


def _bar(row: CardPlan) -> str:
    budget = row.budget
    parts = (
        budget.weights_bytes,
        budget.non_kv.total,
        budget.requested_bytes - budget.weights_bytes - budget.non_kv.total - row.kv_cache_bytes,
        row.kv_cache_bytes,
        budget.card_bytes,
    )
    cells, bar = 0, ""
    filled = 0
    for size, (_, mark) in zip(parts, _SEGMENTS, strict=True):
        filled = min(budget.card_bytes, filled + max(0, size))
        upto = round(filled / budget.card_bytes * _BAR_CELLS)
        bar += mark * (upto - cells)
        cells = max(cells, upto)
    return f"|{bar}|"


def _refusals(group: list[CardResult], width: int) -> Iterator[str]:
    for result in group:
        if isinstance(result, CardPlan) and result.fits:
            continue
        reason = result.reason if isinstance(result, CardPlan) else result.refusal.sentence
        yield from _wrap(f"{result.card.name} does not fit: {reason}.", width)
        if isinstance(result, CardPlan) and result.alternatives:
            yield "  What would fit there:"
            for alternative in result.alternatives:
                yield from _wrap(f"  - {alternative.sentence}", width)


def _decisions(group: list[CardResult], width: int) -> Iterator[str]:
    """Sentences that hold for all rows once, the others with the names of their cards."""
    plans = _plans(group)
    for kind in ("decisions", "warnings"):
        sentences: dict[str, list[str]] = {}
        for row in plans:
            for sentence in getattr(row, kind):
                sentences.setdefault(sentence, []).append(row.card.name)
        if not sentences:
            continue
        yield _bold(kind.capitalize())
        for sentence, names in sentences.items():
            where = "" if len(names) == len(plans) else f" [{', '.join(names)}]"
            yield from _wrap(f"- {sentence}{where}", width)


def _flags(group: list[CardResult], width: int) -> Iterator[str]:
    fitting = [row for row in _plans(group) if row.fits]
    by_command: dict[str, list[str]] = {}
    for row in fitting:
        by_command.setdefault(_command(row, width), []).append(row.card.name)
    for command, names in by_command.items():
        yield _bold(f"On {', '.join(names)}")
        yield command
    for row in fitting[:1]:
        host = row.host
        yield (
            f"Each replica: {row.request.tensor_parallel_size} GPU, {host.cpu_cores} CPU cores, "
            f"{host.memory_bytes // GIB} GiB memory of which {host.shared_memory_bytes // GIB} GiB "
            "shared memory"
        )


def _command(row: CardPlan, width: int) -> str:
    words: list[str] = [*(f"{name}={value}" for name, value in row.env)]
    words += ["vllm", "serve", row.model_repository]
    pairs: list[str] = []
    for argument in row.args:
        if argument.startswith("--") or not pairs:
            pairs.append(shlex.quote(argument))
        else:
            pairs[-1] += " " + shlex.quote(argument)
    lines, line = [], " ".join(words)
    for pair in pairs:
        if len(line) + len(pair) + 3 > width:
            lines.append(line)
            line = "    " + pair
        else:
            line += " " + pair
    return " \\\n".join([*lines, line])


def _costs(group: list[CardResult], prices: Prices) -> Iterator[str]:
    yield _bold("Cost (estimated speed, a full batch of typical requests)")
    for row in _plans(group):
        typical = WORKLOADS[row.request.profile].typical_request_tokens
        cost = plan_cost(row, prices, typical) if row.fits else None
        yield f"  {row.card.name}: {_cost_words(cost)}"


def _cost_words(cost: Cost | None) -> str:
    if cost is None:
        return "no price or no fit; give --gpu-price or --electricity-price"
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


def _explanations(group: list[CardResult]) -> Iterator[str]:
    for row in _plans(group):
        yield _bold(f"{row.card.name}, step by step")
        yield from (f"  {line}" for line in explain_arithmetic(row))


def _wrap(text: str, width: int) -> list[str]:
    indent = " " * (len(text) - len(text.lstrip())) + "  "
    return textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False)


def _bold(text: str) -> str:
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        return f"\x1b[1m{text}\x1b[0m"
    return text
