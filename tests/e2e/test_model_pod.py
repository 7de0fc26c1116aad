"""From a QwenDeployment to answers of a real vLLM, on a real node."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from benchmarks.replacement.scenario import replace_pods
from e2e.fixtures import Cluster
from e2e.product import (
    MODEL,
    Product,
    ask,
    condition,
    installed,
    model_namespace,
    model_pods,
    owner,
    report,
    run_in,
    until,
)
from qwen_contract.report import OUR_PHASES

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def product(node: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with installed(node, tmp_path_factory.mktemp("hub")) as there:
        yield there


def test_it_serves_says_what_it_measured_and_starts_again_after_its_engine_died(
    product: Product,
) -> None:
    async def scenario() -> None:
        async with model_namespace(product) as (api, where):
            await api.create(owner(product, where))
            served = await until(api, where, "Serving")
            assert condition(served, "WeightsReady")["reason"] == "WeightsFetched"
            answer = await ask(api, where)
            assert answer["model"] == MODEL
            assert answer["usage"]["completion_tokens"] == 8

            (pod,) = await model_pods(api, where)
            told = await report(api, where, pod["metadata"]["name"])
            assert told["measured"]["kv_cache_tokens"] > 0
            assert told["commit"] is not None
            assert any(phase["name"].startswith(OUR_PHASES) for phase in told["phases"])
            (row,) = served["status"]["plan"]
            # What the plan computed from the pinned bytes is what vLLM made of them.
            assert row["kvCacheTokens"] == told["measured"]["kv_cache_tokens"]

            await run_in(product, where, pod["metadata"]["name"], "python3", "-c", _KILL_ENGINE)
            dead = await until(api, where, "EngineDead")
            assert "restarted" in condition(dead, "Ready")["message"]
            again = await until(api, where, "Serving")
            assert again["status"]["readyReplicas"] == 1
            await ask(api, where)

    asyncio.run(scenario())


_KILL_ENGINE = """
import os, pathlib, signal
for folder in pathlib.Path("/proc").iterdir():
    if folder.name.isdigit() and (folder / "comm").read_text().startswith("VLLM::"):
        os.kill(int(folder.name), signal.SIGKILL)
"""


def test_no_request_is_lost_while_pods_are_replaced(product: Product) -> None:
    traffic = asyncio.run(replace_pods(product, times=2, requests=100, say=print))
    assert traffic.faults == {}
    assert traffic.complete >= 100
