"""Two operators beside each other: one works, and the other takes over when it is gone."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from e2e.cluster.api import Api, eventually
from e2e.fixtures import Cluster
from e2e.objects import install_crd, namespace
from tests.e2e.test_operator import owner, until

pytestmark = pytest.mark.control_plane
TAKE_OVER_SECONDS = 40
"""The Lease's 15, tries every 2, and two busy cores."""


def candidate(cluster: Cluster, where: str, log: Path, port: int) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "KUBECONFIG": str(cluster.kubeconfig),
        "QWEN_OPERATOR_LEADER_ELECTION": "true",
        "QWEN_OPERATOR_NAMESPACE": where,
        "QWEN_OPERATOR_NAMESPACES": where,
        "QWEN_OPERATOR_HEALTH_PORT": str(port),
    }
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "qwen_operator"], env=environment, stdout=output, stderr=output
        )


async def holder(api: Api, where: str) -> str:
    lease = await api.get("coordination.k8s.io/v1", "Lease", "qwen-operator", where)
    return str(lease["spec"]["holderIdentity"])


def test_one_leads_and_another_takes_over(control_plane: Cluster, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with control_plane.connect() as api:
            await install_crd(api)
            async with namespace(api) as where:
                first = candidate(control_plane, where, tmp_path / "first", 18096)
                second = None
                try:
                    leader = await eventually(lambda: holder(api, where), "somebody leads")
                    second = candidate(control_plane, where, tmp_path / "second", 18095)

                    async def waits() -> bool:
                        return "waiting for the Lease" in (tmp_path / "second").read_text()

                    await eventually(waits, "the second waits")
                    await api.apply(owner(where, suspend=True))
                    await until(api, where, "Suspended")
                    assert "leading" not in (tmp_path / "second").read_text()

                    first.kill()
                    killed_at = time.monotonic()

                    async def other() -> bool:
                        return await holder(api, where) != leader

                    await eventually(other, "the second leads", TAKE_OVER_SECONDS)
                    print(f"taken over after {time.monotonic() - killed_at:.0f} s")
                    await api.apply(owner(where, replicas=0))
                    await until(api, where, "ScaledToZero")
                finally:
                    for process in filter(None, (first, second)):
                        process.kill()
                        process.wait()

    asyncio.run(scenario())
