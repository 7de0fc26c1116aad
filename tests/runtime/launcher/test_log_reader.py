"""Phases and figures from vLLM's log."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_contract.failure import Stage
from qwen_runtime.launcher.log_reader import LogState, read_line, strip_line
from tests.runtime.launcher.recordings import recorded_lines

GIB = 1 << 30

# In the words of vLLM 0.33.0 (v1/worker, v1/core, compilation), with figures of a measured start.
ON_A_GPU = """
Starting to load model Qwen/Qwen3-4B...
Loading weights took 2.01 seconds
Model loading took 7.55 GiB memory and 3.912345 seconds
Using cache directory: /var/cache/qwen/vllm/torch_compile_cache/a for vLLM's torch.compile
Dynamo bytecode transform time: 4.30 s
Directly load the compiled graph(s) for compile range (1, 2048) from the cache, took 0.300 s
torch.compile took 5.10 s in total
Initial free memory 23.10 GiB, reserved 10.00 GiB memory for KV Cache as specified by kv_cache_mem
GPU KV cache size: 72,816 tokens, Maximum concurrency for 8,192 tokens per request: 8.89x
Graph capturing finished in 7 secs, took 0.29 GiB
init engine (profile, create kv cache, warmup model) took 14.02 s (compilation: 5.10 s)
""".strip().splitlines()


def read(lines: list[str]) -> LogState:
    state = LogState(since=0)
    for at, line in enumerate(lines):
        state = read_line(state, f"(EngineCore pid=7) INFO 11-21 13:43:37 [core.py:1] {line}", at)
    return state


def test_figures_of_a_start_on_a_gpu() -> None:
    state = read(ON_A_GPU)
    assert state.weights_bytes == round(7.55 * GIB)
    assert state.graphs_bytes == round(0.29 * GIB)
    assert state.kv_cache_bytes == 10 * GIB
    assert state.kv_cache_tokens == 72_816
    assert state.compile_cache_hit is True
    assert state.stage is Stage.WARM_UP


def test_one_compiled_graph_is_a_cold_cache() -> None:
    line = "Compiling a graph for compile range (1, 2048) takes 21.30 s"
    assert read([*ON_A_GPU, line]).compile_cache_hit is False
    assert read([line, *ON_A_GPU]).compile_cache_hit is False


def test_of_several_cards_the_largest_counts() -> None:
    lines = [f"Model loading took {size} GiB memory and 1.0 seconds" for size in (3.9, 4.1, 4.0)]
    assert read(lines).weights_bytes == round(4.1 * GIB)


def test_time_goes_to_the_stage_that_ran() -> None:
    state = read(ON_A_GPU)
    assert sum(state.seconds.values()) == state.since == len(ON_A_GPU) - 1
    assert state.seconds[Stage.LOAD_WEIGHTS] == 1
    assert state.seconds[Stage.CAPTURE_GRAPHS] == 2


def test_a_recorded_start_is_read() -> None:
    state = LogState(since=0)
    for line in recorded_lines("good"):
        state = read_line(state, line, 1)
    assert (state.stage, state.kv_cache_tokens) == (Stage.SERVE, 32_768)


@pytest.mark.parametrize("name", ["compile-cold", "compile-again"])
def test_a_recorded_compilation_is_a_cold_cache(name: str) -> None:
    state = LogState(since=0)
    for line in recorded_lines(name):
        state = read_line(state, line, 1)
    assert state.compile_cache_hit is False
    assert state.seconds[Stage.COMPILE] == 0


def test_colours_and_prefixes_are_taken_off() -> None:
    coloured = "\x1b[0;36m(Worker pid=3)\x1b[0;0m \x1b[31mERROR\x1b[0m 11-21 13:47:01 [a.py:9] No"
    assert strip_line(coloured) == "No"


@settings(deadline=None)
@given(st.lists(st.text(max_size=80), max_size=20))
def test_any_log_is_read(lines: list[str]) -> None:
    state = read(lines)
    assert all(seconds >= 0 for seconds in state.seconds.values())
