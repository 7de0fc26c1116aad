"""The operator's loop on a real API server, with fake GPU nodes that run nothing."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.api import Refused, eventually, has_condition
from e2e.cluster.audit import read_writes
from e2e.fixtures import Cluster
from e2e.objects import KIND, VERSION, namespace
from e2e.operator_process import OperatorProcess
from qwen_operator.cluster.api import USER_AGENT
from tests.e2e.fake_gpus import CHILD_KINDS, children, owner, until

pytestmark = pytest.mark.control_plane
QUIET_SECONDS = 5


def test_it_serves_stays_quiet_and_leaves_nothing(operator: Cluster) -> None:
    async def scenario() -> None:
        async with operator.connect() as api, namespace(api) as where:
            await api.create(owner(where))
            served = await until(api, where, "Serving")
            assert served["status"]["readyReplicas"] == 1
            assert served["status"]["plan"][0]["fits"] is True
            assert "finalizers" not in served["metadata"]
            assert "annotations" not in served["metadata"]
            assert {kind for kind, _ in await children(api, where)} == {k for _, k in CHILD_KINDS}

            assert operator.audit_log is not None
            before = our_writes(operator.audit_log, where)
            assert before > 0
            await asyncio.sleep(QUIET_SECONDS)
            assert our_writes(operator.audit_log, where) == before

            await api.delete(VERSION, KIND, "small", where)

            async def gone() -> bool:
                return await children(api, where) == []

            # The garbage collector learns of a new CRD at its next resync, up to 30 s later.
            await eventually(gone, "no child is left", timeout_seconds=120)

    asyncio.run(scenario())


def our_writes(log: Path, where: str) -> int:
    return sum(
        write.user_agent.startswith(USER_AGENT) and write.namespace == where
        for write in read_writes(log)
    )


def test_edits_and_deletions_of_children_heal(operator: Cluster) -> None:
    async def scenario() -> None:
        async with operator.connect() as api, namespace(api) as where:
            await api.create(owner(where))
            await until(api, where, "Serving")
            await api.delete("v1", "Service", "small", where)
            await api.request(
                "PATCH",
                await api.path("apps/v1", "Deployment", "small", where),
                {"spec": {"replicas": 2}},
                content_type="application/merge-patch+json",
            )

            async def healed() -> bool:
                deployment = await api.get("apps/v1", "Deployment", "small", where)
                await api.get("v1", "Service", "small", where)
                return bool(deployment["spec"]["replicas"] == 1)

            await eventually(healed, "the Service is back and one replica is wanted")

    asyncio.run(scenario())


def test_a_change_rolls_out_with_its_reason(operator: Cluster) -> None:
    async def scenario() -> None:
        async with operator.connect() as api, namespace(api) as where:
            await api.create(owner(where))
            await until(api, where, "Serving")
            await api.apply(owner(where, contextLength=16384))

            async def told() -> bool:
                events = await api.list("v1", "Event", where)
                return any("contextLength 8192 → 16384" in each["message"] for each in events)

            await eventually(told, "the rollout is explained")
            await until(api, where, "Serving")

            async def one_plan() -> bool:
                names = [name for kind, name in await children(api, where) if kind == "ConfigMap"]
                return len(names) == 1

            await eventually(one_plan, "the old plan is pruned")

    asyncio.run(scenario())


def test_what_does_not_fit_is_stalled_without_pods_and_recovers(operator: Cluster) -> None:
    async def scenario() -> None:
        async with operator.connect() as api, namespace(api) as where:
            await api.create(owner(where, model="Qwen/Qwen3-32B"))
            stalled = await until(api, where, "PlanDoesNotFit")
            assert has_condition(stalled, "Stalled")
            (message,) = (
                each["message"]
                for each in stalled["status"]["conditions"]
                if each["type"] == "Stalled"
            )
            assert "needs 2.00 GiB of KV cache" in message
            assert "Nearest that fit L4" in message
            with pytest.raises(Refused, match="not found"):
                await api.get("apps/v1", "Deployment", "small", where)
            await api.apply(owner(where))
            served = await until(api, where, "Serving")
            assert not has_condition(served, "Stalled")

    asyncio.run(scenario())


def test_waiting_for_a_card_is_explained(operator: Cluster) -> None:
    async def scenario() -> None:
        async with operator.connect() as api, namespace(api) as where:
            await api.create(owner(where, replicas=3))
            waiting = await until(api, where, "NoFreeGpu")
            ready = next(c for c in waiting["status"]["conditions"] if c["type"] == "Ready")
            assert ready["message"].endswith("no free GPU: 2 of 2 L4 taken")
            assert has_condition(waiting, "Reconciling")
            await api.apply(owner(where, suspend=True))
            await until(api, where, "Suspended")

    asyncio.run(scenario())


def test_a_foreign_child_is_left_alone_and_named(operator: Cluster) -> None:
    async def scenario() -> None:
        async with operator.connect() as api, namespace(api) as where:
            service = {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "small", "namespace": where},
                "spec": {"ports": [{"port": 1234}]},
            }
            await api.create(service)
            await api.create(owner(where))
            found = await until(api, where, "ForeignChild")
            ready = next(c for c in found["status"]["conditions"] if c["type"] == "Ready")
            assert ready["message"].startswith("Service small exists and belongs to somebody else")
            kept = await api.get("v1", "Service", "small", where)
            assert [port["port"] for port in kept["spec"]["ports"]] == [1234]

    asyncio.run(scenario())


def test_a_second_operator_changes_nothing_and_its_end_neither(
    operator: Cluster, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with operator.connect() as api, namespace(api) as where:
            await api.create(owner(where))
            await until(api, where, "Serving")
            before = await api.get("apps/v1", "Deployment", "small", where)
            with OperatorProcess(operator.kubeconfig, tmp_path / "log"):
                await asyncio.sleep(QUIET_SECONDS)
            after = await api.get("apps/v1", "Deployment", "small", where)
            assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"cache": {"type": "EmptyDir", "path": "/a"}}, "spec.cache.path is for spec.cache.type"),
        ({"accelerators": [{"name": "L4", "memoryMib": 20000}]}, "the memory of L4"),
        ({"accelerators": [{"name": "L4"}, {"name": "CPU"}]}, "CPU"),
        ({"contextLenght": 8192}, "contextLenght"),
    ],
)
def test_a_contradiction_is_refused_at_admission_with_a_sentence(
    operator: Cluster, spec: dict[str, Any], said: str
) -> None:
    async def scenario() -> None:
        async with operator.connect() as api, namespace(api) as where:
            with pytest.raises(Refused, match=re.escape(said)):
                await api.request(
                    "POST",
                    await api.path(VERSION, KIND, "", where),
                    owner(where, **spec),
                    query={"fieldValidation": "Strict"},
                )

    asyncio.run(scenario())


def test_a_status_that_somebody_has_spoilt_is_written_anew(operator: Cluster) -> None:
    async def scenario() -> None:
        async with operator.connect() as api, namespace(api) as where:
            await api.create(owner(where))
            served = await until(api, where, "Serving")
            path = await api.path(VERSION, KIND, "small", where)
            spoilt = {"status": {"conditions": [], "plan": [], "readyReplicas": 7}}
            await api.request(
                "PATCH", f"{path}/status", spoilt, content_type="application/merge-patch+json"
            )
            again = await until(api, where, "Serving")
            assert again["status"]["readyReplicas"] == served["status"]["readyReplicas"]

    asyncio.run(scenario())


def test_a_refused_new_child_holds_up_the_pods_until_it_is_taken(operator: Cluster) -> None:
    async def scenario() -> None:
        async with operator.connect() as api, namespace(api) as where:
            quota = {
                "apiVersion": "v1",
                "kind": "ResourceQuota",
                "metadata": {"name": "none", "namespace": where},
                "spec": {"hard": {"services": "0"}},
            }
            await api.create(quota)
            await api.create(owner(where))
            refused = await until(api, where, "ChildRefused")
            ready = next(c for c in refused["status"]["conditions"] if c["type"] == "Ready")
            assert ready["message"].startswith("Service small is refused: ")
            assert "Deployment" not in {kind for kind, _ in await children(api, where)}
            await api.delete("v1", "ResourceQuota", "none", where)
            await until(api, where, "Serving")

    asyncio.run(scenario())


def test_a_claim_that_cannot_grow_holds_up_nothing_else(operator: Cluster) -> None:
    async def scenario() -> None:
        async with operator.connect() as api, namespace(api) as where:
            # Nobody provides volumes here, and a claim without one cannot grow.
            await api.apply(owner(where, cache={"size": "20Gi"}))
            await until(api, where, "Unschedulable")
            await api.apply(owner(where, cache={"size": "30Gi"}, replicas=2))
            refused = await until(api, where, "ChildRefused")
            ready = next(c for c in refused["status"]["conditions"] if c["type"] == "Ready")
            assert ready["message"].startswith("PersistentVolumeClaim small-cache is refused: ")
            deployment = await api.get("apps/v1", "Deployment", "small", where)
            assert deployment["spec"]["replicas"] == 2

    asyncio.run(scenario())
