"""Every failure that a user meets, produced for real: told by its reason, and gone when mended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.cluster.api import Api
from e2e.cluster.gpus import L4
from e2e.cluster.node import offer_gpus
from e2e.fixtures import Cluster
from e2e.hub.faults import Fault
from e2e.images.product import NVML
from e2e.nvml import FILE_VARIABLE
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


def on_a_card(image: str, machine: str) -> dict[str, Any]:
    """A spec whose pod finds what the stand-in for NVML tells of that machine."""
    env = [{"name": FILE_VARIABLE, "value": f"/opt/nvml/{machine}.conf"}]
    return {
        "accelerators": [{"name": "L4"}],
        "resources": {"cpu": "100m", "memory": "1Gi"},
        "image": image,
        "engine": {"env": env},
    }


def test_what_a_node_s_cards_lack_is_told_by_name_and_number(product: Product) -> None:
    async def scenario() -> None:
        image = product.cluster.load(NVML)
        async with model_namespace(product) as (api, where):
            await offer_gpus(api, L4, 1)
            await api.apply(owner(product, where, **on_a_card(image, "nothing")))
            assert "NVML" in await failed(api, where, "GpuMissing")
            await api.apply(owner(product, where, **on_a_card(image, "busy")))
            assert "4711" in await failed(api, where, "GpuBusy")
            await api.apply(owner(product, where, **on_a_card(image, "other")))
            assert "RTX 3080" in await failed(api, where, "GpuMismatch")
            await api.apply(owner(product, where, **on_a_card(image, "old-driver")))
            assert "535" in await failed(api, where, "DriverTooOld")
            # All is well with the card, and the launcher goes on to vLLM, which this image lacks.
            await api.apply(owner(product, where, **on_a_card(image, "free")))
            assert "spec.image must be an image of vLLM" in await failed(api, where, "Unknown")

    asyncio.run(scenario())
