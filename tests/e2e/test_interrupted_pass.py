"""The operator may die after any write; the next pass goes on from there."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from e2e.cluster.api import Api, eventually
from e2e.fixtures import Cluster
from e2e.objects import KIND, VERSION, install_crd, namespace
from qwen_operator.cluster.api import Api as OwnApi
from qwen_operator.cluster.api import Object, connect
from qwen_operator.cluster.observe import observe
from qwen_operator.cluster.perform import perform_children, perform_status
from qwen_operator.cluster.reports import Reports
from qwen_operator.desired.plan_config_map import rows_of
from qwen_operator.reconcile.outcome import Outcome
from qwen_operator.reconcile.reconcile import reconcile
from qwen_operator.settings import read_settings
from tests.e2e.fake_gpus import children, owner

pytestmark = pytest.mark.control_plane
SETTINGS = read_settings({}).children


class Died(Exception):
    pass


class Mortal(OwnApi):
    """The operator's own connection, which sends no more than so many writes."""

    def __init__(self, api: OwnApi, writes: int | None) -> None:
        super().__init__(api.client, lambda _method, _status: None)
        self._left = writes

    async def _request(self, method: str, path: str, *arguments: Any, **options: Any) -> Object:
        if method != "GET" and self._left is not None:
            if self._left == 0:
                raise Died
            self._left -= 1
        return await super()._request(method, path, *arguments, **options)


async def one_pass(where: str, die_after_writes: int | None = None) -> Outcome:
    """A pass by a process that is gone when it has sent so many writes."""
    async with connect() as connected, aclosing(Reports(lambda _: None)) as reports:
        api = Mortal(connected, die_after_writes)
        observed = await observe(api, reports, where, "small", may_read_nodes=True)
        assert observed is not None
        outcome = reconcile(observed, SETTINGS)
        assert await perform_children(api, observed, outcome) is None
        await perform_status(api, observed, outcome)
        return outcome


async def settle(where: str) -> None:
    async def quiet() -> bool:
        return (await one_pass(where)).is_quiet

    await eventually(quiet, f"nothing is left to write in {where}")


async def planned_context_length(api: Api, where: str) -> int:
    """From the plan that the Deployment's pods mount, which must exist at all times."""
    deployment = await api.get("apps/v1", "Deployment", "small", where)
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    (name,) = (each["configMap"]["name"] for each in volumes if "configMap" in each)
    (row,) = rows_of(await api.get("v1", "ConfigMap", name, where))
    flags = row.args
    return int(flags[flags.index("--max-model-len") + 1])


async def interrupt_everywhere(api: Api, *, edit: bool) -> int:
    """Make or edit an owner, dying after 0, 1, 2, ... writes; returns how often it could die."""
    expected: set[str] | None = None
    deaths = 0
    while True:
        async with namespace(api) as where:
            await api.create(owner(where))
            if edit:
                await settle(where)
                await api.apply(owner(where, contextLength=16384))
            try:
                await one_pass(where, deaths)
                died = False
            except Died:
                died = True
            if edit:
                await planned_context_length(api, where)
            await settle(where)
            assert await planned_context_length(api, where) == (16384 if edit else 8192)
            kinds = sorted(kind for kind, _ in await children(api, where))
            expected = expected or set(kinds)
            assert kinds == sorted(expected), f"after a death after {deaths} writes"
            found = await api.get(VERSION, KIND, "small", where)
            assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
        if not died:
            return deaths
        deaths += 1


@pytest.mark.parametrize("edit", [False, True], ids=["create", "edit"])
def test_a_death_after_any_write_is_mended(
    control_plane: Cluster, monkeypatch: pytest.MonkeyPatch, edit: bool
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))

    async def scenario() -> int:
        async with control_plane.connect() as api:
            await install_crd(api)
            return await interrupt_everywhere(api, edit=edit)

    assert asyncio.run(scenario()) >= 3
