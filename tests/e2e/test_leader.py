"""Two operators beside each other: one works, and the other takes over when it is gone."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from e2e.cluster.api import Api, eventually
from e2e.fixtures import Cluster
from e2e.objects import install_crd, namespace
from e2e.operator_process import OperatorProcess
from tests.e2e.fake_gpus import owner, until

pytestmark = pytest.mark.control_plane
TAKE_OVER_SECONDS = 40
"""The Lease's 15, tries every 2, and two busy cores."""


def candidate(cluster: Cluster, where: str, log: Path) -> OperatorProcess:
    settings = {"LEADER_ELECTION": "true", "NAMESPACE": where, "NAMESPACES": where}
    environment = {f"QWEN_OPERATOR_{name}": value for name, value in settings.items()}
    return OperatorProcess(cluster.kubeconfig, log, environment)


async def holder(api: Api, where: str) -> str:
    lease = await api.get("coordination.k8s.io/v1", "Lease", "qwen-operator", where)
    return str(lease["spec"]["holderIdentity"])


def test_one_leads_and_another_takes_over(control_plane: Cluster, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with control_plane.connect() as api:
            await install_crd(api)
            async with namespace(api) as where:
                with candidate(control_plane, where, tmp_path / "first") as first:
                    leader = await eventually(lambda: holder(api, where), "somebody leads")
                    with candidate(control_plane, where, tmp_path / "second") as second:

                        async def waits() -> bool:
                            return "waiting for the Lease" in second.log

                        await eventually(waits, "the second waits")
                        await api.apply(owner(where, suspend=True))
                        await until(api, where, "Suspended")
                        assert "leading" not in second.log

                        first.kill()
                        killed_at = time.monotonic()

                        async def other() -> bool:
                            return await holder(api, where) != leader

                        await eventually(other, "the second leads", TAKE_OVER_SECONDS)
                        print(f"taken over after {time.monotonic() - killed_at:.0f} s")
                        await api.apply(owner(where, replicas=0))
                        await until(api, where, "ScaledToZero")

    asyncio.run(scenario())
