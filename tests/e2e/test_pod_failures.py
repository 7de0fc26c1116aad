"""Every failure that a user meets, produced for real: told by its reason, and gone when mended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from e2e.cluster.api import Api
from e2e.cluster.gpus import L4
from e2e.cluster.node import offer_gpus
from e2e.fixtures import Cluster
from e2e.hub.faults import Fault
from e2e.product import (
    GATED_TOKEN,
    MODEL,
    Product,
    condition,
    installed,
    model_namespace,
    owner,
    until,
)

pytestmark = pytest.mark.node
FAILURE_SECONDS = 180


@pytest.fixture(scope="module")
def product(node: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with installed(node, tmp_path_factory.mktemp("hub")) as there:
        yield there


async def failed(api: Api, where: str, reason: str) -> str:
    """The sentence that goes with the reason."""
    found = await until(api, where, reason, FAILURE_SECONDS)
    return str(condition(found, "Ready")["message"])


def secret(where: str, token: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "hub", "namespace": where},
        "stringData": {"token": token},
    }


def test_a_wrong_token_is_refused_and_a_right_one_let_in(product: Product) -> None:
    async def scenario() -> None:
        async with model_namespace(product) as (api, where):
            product.hub.gated[MODEL] = GATED_TOKEN
            try:
                await api.create(secret(where, "hf_wrong"))
                source = {
                    "endpoint": product.hub.url,
                    "tokenSecretRef": {"name": "hub"},
                }
                await api.create(owner(product, where, source={"huggingFace": source}))
                assert "tokenSecretRef" in await failed(api, where, "AccessDenied")
                await api.apply(secret(where, GATED_TOKEN))
                # The kubelet starts the container again by itself, and reads the Secret anew.
                await until(api, where, "PodsNotReady", FAILURE_SECONDS)
            finally:
                product.hub.gated.clear()

    asyncio.run(scenario())


def test_a_corrupt_shard_is_named_and_fetched_anew_when_the_hub_is_mended(
    product: Product,
) -> None:
    async def scenario() -> None:
        async with model_namespace(product) as (api, where):
            fault = product.hub.faults.add(Fault(path="model-00001", times=None, corrupt=True))
            await api.create(owner(product, where))
            assert "model-00001" in await failed(api, where, "WeightsCorrupt")
            assert fault.struck >= 2, "it is fetched once more before it is given up"
            product.hub.faults.clear()
            await until(api, where, "PodsNotReady", FAILURE_SECONDS)

    asyncio.run(scenario())


def test_a_wrong_flag_is_named(product: Product) -> None:
    async def scenario() -> None:
        async with model_namespace(product) as (api, where):
            await api.create(owner(product, where, engine={"extraArgs": ["--no-such-flag"]}))
            assert "--no-such-flag" in await failed(api, where, "BadArguments")

    asyncio.run(scenario())


def test_a_cache_without_room_says_how_much_is_missing(product: Product) -> None:
    async def scenario() -> None:
        async with model_namespace(product) as (api, where):
            small = {"type": "EmptyDir", "size": "256Ki"}
            await api.create(owner(product, where, cache=small))
            assert "spec.cache.size" in await failed(api, where, "DiskFull")
            await api.apply(owner(product, where))
            await until(api, where, "PodsNotReady", FAILURE_SECONDS)

    asyncio.run(scenario())


def test_a_node_that_promises_a_card_it_has_not_is_told(product: Product) -> None:
    async def scenario() -> None:
        async with model_namespace(product) as (api, where):
            await offer_gpus(api, L4, 1)
            spec = {
                "accelerators": [{"name": "L4"}],
                "resources": {"cpu": "100m", "memory": "1Gi"},
                # vLLM itself is not reached: the launcher looks for the card first.
                "image": await cpu_image(api),
            }
            await api.create(owner(product, where, **spec))
            assert "NVML" in await failed(api, where, "GpuMissing")

    asyncio.run(scenario())


async def cpu_image(api: Api) -> str:
    """The image that the operator was given for CPUs."""
    deployment = await api.get("apps/v1", "Deployment", "qwen-operator", "qwen-operator")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each.get("value") for each in container["env"]}
    return str(environment["QWEN_OPERATOR_CPU_IMAGE"])
