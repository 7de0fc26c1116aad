"""What a decision needs of a pod, read from its status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qwen_contract import pod as places
from qwen_contract.errors import Unreadable
from qwen_contract.failure import Failure, FailureReason, Stage, read_failure
from qwen_operator.reconcile.observed import PodState, WeightsState

_OUT_OF_MEMORY = "OOMKilled"

Status = Mapping[str, Any]


def pod_state(pod: Mapping[str, Any]) -> PodState:
    """The pod by its conditions, its containers' states and their termination messages."""
    status = pod.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled", {})
    return PodState(
        name=pod["metadata"]["name"],
        uid=pod["metadata"].get("uid", ""),
        address=status.get("podIP"),
        ready=conditions.get("Ready", {}).get("status") == "True",
        scheduled=scheduled.get("status") == "True",
        unschedulable=(
            str(scheduled.get("message", "no node takes it"))
            if scheduled.get("reason") == "Unschedulable"
            else None
        ),
        waiting=next(_waiting(status), None),
        weights=_weights_state(status),
        failure=next(_failures(status), None),
        restarts=sum(int(each.get("restartCount", 0)) for each in _containers(status)),
    )


def _containers(status: Status) -> Iterator[Status]:
    """Ours, in the order in which they run."""
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def _waiting(status: Status) -> Iterator[str]:
    for container in _containers(status):
        waiting = (container.get("state") or {}).get("waiting")
        # What waits for its turn needs no mention.
        if waiting and waiting.get("reason") not in {"PodInitializing", "ContainerCreating"}:
            yield ": ".join(filter(None, (waiting.get("reason"), waiting.get("message"))))


def _weights_state(status: Status) -> WeightsState:
    for container in status.get("initContainerStatuses") or ():
        if container["name"] != places.WEIGHTS_CONTAINER:
            continue
        state = container.get("state") or {}
        if "terminated" in state:
            ended_well = state["terminated"].get("exitCode") == 0
            return WeightsState.READY if ended_well else WeightsState.FAILED
        if "running" in state:
            return WeightsState.FETCHING
        return WeightsState.FAILED if container.get("restartCount") else WeightsState.PENDING
    return WeightsState.PENDING


def _failures(status: Status) -> Iterator[Failure]:
    """Of each container the last end that was none it was asked for."""
    for container in _containers(status):
        for part in ("state", "lastState"):
            ended = (container.get(part) or {}).get("terminated")
            if ended is not None:
                if ended.get("exitCode") != 0:
                    yield _read_end(ended, container["name"])
                break


def _read_end(ended: Status, container: str) -> Failure:
    message = str(ended.get("message") or "")
    try:
        return read_failure(message)
    except Unreadable:
        fetching = container == places.WEIGHTS_CONTAINER
        stage = Stage.FETCH if fetching else Stage.START
        if ended.get("reason") == _OUT_OF_MEMORY:
            return Failure(
                reason=FailureReason.HOST_OUT_OF_MEMORY,
                stage=stage,
                message=f"container {container} needed more main memory than its limit; "
                "raise spec.resources.memory",
            )
        last = message.strip().splitlines()[-1:] or [str(ended.get("reason") or "no message")]
        return Failure(
            reason=FailureReason.UNKNOWN,
            stage=stage,
            message=f"container {container} ended with {ended.get('exitCode')}: {last[0]}",
        )
