"""A pass over what no cluster needs to hold: nothing, strangers, and nonsense."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_contract.failure import Failure, FailureReason, Stage
from qwen_contract.report import Measured, Phase, Report, State
from qwen_operator.reconcile.observed import GpuUse, Observed, PodState, WeightsState
from qwen_operator.reconcile.outcome import Outcome
from qwen_operator.reconcile.reconcile import reconcile
from qwen_operator.settings import read_settings

SETTINGS = read_settings({}).children
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def owner(status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "qwen-operator.io/v1alpha1",
        "kind": "QwenDeployment",
        "metadata": {"name": "chat", "namespace": "models", "uid": "u-1", "generation": 3},
        "spec": {"model": "Qwen/Qwen3-4B", "accelerators": [{"name": "L4"}], **spec},
        **({} if status is None else {"status": status}),
    }


def observe(document: dict[str, Any], **seen: Any) -> Observed:
    return Observed(**{"owner": document, "children": {}, "now": NOW, **seen})


def condition(outcome: Outcome, kind: str) -> dict[str, Any]:
    assert outcome.status is not None
    return next(each for each in outcome.status["conditions"] if each["type"] == kind)


def test_children_come_before_what_refers_to_them() -> None:
    kinds = [child["kind"] for child in reconcile(observe(owner()), SETTINGS).apply]
    assert kinds[-1] == "Deployment"
    assert kinds.index("ConfigMap") < kinds.index("Deployment")
    assert kinds.index("NetworkPolicy") < kinds.index("Service")


def test_the_same_status_is_not_written_again_and_tells_no_event() -> None:
    first = reconcile(observe(owner()), SETTINGS)
    again = reconcile(observe(owner(status=dict(first.status or {}))), SETTINGS)
    assert first.events
    assert (again.status, again.events) == (None, ())


def test_a_condition_keeps_its_transition_time_while_its_status_stays() -> None:
    first = reconcile(observe(owner()), SETTINGS)
    later = datetime(2026, 1, 3, tzinfo=UTC)
    pod = PodState(
        name="p",
        ready=False,
        scheduled=False,
        unschedulable="0/1 nodes",
        waiting=None,
    )
    second = reconcile(
        observe(owner(status=dict(first.status or {})), now=later, pods=(pod,)), SETTINGS
    )
    ready = condition(second, "Ready")
    assert ready["reason"] == "Unschedulable"
    assert ready["lastTransitionTime"] == "2026-01-02T03:04:05Z"
    assert condition(second, "Scheduled")["lastTransitionTime"] == "2026-01-03T00:00:00Z"


def test_a_pod_that_waits_for_a_gpu_is_looked_at_again() -> None:
    pod = PodState(
        name="p",
        ready=False,
        scheduled=False,
        unschedulable="0/4 nodes are available",
        waiting=None,
    )
    gpus = GpuUse(free={"NVIDIA-L4": 0}, total={"NVIDIA-L4": 3})
    outcome = reconcile(observe(owner(), pods=(pod,), gpus=gpus), SETTINGS)
    assert condition(outcome, "Ready")["message"] == (
        "1 of 1 replicas wait: no free GPU: 3 of 3 L4 taken"
    )
    assert outcome.requeue_after_seconds is not None


def test_a_stranger_of_the_same_name_is_neither_applied_nor_removed() -> None:
    stranger = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "chat", "uid": "s", "resourceVersion": "1"},
        "spec": {},
    }
    outcome = reconcile(observe(owner(), children={("Service", "chat"): stranger}), SETTINGS)
    assert "Service" not in {child["kind"] for child in outcome.apply}
    assert outcome.prune == ()
    assert condition(outcome, "Stalled")["reason"] == "ForeignChild"


@pytest.mark.parametrize("mounted", [True, False])
def test_an_old_plan_goes_when_the_last_pod_that_mounts_it_has_ended(mounted: bool) -> None:
    old = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "chat-plan-old",
            "uid": "c",
            "resourceVersion": "1",
            "ownerReferences": [{"kind": "QwenDeployment", "name": "chat", "uid": "u-1"}],
        },
    }
    mounts = frozenset({"chat-plan-old"} if mounted else ())
    seen = observe(
        owner(), children={("ConfigMap", "chat-plan-old"): old}, mounted_config_maps=mounts
    )
    removed = [removal.name for removal in reconcile(seen, SETTINGS).prune]
    assert removed == ([] if mounted else ["chat-plan-old"])


def test_a_namesake_of_an_earlier_owner_counts_as_a_stranger() -> None:
    earlier = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "chat",
            "uid": "s",
            "resourceVersion": "1",
            "ownerReferences": [{"kind": "QwenDeployment", "name": "chat", "uid": "u-0"}],
        },
        "spec": {},
    }
    outcome = reconcile(observe(owner(), children={("Service", "chat"): earlier}), SETTINGS)
    assert outcome.prune == ()
    assert condition(outcome, "Ready")["reason"] == "ForeignChild"


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"model": "Qwen/Qwen9-1T"}, "UnknownModel"),
        ({"accelerators": [{"name": "H9000"}]}, "UnknownAccelerator"),
        ({"model": "Qwen/Qwen3-32B"}, "PlanDoesNotFit"),
        ({"contextLength": "long"}, "InvalidSpec"),
    ],
)
def test_what_only_the_user_can_mend_is_stalled_and_has_no_pods(
    spec: dict[str, Any], reason: str
) -> None:
    outcome = reconcile(observe(owner(**spec)), SETTINGS)
    assert condition(outcome, "Stalled")["reason"] == reason
    assert "Deployment" not in {child["kind"] for child in outcome.apply}
    assert outcome.events[0].warning


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(string.printable, max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["model", "precision", "contextLength", "tensorParallelSize", "engine", "cache", "pod"]
        ),
        json_values,
    )
)
def test_no_spec_raises(spec: dict[str, Any]) -> None:
    outcome = reconcile(observe(owner(**spec)), SETTINGS)
    assert condition(outcome, "Ready")["message"]


def failed_pod(reason: FailureReason, weights: WeightsState = WeightsState.READY) -> PodState:
    return PodState(
        name="p",
        ready=False,
        scheduled=True,
        unschedulable=None,
        waiting="CrashLoopBackOff",
        weights=weights,
        failure=Failure(reason=reason, stage=Stage.START, message="say it in a sentence"),
        restarts=2,
    )


@pytest.mark.parametrize(
    ("reason", "other"),
    [(FailureReason.ACCESS_DENIED, "Stalled"), (FailureReason.GPU_BUSY, "Reconciling")],
)
def test_a_failed_container_is_told_by_its_own_reason(reason: FailureReason, other: str) -> None:
    outcome = reconcile(observe(owner(), pods=(failed_pod(reason),)), SETTINGS)
    ready = condition(outcome, "Ready")
    assert ready["reason"] == reason
    assert ready["message"] == "pod p, restarted 2 times: say it in a sentence"
    assert condition(outcome, other)["reason"] == reason


def test_weights_that_cannot_be_had_are_told_by_their_own_condition() -> None:
    pod = failed_pod(FailureReason.DOWNLOAD_FAILED, WeightsState.FAILED)
    outcome = reconcile(observe(owner(), pods=(pod,)), SETTINGS)
    assert condition(outcome, "WeightsReady")["reason"] == "DownloadFailed"
    pod = failed_pod(FailureReason.GPU_BUSY, WeightsState.READY)
    outcome = reconcile(observe(owner(), pods=(pod,)), SETTINGS)
    assert condition(outcome, "WeightsReady")["status"] == "True"


REPORT = Report(
    state=State.SERVING,
    card="L4",
    vllm_version="0.33.0",
    phases=(Phase(name="Import", seconds=40.2), Phase(name="WarmUp", seconds=1.5)),
    measured=Measured(kv_cache_tokens=1000, device_bytes_peak=(1 << 30) + 1),
    commit="c0ffee",
)


def measured(outcome: Outcome) -> Any:
    assert outcome.status is not None
    return outcome.status["plan"][0].get("measured")


def test_what_replicas_measured_stands_beside_their_plan_and_stays_as_long_as_that() -> None:
    first = reconcile(observe(owner(), reports=(REPORT, REPORT)), SETTINGS)
    told = {
        "replicas": 2,
        "kvCacheTokens": 1000,
        "deviceBytesPeak": (1 << 30) + (64 << 20),
        "startSeconds": 42,
        "commit": "c0ffee",
    }
    assert measured(first) == told
    before = dict(first.status or {})
    quiet = reconcile(observe(owner(status=before), reports=()), SETTINGS)
    assert quiet.status is None
    changed = reconcile(observe(owner(status=before, contextLength=16384)), SETTINGS)
    assert measured(changed) == told, "the KV cache has the same bytes"
    other = reconcile(observe(owner(status=before, precision="fp8")), SETTINGS)
    assert measured(other) is None


@pytest.mark.parametrize("spec", [{"model": "Qwen/None"}, {"novel": 1}, {"contextLength": -1}])
def test_a_spec_that_is_not_understood_takes_nothing_away(spec: dict[str, Any]) -> None:
    mine = {"ownerReferences": [{"kind": "QwenDeployment", "name": "chat", "uid": "u-1"}]}
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "chat-cache", "uid": "c", "resourceVersion": "1", **mine},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "9Gi"}}},
    }
    children = {("PersistentVolumeClaim", "chat-cache"): claim}
    outcome = reconcile(observe(owner(**spec), children=children), SETTINGS)
    assert outcome.prune == ()
    assert condition(outcome, "Stalled")["status"] == "True"


def test_what_the_api_server_refuses_is_said_and_not_stalled() -> None:
    outcome = reconcile(observe(owner()), SETTINGS, refusal="Service chat is refused: quota")
    ready = condition(outcome, "Ready")
    assert (ready["reason"], ready["message"]) == ("ChildRefused", "Service chat is refused: quota")
    assert condition(outcome, "Reconciling")["reason"] == "ChildRefused"


def test_a_stranger_s_claim_is_not_mounted_and_is_looked_at_again() -> None:
    stranger = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "chat-cache", "uid": "s", "resourceVersion": "1"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "9Gi"}}},
    }
    seen = observe(owner(), children={("PersistentVolumeClaim", "chat-cache"): stranger})
    outcome = reconcile(seen, SETTINGS)
    assert "Deployment" not in {child["kind"] for child in outcome.apply}
    assert outcome.requeue_after_seconds is not None


def test_a_card_that_is_listed_twice_is_one_row_of_the_status() -> None:
    cards = [{"name": "L4"}, {"name": "NVIDIA-L4", "reservedMemoryMib": 2048}]
    outcome = reconcile(observe(owner(accelerators=cards)), SETTINGS)
    assert outcome.status is not None
    (row,) = outcome.status["plan"]
    (alone,) = (reconcile(observe(owner(accelerators=cards[1:])), SETTINGS).status or {})["plan"]
    assert row["kvCacheBytes"] == alone["kvCacheBytes"]


def test_the_selector_of_the_scale_subresource_is_that_of_the_pods() -> None:
    for spec in ({}, {"novel": 1}):
        status = reconcile(observe(owner(**spec)), SETTINGS).status or {}
        assert status["selector"] == (
            "app.kubernetes.io/name=qwen,app.kubernetes.io/instance=chat,"
            "app.kubernetes.io/component=model"
        )
