"""The harness keeps its promises: a real API server, fake GPU nodes, and a node that runs pods."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster.api import USER_AGENT, Api, Object, Refused, eventually, has_condition
from e2e.cluster.audit import count_writes
from e2e.cluster.gpus import A10G, L4, RESOURCE, RTX4090, RTX4090D, Gpu
from e2e.cluster.images import ECHO
from e2e.cluster.kwok import add_gpu_nodes, remove_nodes
from e2e.cluster.node import NAME, offer_gpus
from e2e.fixtures import Cluster
from e2e.objects import install_crd, namespace

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = sorted((REPOSITORY / "examples").glob("*.yaml"))


def gpu_pod(name: str, where: str, gpu: Gpu, count: int = 1) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": where},
        "spec": {
            "nodeSelector": {"nvidia.com/gpu.product": gpu.product},
            "tolerations": [{"key": RESOURCE, "operator": "Exists"}],
            "containers": [
                {
                    "name": "main",
                    "image": "localhost/none",
                    "imagePullPolicy": "Never",
                    "resources": {"limits": {RESOURCE: str(count)}},
                }
            ],
        },
    }


@pytest.mark.control_plane
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda file: file.stem)
def test_the_api_server_takes_the_examples(control_plane: Cluster, example: Path) -> None:
    async def scenario() -> None:
        async with control_plane.connect() as api, namespace(api) as where:
            await install_crd(api)
            wanted = yaml.safe_load(example.read_text())
            wanted["metadata"]["namespace"] = where
            created = await api.create(wanted)
            assert created["spec"]["model"] == wanted["spec"]["model"]
            assert created["status"] == {"observedGeneration": -1}

    asyncio.run(scenario())


@pytest.mark.control_plane
def test_a_broken_rule_is_refused_with_its_sentence(control_plane: Cluster) -> None:
    async def scenario() -> None:
        async with control_plane.connect() as api, namespace(api) as where:
            await install_crd(api)
            contradiction = {
                "apiVersion": "qwen-operator.io/v1alpha1",
                "kind": "QwenDeployment",
                "metadata": {"name": "two-places", "namespace": where},
                "spec": {
                    "model": "Qwen/Qwen3-4B-Instruct-2507",
                    "source": {"modelScope": {}, "hostPath": {"path": "/data"}},
                },
            }
            with pytest.raises(Refused) as refused:
                await api.create(contradiction)
            assert refused.value.status == 422
            assert (
                "spec.source may hold at most one of huggingFace, modelScope, "
                "persistentVolumeClaim and hostPath; keep the one where the weights are"
            ) in refused.value.message

    asyncio.run(scenario())


@pytest.mark.control_plane
def test_a_pod_lands_on_the_fake_node_with_its_card(control_plane: Cluster) -> None:
    control_plane.need_fake_nodes()

    async def scenario() -> None:
        async with control_plane.connect() as api, namespace(api) as where:
            names = {gpu: await add_gpu_nodes(api, gpu, 1, 2) for gpu in (L4, A10G, RTX4090)}
            names[RTX4090D] = await add_gpu_nodes(api, RTX4090D, 1, 2, tainted=True)
            for number, gpu in enumerate(names):
                await api.create(gpu_pod(f"on-{number}", where, gpu))
            for number, (gpu, nodes) in enumerate(names.items()):
                pod = await running(api, f"on-{number}", where)
                assert pod["spec"]["nodeName"] in nodes, gpu.product

            await api.create(gpu_pod("second", where, L4))
            await running(api, "second", where)
            await api.create(gpu_pod("third", where, L4))
            assert "Insufficient nvidia.com/gpu" in await why_pending(api, "third", where)
            await remove_nodes(api, [name for each in names.values() for name in each])

    asyncio.run(scenario())


@pytest.mark.control_plane
def test_the_audit_log_counts_writes_by_program(control_plane: Cluster) -> None:
    log = control_plane.audit_log
    if log is None:
        pytest.skip("a cluster of the user's own keeps no audit log for us")

    async def write_and_read() -> None:
        async with control_plane.connect() as api, namespace(api) as where:
            await api.get("v1", "Namespace", where)

    before = count_writes(log)
    asyncio.run(write_and_read())
    added = count_writes(log) - before
    ours = {entry: count for entry, count in added.items() if entry[0] == USER_AGENT}
    assert ours == {
        (USER_AGENT, "create", "namespaces"): 1,
        (USER_AGENT, "delete", "namespaces"): 1,
    }


@pytest.mark.node
def test_restricted_pods_run_and_find_each_other_by_service_name(node: Cluster) -> None:
    image = node.load(ECHO)

    async def scenario() -> None:
        async with node.connect() as api, namespace(api, "restricted") as where:
            for name in ("asker", "answerer"):
                for wanted in echo_server(name, where, image):
                    await api.create(wanted)
            answerer = await running(api, "answerer", where)
            await running(api, "asker", where)
            proxy = f"/api/v1/namespaces/{where}/services/asker:80/proxy/"
            question = {"fetch": f"http://answerer.{where}.svc.cluster.local/"}

            async def told() -> str:
                # Endpoints and DNS follow the pods, a moment later.
                return str((await api.request("GET", proxy, query=question))["text"])

            assert await eventually(told, "one pod asks the other") == "answerer"
            path = await api.path("v1", "Pod", "answerer", where)
            logged = await api.request("GET", f"{path}/log")
            assert "GET / HTTP" in logged["text"]
            assert answerer["status"]["podIP"]

    asyncio.run(scenario())


@pytest.mark.node
def test_the_real_node_can_offer_cards(node: Cluster) -> None:
    node.need_fake_nodes()

    async def scenario() -> None:
        async with node.connect() as api, namespace(api) as where:
            await offer_gpus(api, L4, 2)
            await api.create(gpu_pod("takes-both", where, L4, count=2))

            async def where_it_is() -> Any:
                pod = await api.get("v1", "Pod", "takes-both", where)
                return pod["spec"].get("nodeName")

            assert await eventually(where_it_is, "the pod is scheduled") == NAME
            await api.create(gpu_pod("too-late", where, L4))
            assert "Insufficient nvidia.com/gpu" in await why_pending(api, "too-late", where)

    asyncio.run(scenario())


def echo_server(name: str, where: str, image: str) -> list[Object]:
    metadata = {"name": name, "namespace": where, "labels": {"app": name}}
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    pod = {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 2000,
            "runAsGroup": 0,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
    }
    service = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
    ]


async def running(api: Api, name: str, where: str) -> Object:
    """The pod, once it is Ready."""

    async def ready() -> Object | None:
        pod = await api.get("v1", "Pod", name, where)
        return pod if has_condition(pod, "Ready") else None

    return await eventually(ready, f"pod {name} is Ready")


async def why_pending(api: Api, name: str, where: str) -> str:
    """What the scheduler says about a pod that it cannot place."""

    async def sentence() -> str:
        pod = await api.get("v1", "Pod", name, where)
        for condition in pod.get("status", {}).get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return str(condition.get("message", ""))
        return ""

    return await eventually(sentence, f"pod {name} stays Pending")
