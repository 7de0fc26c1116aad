from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_operator.api.enums import Profile
from qwen_operator.catalog.cards import find_card
from qwen_operator.planning.host import plan_host
from qwen_operator.units import GIB
from tests.planning.examples import plan_of, request

sizes = st.integers(min_value=1, max_value=8)
offloads = st.integers(min_value=0, max_value=512)


@pytest.mark.parametrize(("tp", "cores"), [(1, 3), (2, 4), (8, 10)])
def test_server_engine_and_every_worker_get_a_core(tp: int, cores: int) -> None:
    assert plan_host(tp, kv_offloading_gib=0).cpu_cores == cores


@given(sizes, offloads)
def test_shared_memory_is_part_of_the_memory(tp: int, gib: int) -> None:
    host = plan_host(tp, kv_offloading_gib=gib)
    assert 0 < host.shared_memory_bytes < host.memory_bytes


@given(sizes, offloads)
def test_what_is_offloaded_is_asked_of_the_node_once(tp: int, gib: int) -> None:
    with_offload, without = (plan_host(tp, kv_offloading_gib=each) for each in (gib, 0))
    assert with_offload.memory_bytes - without.memory_bytes == gib * GIB
    assert with_offload.shared_memory_bytes == without.shared_memory_bytes


@given(st.integers(min_value=1, max_value=7), offloads)
def test_more_gpus_never_ask_for_less(tp: int, gib: int) -> None:
    fewer, more = (plan_host(size, kv_offloading_gib=gib) for size in (tp, tp + 1))
    assert fewer.cpu_cores < more.cpu_cores
    assert fewer.memory_bytes < more.memory_bytes
    assert fewer.shared_memory_bytes < more.shared_memory_bytes


def test_a_cpu_keeps_weights_and_cache_in_the_memory_of_the_node() -> None:
    row = plan_of(request("Qwen/Qwen3-0.6B"), find_card("CPU"))
    assert row.host.memory_bytes >= row.budget.requested_bytes
    assert row.host.memory_bytes >= row.budget.weights_bytes + row.kv_cache_bytes


def test_long_documents_offload_and_the_host_pays_for_it() -> None:
    asked = request("Qwen/Qwen3-0.6B", profile=Profile.LONG_DOCUMENTS)
    row, plain = plan_of(asked), plan_of(request("Qwen/Qwen3-0.6B"))
    offloaded = row.host.memory_bytes - plain.host.memory_bytes
    assert row.args[row.args.index("--kv-offloading-size") + 1] == str(offloaded // GIB)
    assert "--kv-offloading-size" not in plain.args


def test_a_cpu_asks_for_one_core_and_what_it_holds_in_memory() -> None:
    host = plan_host(1, kv_offloading_gib=0, resident_bytes=2 * GIB)
    assert host.cpu_cores == 1
    assert host.memory_bytes == 5 * GIB
