"""Claims on the node: bound without being asked for, writable to a model pod, and lasting."""

import asyncio
import sys
from pathlib import Path

import pytest

from e2e.cluster.api import Api, Object, eventually
from e2e.cluster.commands import run
from e2e.cluster.images import ECHO
from e2e.fixtures import Cluster
from e2e.objects import namespace

REPOSITORY = Path(__file__).parents[2]
WRITE = "open('/data/note', 'x').write('kept')"
READ = "print(open('/data/note').read())"


def claim(where: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "cache", "namespace": where},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "20Gi"}},
        },
    }


def program(name: str, where: str, image: str, code: str) -> Object:
    """A restricted pod that runs some Python once, with the claim at /data."""
    container = {
        "name": "main",
        "image": image,
        "command": ["python3", "-c", code],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": where},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 2000,
                "runAsGroup": 0,
                "fsGroup": 0,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "cache"}}],
        },
    }


async def output(api: Api, pod: Object) -> str:
    """Run the pod to its end, remove it, and return what it printed."""
    name, where = pod["metadata"]["name"], pod["metadata"]["namespace"]
    await api.create(pod)

    async def phase() -> str | None:
        found = (await api.get("v1", "Pod", name, where))["status"].get("phase", "")
        return found if found in {"Succeeded", "Failed"} else None

    ended = await eventually(phase, f"pod {name} has ended", 60)
    log = str((await api.request("GET", f"{await api.path_of(pod)}/log"))["text"])
    assert ended == "Succeeded", log
    await api.delete("v1", "Pod", name, where)
    return log.strip()


@pytest.mark.node
def test_what_a_pod_writes_outlives_it_and_goes_with_the_claim(node: Cluster) -> None:
    image = node.load(ECHO)

    async def fill_and_read() -> str:
        async with node.connect() as api, namespace(api, "restricted") as where:
            await api.create(claim(where))
            await output(api, program("writer", where, image, WRITE))
            assert await output(api, program("reader", where, image, READ)) == "kept"
            bound = await api.get("v1", "PersistentVolumeClaim", "cache", where)
            return str(bound["spec"]["volumeName"])

    async def phase(name: str) -> str:
        async with node.connect() as api:
            return str((await api.get("v1", "PersistentVolume", name))["status"]["phase"])

    async def reaches(name: str, wanted: str) -> None:
        async def reached() -> bool:
            return await phase(name) == wanted

        await eventually(reached, f"the volume is {wanted}")

    volume = asyncio.run(fill_and_read())
    if node.audit_log is None:
        return  # what becomes of a volume in a user's own cluster is its provisioner's business
    asyncio.run(reaches(volume, "Released"))
    run([sys.executable, "-m", "e2e.cluster", "up"], folder=REPOSITORY)
    asyncio.run(reaches(volume, "Available"))

    async def fill_again() -> None:
        async with node.connect() as api, namespace(api, "restricted") as where:
            await api.create(claim(where))
            # Every volume is empty, so creating the file cannot fail.
            await output(api, program("writer", where, image, WRITE))

    asyncio.run(fill_again())
