"""Argo CD's script, on the statuses that the operator really writes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lupa
import pytest

from qwen_operator.reconcile.observed import GpuUse, Observed, PodState
from qwen_operator.reconcile.reconcile import reconcile
from qwen_operator.settings import read_settings
from tests.desired.live import apply

SCRIPT = Path(__file__).parents[2] / "docs" / "gitops" / "argocd-health.lua"
SETTINGS = read_settings({}).children
WAITING = PodState(
    name="p", ready=False, scheduled=False, unschedulable="0/4 nodes are available", waiting=None
)
SERVING = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}


def health(document: dict[str, Any]) -> tuple[str, str]:
    """What Argo CD would show: it runs the script with the object as `obj`."""
    lua = lupa.LuaRuntime()
    lua.globals().obj = lua.table_from(document, recursive=True)
    answer = lua.execute(SCRIPT.read_text())
    return answer["status"], answer["message"]


def passed(spec: dict[str, Any], **seen: Any) -> dict[str, Any]:
    """A QwenDeployment after one pass over it."""
    document = {
        "apiVersion": "qwen-operator.io/v1alpha1",
        "kind": "QwenDeployment",
        "metadata": {"name": "chat", "namespace": "models", "uid": "u-1", "generation": 3},
        "spec": {"model": "Qwen/Qwen3-4B", "accelerators": [{"name": "L4"}], **spec},
    }
    observed = Observed(
        owner=document, now=datetime(2026, 1, 2, tzinfo=UTC), **{"children": {}, **seen}
    )
    return {**document, "status": dict(reconcile(observed, SETTINGS).status or {})}


def with_deployment(spec: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    """The same once its Deployment says this."""
    first = Observed(owner=passed(spec), children={}, now=datetime(2026, 1, 2, tzinfo=UTC))
    built = next(
        child for child in reconcile(first, SETTINGS).apply if child["kind"] == "Deployment"
    )
    live = {**apply(built), "status": status}
    return passed(spec, children={("Deployment", "chat"): live})


@pytest.mark.parametrize(
    ("document", "status", "reason"),
    [
        (passed({}), "Progressing", "RollingOut"),
        (
            passed({}, pods=(WAITING,), gpus=GpuUse(free={"NVIDIA-L4": 0}, total={"NVIDIA-L4": 3})),
            "Progressing",
            "NoFreeGpu",
        ),
        (with_deployment({}, SERVING), "Healthy", "Serving"),
        (passed({"replicas": 0}), "Healthy", "ScaledToZero"),
        (passed({"suspend": True}), "Suspended", "Suspended"),
        (passed({"model": "Qwen/Qwen3-32B"}), "Degraded", "PlanDoesNotFit"),
        (passed({"model": "Qwen/Qwen9-1T"}), "Degraded", "UnknownModel"),
        (passed({"contextLength": "long"}), "Degraded", "InvalidSpec"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_argo_cd_shows_the_health_and_why(
    document: dict[str, Any], status: str, reason: str
) -> None:
    shown, message = health(document)
    assert (shown, message.split(":")[0]) == (status, reason)


@pytest.mark.parametrize("status", [None, {}, {"observedGeneration": -1}])
def test_what_nobody_has_looked_at_is_in_progress(status: dict[str, Any] | None) -> None:
    document: dict[str, Any] = {"metadata": {"generation": 1}}
    if status is not None:
        document["status"] = status
    assert health(document)[0] == "Progressing"


def test_a_status_of_an_earlier_spec_counts_for_nothing() -> None:
    served = with_deployment({}, SERVING)
    edited = {**served, "metadata": {**served["metadata"], "generation": 4}}
    assert health(edited)[0] == "Progressing"
