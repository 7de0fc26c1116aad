"""The chart in a cluster of fake nodes, and beside it the operator as the chart would run it.

Fake nodes run nothing, so the operator is a process of the test's: with the environment of the
chart's Deployment, and with a token of the chart's service account, so that its roles count.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from e2e.cluster.api import Api, Refused, eventually
from e2e.fixtures import Cluster

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


class Operator:
    """The process; its log is read while it runs."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def lines(self, part: str) -> list[str]:
        return [line for line in self.log.splitlines() if part in line]

    async def until_logged(self, part: str, times: int = 1) -> None:
        async def logged() -> bool:
            assert self._process.poll() is None, f"the operator ended:\n{self.log}"
            return len(self.lines(part)) >= times

        await eventually(logged, f"{part!r} is logged {times} times", timeout_seconds=60)

    def assert_was_allowed_everything(self) -> None:
        for bad in ("forbidden", "Traceback", " ERROR "):
            assert self.lines(bad) == []


@asynccontextmanager
async def operator_of(
    cluster: Cluster, api: Api, where: str, folder: Path, name: str = "qwen-operator"
) -> AsyncIterator[Operator]:
    """Run what the Deployment `name` of namespace `where` says, until the block ends."""
    deployment = await api.get("apps/v1", "Deployment", name, where)
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    chart_environment = {
        each["name"]: each.get("value", where)  # the only field reference is the namespace
        for each in container["env"]
    }
    kubeconfig = await _kubeconfig_of(cluster, api, where, pod["serviceAccountName"], folder)
    environment = {
        **os.environ,
        **chart_environment,
        "KUBECONFIG": str(kubeconfig),
        "QWEN_OPERATOR_HEALTH_PORT": str(_free_port()),
    }
    log = folder / f"operator-{len(list(folder.iterdir()))}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "qwen_operator"], env=environment, stdout=output, stderr=output
        )
    try:
        yield Operator(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0, log.read_text()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


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
