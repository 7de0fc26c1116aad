"""What scenarios put into a cluster for themselves."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import yaml

from e2e.cluster.api import Api, eventually, has_condition
from e2e.cluster.paths import REPOSITORY

VERSION, KIND = "qwen-operator.io/v1alpha1", "QwenDeployment"
_CRD = REPOSITORY / "crds" / "qwen-operator.io_qwendeployments.yaml"


@asynccontextmanager
async def namespace(api: Api, level: str = "privileged") -> AsyncIterator[str]:
    """A namespace of the test's own, under a Pod Security level; gone afterwards."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": level}
    await api.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    )
    try:
        yield name
    finally:
        await api.delete("v1", "Namespace", name)


async def install_crd(api: Api) -> None:
    """Our CRD, ready to use."""
    crd = yaml.safe_load(_CRD.read_text())
    await api.apply(crd)

    async def established() -> bool:
        found = await api.get(crd["apiVersion"], crd["kind"], crd["metadata"]["name"])
        return has_condition(found, "Established")

    await eventually(established, "the CRD is established")
