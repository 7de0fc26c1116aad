"""A pod's own words: what it waits for, and how its containers ended."""

from __future__ import annotations

from typing import Any

import pytest

from qwen_contract.failure import Failure, FailureReason, Stage, write_failure
from qwen_operator.cluster.pod_state import pod_state
from qwen_operator.reconcile.observed import PodState, WeightsState

BUSY = Failure(
    reason=FailureReason.GPU_BUSY, stage=Stage.START, message="python3 (pid 7) holds 9 GiB"
)


def read(weights: Any = None, vllm: Any = None) -> PodState:
    def container(name: str, given: Any) -> list[dict[str, Any]]:
        return [] if given is None else [{"name": name, **given}]

    return pod_state(
        {
            "metadata": {"name": "p", "uid": "u"},
            "status": {
                "podIP": "10.0.0.1",
                "initContainerStatuses": container("weights", weights),
                "containerStatuses": container("vllm", vllm),
            },
        }
    )


def ended(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "message": message, "reason": reason}}


@pytest.mark.parametrize(
    ("weights", "state"),
    [
        (None, WeightsState.PENDING),
        ({"state": {"waiting": {"reason": "PodInitializing"}}}, WeightsState.PENDING),
        ({"state": {"running": {}}}, WeightsState.FETCHING),
        ({"state": ended(0)}, WeightsState.READY),
        ({"state": ended(1)}, WeightsState.FAILED),
        (
            {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 2},
            WeightsState.FAILED,
        ),
    ],
)
def test_the_weights_are_as_far_as_their_container(weights: Any, state: WeightsState) -> None:
    assert read(weights=weights).weights is state


def test_a_typed_end_is_read_from_the_state_before_while_it_waits_to_start_again() -> None:
    state = read(
        weights={"state": ended(0)},
        vllm={
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
            "lastState": ended(1, write_failure(BUSY)),
            "restartCount": 3,
        },
    )
    assert state.failure == BUSY
    assert state.restarts == 3
    assert state.waiting == "CrashLoopBackOff: back-off"


def test_an_end_that_was_asked_for_is_no_failure() -> None:
    assert read(vllm={"state": {"running": {}}, "lastState": ended(0)}).failure is None


def test_the_kernel_s_kill_names_the_memory_to_raise() -> None:
    failure = read(vllm={"state": ended(137, reason="OOMKilled")}).failure
    assert failure is not None
    assert failure.reason is FailureReason.HOST_OUT_OF_MEMORY
    assert "spec.resources.memory" in failure.message


def test_the_end_of_a_log_is_told_by_its_last_line() -> None:
    failure = read(weights={"state": ended(2, "Traceback\nKeyError: 'x'")}).failure
    assert failure is not None
    assert failure.reason is FailureReason.UNKNOWN
    assert failure.message == "container weights ended with 2: KeyError: 'x'"
