"""What vLLM's log says about its start. Pure: a line and a state make the next state.

Sentences as vLLM 0.32 and 0.33 write them; a sentence that changes costs a figure, never a start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from qwen_contract.failure import Stage
from qwen_runtime.launcher.cards import GIB

_ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")
_PREFIX: Final = re.compile(
    r"^\([\w.\- ]+ pid=\d+\) "
    r"(?:(?P<level>[A-Z]+) [\d\-]+ [\d:]+ \[[^\]]+\] ?)?"
)

_STAGES: Final = (
    (re.compile(r"Starting to load model "), Stage.LOAD_WEIGHTS),
    (re.compile(r"Model loading took "), Stage.PROFILE),
    (re.compile(r"Loading weights took "), Stage.PROFILE),
    (
        re.compile(r"Starting torch\.compile|Using cache directory: .* for vLLM's torch"),
        Stage.COMPILE,
    ),
    (re.compile(r"Dynamo bytecode transform time"), Stage.COMPILE),
    (re.compile(r"torch\.compile took .* in total"), Stage.PROFILE),
    (re.compile(r"Available KV cache memory: "), Stage.ALLOCATE_KV_CACHE),
    (re.compile(r"memory for KV Cache as specified by"), Stage.ALLOCATE_KV_CACHE),
    (re.compile(r"Explicitly set \(.* for KV cache"), Stage.ALLOCATE_KV_CACHE),
    (re.compile(r"KV cache size: [\d,]+ tokens"), Stage.CAPTURE_GRAPHS),
    (re.compile(r"Warming up model for the compilation"), Stage.COMPILE),
    (re.compile(r"init engine \(profile, create kv cache"), Stage.WARM_UP),
    (re.compile(r"Application startup complete"), Stage.SERVE),
)
_WEIGHTS: Final = re.compile(r"Model loading took ([\d.]+) GiB memory")
_GRAPHS: Final = re.compile(r"Graph capturing finished in [\d.]+ secs, took (-?[\d.]+) GiB")
_KV_TOKENS: Final = re.compile(r"KV cache size: ([\d,]+) tokens")
_KV_BYTES: Final = re.compile(
    r"Available KV cache memory: ([\d.]+) GiB|reserved ([\d.]+) GiB memory for KV Cache"
)
_CACHE_HIT: Final = re.compile(
    r"Directly load AOT compilation from|Directly load the compiled graph\(s\)"
)
_CACHE_MISS: Final = re.compile(
    r"Compiling a graph for compile range|Cache the graph of compile range"
    r"|saved AOT compiled function to|Compiling model again due to a load failure"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """What has been read so far."""

    since: float
    """Seconds of a steady clock at which the stage began."""
    stage: Stage = Stage.START
    seconds: Mapping[Stage, float] = field(default_factory=lambda: MappingProxyType({}))
    """Of stages that are over; vLLM goes back and forth between some."""
    weights_bytes: int | None = None
    graphs_bytes: int | None = None
    kv_cache_bytes: int | None = None
    kv_cache_tokens: int | None = None
    compile_cache_hit: bool | None = None
    lines: int = 0


def strip_line(line: str) -> str:
    """A line without colours, process and time."""
    return _PREFIX.sub("", _ANSI.sub("", line)).rstrip()


def is_harmless(line: str) -> bool:
    """Whether vLLM itself calls the line no error; continuations carry the same level."""
    found = _PREFIX.match(_ANSI.sub("", line))
    return found is not None and found["level"] in ("DEBUG", "INFO", "WARNING")


def read_line(state: LogState, line: str, at: float) -> LogState:
    """The state after one line of any process of vLLM."""
    text = strip_line(line)
    state = replace(state, lines=state.lines + 1)
    for pattern, stage in _STAGES:
        if pattern.search(text):
            state = enter(state, stage, at)
            break
    # With several cards each says its own: the largest is what a card needs.
    if found := _WEIGHTS.search(text):
        state = replace(state, weights_bytes=_most(state.weights_bytes, _bytes(found[1])))
    elif found := _GRAPHS.search(text):
        state = replace(state, graphs_bytes=_most(state.graphs_bytes, _bytes(found[1])))
    elif found := _KV_BYTES.search(text):
        state = replace(state, kv_cache_bytes=_bytes(found[1] or found[2]))
    elif found := _KV_TOKENS.search(text):
        state = replace(state, kv_cache_tokens=int(found[1].replace(",", "")))
    elif _CACHE_MISS.search(text):
        state = replace(state, compile_cache_hit=False)
    elif _CACHE_HIT.search(text) and state.compile_cache_hit is None:
        state = replace(state, compile_cache_hit=True)
    return state


def enter(state: LogState, stage: Stage, at: float) -> LogState:
    """The state with the time of the stage before booked; serving is not left again."""
    if state.stage in (stage, Stage.SERVE):
        return state
    spent = dict(state.seconds)
    spent[state.stage] = spent.get(state.stage, 0.0) + max(0.0, at - state.since)
    return replace(state, stage=stage, since=at, seconds=MappingProxyType(spent))


def _bytes(count_gib: str) -> int:
    return max(0, round(float(count_gib) * GIB))


def _most(one: int | None, other: int) -> int:
    return other if one is None else max(one, other)
