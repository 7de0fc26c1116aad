"""The operator's image, installed by the chart, on a node that runs it."""

from __future__ import annotations

import asyncio

import pytest

from e2e.chart import CHART
from e2e.cluster.api import eventually, has_condition
from e2e.fixtures import Cluster
from e2e.images.product import OPERATOR
from e2e.objects import KIND, VERSION, install_crd, namespace
from e2e.tools import helm
from tests.e2e.fake_gpus import owner

pytestmark = pytest.mark.node


def test_it_runs_without_root_or_a_writable_disk_and_helm_test_passes(node: Cluster) -> None:
    repository, _, tag = node.load(OPERATOR).rpartition(":")

    async def scenario() -> None:
        async with (
            node.connect() as api,
            namespace(api, "restricted") as home,
            namespace(api) as where,
        ):
            # Others may be using the CRD of this cluster, so it is not this release's.
            await install_crd(api)
            settings = {
                "image.repository": repository,
                "image.tag": tag,
                "crds.enabled": "false",
                "watchNamespaces": f"{{{where}}}",
            }
            words = [word for pair in settings.items() for word in ("--set", "=".join(pair))]
            helm(node, "install", "op", CHART, "-n", home, "--wait", "--timeout=120s", *words)
            said = helm(node, "test", "op", "-n", home, "--timeout=120s")
            assert "Phase:          Succeeded" in said

            await api.create(owner(where, model="Qwen/Qwen3-32B"))

            async def refused() -> bool:
                found = await api.get(VERSION, KIND, "small", where)
                return has_condition(found, "Stalled")

            await eventually(refused, "the plan is refused", timeout_seconds=60)
            (pod,) = await api.list(
                "v1", "Pod", home, labelSelector="app.kubernetes.io/name=qwen-operator"
            )
            (status,) = pod["status"]["containerStatuses"]
            assert status["restartCount"] == 0
            helm(node, "uninstall", "op", "-n", home, "--wait", "--timeout=90s")

    asyncio.run(scenario())
