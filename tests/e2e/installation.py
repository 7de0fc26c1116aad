"""The chart in a cluster of fake nodes, and beside it the operator as the chart would run it.

Fake nodes run nothing, so the operator is a process of the test's: with the environment of the
chart's Deployment, and with a token of the chart's service account, so that its roles count.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from e2e.cluster.api import Api, Refused, eventually
from e2e.fixtures import Cluster
from e2e.operator_process import OperatorProcess

CRD_NAME = "qwendeployments.qwen-operator.io"
_CRD_KIND = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")


async def remove_crd(api: Api) -> None:
    """Every QwenDeployment goes with it."""
    await api.delete(*_CRD_KIND, CRD_NAME)
    await eventually(lambda: _is_gone(api), "the CRD is gone", timeout_seconds=60)


async def _is_gone(api: Api) -> bool:
    try:
        await api.get(*_CRD_KIND, CRD_NAME)
    except Refused as refused:
        return refused.status == 404
    return False


class InstalledOperator(OperatorProcess):
    """What tests ask of its log."""

    def lines(self, part: str) -> list[str]:
        return [line for line in self.log.splitlines() if part in line]

    async def until_logged(self, part: str, times: int = 1) -> None:
        async def logged() -> bool:
            assert self.is_running, f"the operator ended:\n{self.log}"
            return len(self.lines(part)) >= times

        await eventually(logged, f"{part!r} is logged {times} times", timeout_seconds=60)

    def assert_was_allowed_everything(self) -> None:
        for bad in ("forbidden", "Traceback", " ERROR "):
            assert self.lines(bad) == []


@asynccontextmanager
async def operator_of(
    cluster: Cluster, api: Api, where: str, folder: Path, name: str = "qwen-operator"
) -> AsyncIterator[InstalledOperator]:
    """Run what the Deployment `name` of namespace `where` says, until the block ends."""
    deployment = await api.get("apps/v1", "Deployment", name, where)
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {
        each["name"]: each.get("value", where)  # the only field reference is the namespace
        for each in container["env"]
    }
    # The chart's own is the same in every pod; here several run on one machine.
    environment.pop("QWEN_OPERATOR_HEALTH_PORT", None)
    kubeconfig = await _kubeconfig_of(cluster, api, where, pod["serviceAccountName"], folder)
    log = folder / f"operator-{len(list(folder.iterdir()))}.log"
    with InstalledOperator(kubeconfig, log, environment) as process:
        yield process


async def _kubeconfig_of(
    cluster: Cluster, api: Api, where: str, account: str, folder: Path
) -> Path:
    answer = await api.request(
        "POST",
        f"/api/v1/namespaces/{where}/serviceaccounts/{account}/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    )
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    document["users"][0]["user"] = {"token": answer["status"]["token"]}
    file = folder / f"{account}.kubeconfig"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(document))
    return file
