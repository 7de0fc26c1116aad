"""Cards found, rows planned: which row, on which cards, or why none."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_contract.failure import Failure, FailureReason
from qwen_runtime.launcher.cards import Card, GpuProcess, Memory
from qwen_runtime.launcher.choose_row import Choice, choose_row
from qwen_runtime.launcher.command import (
    Server,
    api_key,
    build_command,
    build_env,
    default_server,
    served_name,
    show_command,
)
from qwen_runtime.launcher.driver import check_driver
from qwen_runtime.launcher.free_memory import check_free_memory
from qwen_runtime.launcher.host import Host
from qwen_runtime.launcher.visible_cards import visible_cards
from qwen_runtime.launcher.warnings_of_host import explain_slow_host
from tests.runtime.launcher.launchers import CPU, GIB, L4, RTX4090, plan_row

ROWS = (plan_row(RTX4090), plan_row(L4))


def card(index: int = 0, name: str = "NVIDIA L4", used_gib: int = 0, **changes: object) -> Card:
    fields: dict[str, object] = {
        "index": index,
        "uuid": f"GPU-{index}",
        "name": name,
        "compute_capability": "8.9",
        "memory": Memory(total_bytes=L4.memory_bytes, used_bytes=used_gib * GIB),
    }
    return Card(**fields | changes)  # type: ignore[arg-type]


def big(index: int) -> Card:
    return card(
        index,
        "NVIDIA GeForce RTX 4090",
        memory=Memory(total_bytes=RTX4090.memory_bytes, used_bytes=0),
    )


def refusal(found: Choice | Failure) -> Failure:
    assert isinstance(found, Failure)
    return found


def choice(found: Choice | Failure) -> Choice:
    assert isinstance(found, Choice), found
    return found


def test_each_card_gets_its_own_row() -> None:
    assert choice(choose_row(ROWS, (card(),), "")).row.card == L4
    assert choice(choose_row(ROWS, (big(0),), "")).row.card == RTX4090


def test_a_card_without_a_row_is_passed_over_for_one_that_has() -> None:
    other = card(0, "NVIDIA T400")
    assert choice(choose_row(ROWS, (other, card(1)), "")).cards == (card(1),)


def test_tensor_parallel_takes_cards_of_one_kind() -> None:
    rows = tuple(dataclasses.replace(row, tensor_parallel_size=2) for row in ROWS)
    found = choice(choose_row(rows, (big(0), card(1), card(2), card(3)), ""))
    assert [each.index for each in found.cards] == [1, 2]
    assert "sees 4 GPUs and uses 2" in found.warnings[0]
    failure = refusal(choose_row(rows, (big(0), card(1)), ""))
    assert failure.reason is FailureReason.GPU_MISSING
    assert "spec.tensorParallelSize is 2" in failure.message


def test_no_card_is_missing_unless_the_plan_has_a_cpu() -> None:
    failure = refusal(choose_row(ROWS, (), "NVML: Driver Not Loaded"))
    assert failure.reason is FailureReason.GPU_MISSING
    assert "Driver Not Loaded" in failure.message
    assert "RTX4090, L4" in failure.message
    assert choice(choose_row((*ROWS, plan_row(CPU)), (), "")).row.card == CPU
    assert choice(choose_row((plan_row(CPU),), (card(0, "NVIDIA T400"),), "")).cards == ()


def test_a_card_that_is_not_planned_is_a_mismatch_that_says_both() -> None:
    failure = refusal(choose_row(ROWS, (card(0, "NVIDIA A10G"),), ""))
    assert failure.reason is FailureReason.GPU_MISMATCH
    assert "1 × NVIDIA A10G of 22.04 GiB" in failure.message  # noqa: RUF001
    assert "the plan is for RTX4090, L4" in failure.message


def test_a_card_smaller_than_the_plan_s_is_a_mismatch_or_a_warning() -> None:
    tiny = card(memory=Memory(total_bytes=12 * GIB, used_bytes=0))
    assert refusal(choose_row(ROWS, (tiny,), "")).reason is FailureReason.GPU_MISMATCH
    less = card(memory=Memory(total_bytes=21 * GIB, used_bytes=0))
    assert "the plan counts on 22.04 GiB" in choice(choose_row(ROWS, (less,), "")).warnings[0]
    other = card(compute_capability="8.6")
    assert "8.6" in refusal(choose_row(ROWS, (other,), "")).message


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["NVIDIA L4", "NVIDIA GeForce RTX 4090", "NVIDIA T400"]), max_size=5),
    st.integers(1, 4),
)
def test_what_is_chosen_is_there_and_planned(names: list[str], size: int) -> None:
    rows = tuple(
        dataclasses.replace(row, tensor_parallel_size=size, needed_bytes=1) for row in ROWS
    )
    cards = tuple(card(index, name) for index, name in enumerate(names))
    found = choose_row(rows, cards, "none")
    if isinstance(found, Choice):
        assert len(found.cards) == size
        assert set(found.cards) <= set(cards)
        assert {each.product_label for each in found.cards} <= set(found.row.card.product_labels)
    else:
        most = max(names.count(name) for name in ("NVIDIA L4", "NVIDIA GeForce RTX 4090"))
        # Too few of each kind that the plan has, or the larger kind's memory on a smaller card.
        assert most < size or "NVIDIA GeForce RTX 4090" in names or most == 0


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, [0, 1, 2]),
        ({"CUDA_VISIBLE_DEVICES": "2,0"}, [2, 0]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-1"}, [1]),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, []),
        ({"CUDA_VISIBLE_DEVICES": "0,9,1"}, [0]),
        ({"CUDA_VISIBLE_DEVICES": "1,1"}, []),
        ({"NVIDIA_VISIBLE_DEVICES": "GPU-2"}, [2]),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, [0, 1, 2]),
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, [0, 1, 2]),
        ({"NVIDIA_VISIBLE_DEVICES": "1"}, [0, 1, 2]),
        ({"NVIDIA_VISIBLE_DEVICES": "GPU-1,GPU-2", "CUDA_VISIBLE_DEVICES": "1"}, [2]),
    ],
)
def test_visible_cards_are_cuda_s(environ: dict[str, str], expected: list[int]) -> None:
    cards = (card(0), card(1), card(2))
    assert [each.index for each in visible_cards(cards, environ)] == expected


def test_the_fullest_card_decides() -> None:
    row = plan_row(L4, tensor_parallel_size=2)
    assert check_free_memory(row, (card(0, used_gib=2), card(1))) is None
    hidden = check_free_memory(row, (card(0, used_gib=1), card(1, used_gib=9)))
    assert hidden is not None
    assert "GPU 1" in hidden.message
    assert "cannot see" in hidden.message
    many = tuple(GpuProcess(pid=pid, name=None, used_bytes=pid) for pid in range(6))
    named = check_free_memory(row, (card(0, used_gib=9, processes=many), card(1)))
    assert named is not None
    assert "and 2 more" in named.message


def test_a_driver_is_judged_only_where_something_is_known() -> None:
    assert check_driver("0.33.0", "580.65.06", {}) is None
    assert check_driver("0.33.0", "not a number", {}) is None
    assert check_driver("9.99.0", "470.1", {}) is None
    assert check_driver("0.33.0", "570.1", {"VLLM_ENABLE_CUDA_COMPATIBILITY": "1"}) is None
    failure = check_driver("0.33.0", "570.1", {})
    assert failure is not None
    assert failure.reason is FailureReason.DRIVER_TOO_OLD


def test_the_command_is_the_plan_s_with_our_flags_last() -> None:
    found = Choice(row=plan_row(L4, args=("--max-model-len", "8192")), cards=(card(),))
    server = default_server("python3", "/usr/bin/vllm", on_cpu=False)
    command = build_command(server, found, "/models/x", port=8000, shutdown_seconds=20)
    assert command[:5] == ("/usr/bin/vllm", "serve", "/models/x", "--max-model-len", "8192")
    assert command[5:9] == ("--port", "8000", "--shutdown-timeout", "20")
    on_cpu = default_server("python3", "/usr/bin/vllm", on_cpu=True)
    assert on_cpu.words[:2] == ("python3", "-m")
    assert build_command(on_cpu, found, "m", port=1, shutdown_seconds=1)[3:5] == ("--model", "m")
    assert default_server("python3", None, on_cpu=False) == on_cpu
    assert Server(words=("x",)).model_flag is False


def test_the_plan_s_environment_wins_and_cards_are_hidden_only_where_cuda_would_show_more() -> None:
    found = Choice(row=plan_row(L4, env={"OMP_NUM_THREADS": "1"}), cards=(card(1),))
    environ = {"OMP_NUM_THREADS": "8", "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "0"}
    env = build_env(found, environ, (card(0), card(1)))
    assert env["OMP_NUM_THREADS"] == "1"
    assert env["HF_HUB_OFFLINE"] == "0"
    assert env["CUDA_VISIBLE_DEVICES"] == "GPU-1"
    assert "PYTHONDONTWRITEBYTECODE" not in env
    assert "CUDA_VISIBLE_DEVICES" not in build_env(found, {}, (card(1),))
    assert build_env(found, {}, ())["HF_HUB_OFFLINE"] == "1"


def test_the_warm_up_uses_the_name_and_key_that_vllm_was_given() -> None:
    assert served_name(("--served-model-name", "a", "--x"), "m") == "a"
    assert served_name(("--served-model-name=b",), "m") == "b"
    assert served_name((), "m") == "m"
    assert api_key(("--api-key", "k"), {}) == "k"
    assert api_key((), {"VLLM_API_KEY": "e"}) == "e"
    assert api_key((), {}) is None


def test_a_key_is_not_logged() -> None:
    command = ("vllm", "serve", "m", "--api-key", "secret", "--api-key=secret", '{"a": 1}')
    assert show_command(command) == "vllm serve m --api-key '***' '--api-key=***' '{\"a\": 1}'"


def test_what_slows_a_replica_down_is_told() -> None:
    slow = Host(cpus=1, numa_balancing=True, numa_nodes=2)
    told = " ".join(explain_slow_host(slow, (card(mig=True),), {"CUDA_MPS_PIPE_DIRECTORY": "/x"}))
    assert all(word in told for word in ("CPUs", "NUMA", "MPS", "MIG"))
    fast = Host(cpus=8, numa_balancing=True, numa_nodes=1)
    assert explain_slow_host(fast, (card(),), {}) == ()
