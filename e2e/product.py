"""The whole product on a node: installed by Helm, a hub beside it, a real vLLM in its pods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.chart import CHART
from e2e.cluster.api import Api, Object, eventually
from e2e.cluster.network import MACHINE_ADDRESS
from e2e.fixtures import Cluster
from e2e.hub.server import Hub
from e2e.images.product import OPERATOR, RUNTIME, VLLM_CPU
from e2e.models.tiny_qwen3 import write_tiny_qwen3
from e2e.objects import KIND, VERSION, namespace
from e2e.tools import helm, kubectl

MODEL = "qwen-operator/tiny-qwen3"
GATED_TOKEN = "hf_right"  # noqa: S105 of a hub that exists here alone
START_SECONDS = 300
"""Imports of vLLM on two busy cores."""

_RELEASE = "qwen-operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What tests need of it."""

    cluster: Cluster
    hub: Hub


@contextmanager
def installed(cluster: Cluster, folder: Path) -> Iterator[Product]:
    """The product, and a hub with the tiny model; the release is gone afterwards, the CRD stays."""
    images = {image.name: cluster.load(image) for image in (OPERATOR, RUNTIME, VLLM_CPU)}
    settings = [f"vllm.cpuImage={images['vllm-cpu']}"]
    for setting, name in (("image", "operator"), ("runtimeImage", "runtime")):
        repository, tag = images[name].rsplit(":", 1)
        settings += [f"{setting}.repository={repository}", f"{setting}.tag={tag}"]
    write_tiny_qwen3(folder / MODEL)
    place = ("--namespace", _RELEASE)
    helm(
        cluster,
        *("upgrade", "--install", _RELEASE, CHART, *place, "--create-namespace", "--wait"),
        *(word for setting in settings for word in ("--set-string", setting)),
    )
    try:
        with Hub(folder, address=MACHINE_ADDRESS) as hub:
            yield Product(cluster=cluster, hub=hub)
    finally:
        helm(cluster, "uninstall", _RELEASE, *place, "--wait")


@asynccontextmanager
async def model_namespace(product: Product) -> AsyncIterator[tuple[Api, str]]:
    """A namespace under the restricted Pod Security level."""
    async with product.cluster.connect() as api, namespace(api, level="restricted") as where:
        yield api, where


def owner(product: Product, where: str, **spec: Any) -> Object:
    """A small QwenDeployment on the CPU, from the hub."""
    return {
        "apiVersion": VERSION,
        "kind": KIND,
        "metadata": {"name": "small", "namespace": where},
        "spec": {
            "model": MODEL,
            "contextLength": 2048,
            "accelerators": [{"name": "CPU", "memoryMib": 1024}],
            "cache": {"type": "EmptyDir", "size": "1Gi"},
            "source": {"huggingFace": {"endpoint": product.hub.url}},
            **spec,
        },
    }


async def until(
    api: Api, where: str, reason: str, timeout_seconds: float = START_SECONDS
) -> Object:
    """The QwenDeployment once Ready has that reason for its present generation."""

    async def there() -> Object | None:
        found = await api.get(VERSION, KIND, "small", where)
        ready = condition(found, "Ready")
        current = ready.get("observedGeneration") == found["metadata"]["generation"]
        return found if current and ready.get("reason") == reason else None

    return await eventually(there, f"it is {reason}", timeout_seconds=timeout_seconds)


def condition(found: Object, kind: str) -> Object:
    """That condition; empty where it is absent."""
    conditions = found.get("status", {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})


async def model_pods(api: Api, where: str) -> list[Object]:
    """Pods of the model that are not ending."""
    pods = await api.list("v1", "Pod", where, labelSelector="app.kubernetes.io/instance=small")
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


async def report(api: Api, where: str, pod: str) -> Object:
    """What its launcher tells."""
    return await api.request("GET", f"/api/v1/namespaces/{where}/pods/{pod}:8001/proxy/report")


async def ask(api: Api, where: str, **body: Any) -> Object:
    """A chat completion by way of the API server."""
    return await api.request(
        "POST",
        f"/api/v1/namespaces/{where}/services/small:http/proxy/v1/chat/completions",
        {
            "model": MODEL,
            "messages": [{"role": "user", "content": "say something"}],
            "max_tokens": 8,
            **body,
        },
    )


async def run_in(product: Product, where: str, pod: str, *command: str) -> str:
    """``kubectl exec`` in the model container."""
    words = ("exec", "-n", where, pod, "-c", "vllm", "--", *command)
    return await asyncio.to_thread(kubectl, product.cluster, *words)
