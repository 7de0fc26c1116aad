"""The command against a real API server, through the real kubectl."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest

from e2e.fixtures import Cluster
from e2e.objects import namespace
from tests.e2e.fake_gpus import owner, until

pytestmark = pytest.mark.control_plane


def qwen(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{cluster.kubeconfig.parent / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(  # noqa: S603 our own command
        [sys.executable, "-m", "qwen_operator.cli.main", *arguments],
        env={**os.environ, "PATH": path, "KUBECONFIG": str(cluster.kubeconfig)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_status_says_what_the_operator_says_and_exits_by_it(operator: Cluster) -> None:
    async def scenario() -> None:
        async with operator.connect() as api, namespace(api) as where:
            await api.create(owner(where))
            await until(api, where, "Serving")
            ready = qwen(operator, "status", "small", "-n", where)
            assert ready.returncode == 0, ready.stderr
            assert "Serving: 1 replicas serve" in ready.stdout
            assert "Last events" in ready.stdout
            await api.apply(owner(where, model="Qwen/Qwen3-32B"))
            await until(api, where, "PlanDoesNotFit")
            stalled = qwen(operator, "status", "small", "-n", where, "-o", "json")
            assert stalled.returncode == 3
            assert json.loads(stalled.stdout)["ready"] is False

    asyncio.run(scenario())


def test_what_is_not_there_is_one_sentence(operator: Cluster) -> None:
    answer = qwen(operator, "status", "nobody")
    assert answer.returncode == 1
    assert answer.stderr.strip().splitlines() == [
        'error: qwendeployments.qwen-operator.io "nobody" not found'
    ]


def test_a_plan_for_the_cards_of_the_cluster_names_and_counts_them(operator: Cluster) -> None:
    answer = qwen(operator, "plan", "--model", "Qwen/Qwen3-4B", "--cluster", "-o", "json")
    assert answer.returncode == 0, answer.stderr
    assert [row["gpu"] for row in json.loads(answer.stdout)] == ["L4"]
    assert answer.stderr.startswith("L4: ")
