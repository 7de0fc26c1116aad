"""Every way to install, upgrade and remove the operator, under the rights that it really has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.chart import CHART
from e2e.cluster.api import MERGE_PATCH, Api, Object, Refused, eventually
from e2e.cluster.commands import run
from e2e.cluster.errors import CommandFailed
from e2e.cluster.gpus import L4
from e2e.cluster.kwok import add_gpu_nodes, remove_nodes
from e2e.cluster.paths import REPOSITORY
from e2e.fixtures import Cluster
from e2e.objects import KIND, VERSION, install_crd, namespace
from e2e.tools import helm, kubectl, tool
from tests.e2e.fake_gpus import children, owner, ready_reason, until
from tests.e2e.installation import CRD_NAME, operator_of, remove_crd

pytestmark = pytest.mark.control_plane
FROZEN = Path(__file__).parent / "frozen" / "qwen-operator-0.1.0.tgz"
GPUS = 4
RELEASE = "qwen-operator"
RBAC = "rbac.authorization.k8s.io/v1"


@pytest.fixture(scope="module")
def cluster(control_plane: Cluster) -> Iterator[Cluster]:
    """A cluster with cards."""
    control_plane.need_fake_nodes()

    async def add() -> list[str]:
        async with control_plane.connect() as api:
            return await add_gpu_nodes(api, L4, nodes=GPUS)

    async def remove(nodes: list[str]) -> None:
        async with control_plane.connect() as api:
            await remove_nodes(api, nodes)

    nodes = asyncio.run(add())
    try:
        yield control_plane
    finally:
        asyncio.run(remove(nodes))


@pytest.fixture(autouse=True)
def no_crd(cluster: Cluster) -> Iterator[None]:
    """Nothing of ours is there before and after."""

    async def remove() -> None:
        async with cluster.connect() as api:
            await remove_crd(api)

    asyncio.run(remove())
    yield
    asyncio.run(remove())


def install(cluster: Cluster, where: str, *words: str | Path, chart: Path = CHART) -> None:
    helm(cluster, "install", RELEASE, chart, "-n", where, "--wait", "--timeout=90s", *words)


def upgrade(cluster: Cluster, where: str, *words: str | Path) -> None:
    helm(cluster, "upgrade", RELEASE, CHART, "-n", where, "--wait", "--timeout=90s", *words)


def uninstall(cluster: Cluster, where: str) -> None:
    helm(cluster, "uninstall", RELEASE, "-n", where, "--wait", "--timeout=90s")


async def pods_of(api: Api, where: str) -> dict[str, str]:
    """Model pods: name to identity."""
    pods = await api.list("v1", "Pod", where, labelSelector="app.kubernetes.io/name=qwen")
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in pods}


async def until_gone(api: Api, where: str, seconds: float = 120) -> None:
    async def gone() -> bool:
        return await children(api, where) == [] and await pods_of(api, where) == {}

    # The garbage collector learns of a new CRD at its next resync, up to 30 s later.
    await eventually(gone, f"nothing is left in {where}", timeout_seconds=seconds)


def model_chart(folder: Path, model: Object) -> Path:
    """A chart of a user's, with a QwenDeployment among its templates."""
    chart = folder / str(model["metadata"]["name"])
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("{apiVersion: v2, name: app, version: 0.1.0}")
    (chart / "templates" / "model.yaml").write_text(yaml.safe_dump(model))
    return chart


def test_installed_by_helm_it_may_do_all_it_needs_and_helm_waits_for_models(
    cluster: Cluster, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with (
            cluster.connect() as api,
            namespace(api, "restricted") as home,
            namespace(api, "restricted") as where,
        ):
            install(cluster, home)
            async with operator_of(cluster, api, home, tmp_path) as operator:
                await api.create(owner(where))
                await until(api, where, "Serving")
                waited = kubectl(
                    cluster,
                    "wait",
                    "--for=condition=Ready",
                    "qd/small",
                    "-n",
                    where,
                    "--timeout=5s",
                )
                assert "condition met" in waited
                # A rollout prunes the plan before it.
                await api.apply(owner(where, contextLength=16384))
                await until(api, where, "Serving")

                async def one_plan() -> bool:
                    return sum(kind == "ConfigMap" for kind, _ in await children(api, where)) == 1

                await eventually(one_plan, "the old plan is pruned")
                # Whoever may not list nodes cannot say this.
                await api.apply(owner(where, replicas=GPUS + 1, contextLength=16384))
                await until(api, where, "NoFreeGpu")
                await api.apply(owner(where, replicas=1, contextLength=16384))
                await until(api, where, "Serving")
                claimed = owner(where, "claimed", cache={"type": "PersistentVolumeClaim"})
                await api.create(claimed)

                async def has_claim() -> bool:
                    return bool(
                        await api.get("v1", "PersistentVolumeClaim", "claimed-cache", where)
                    )

                await eventually(has_claim, "the claim is there")
                await api.delete(VERSION, KIND, "claimed", where)

                helm_waits(cluster, where, tmp_path)
                operator.assert_was_allowed_everything()

            # The strategy changes with the number, which the API server refuses if done carelessly.
            upgrade(cluster, home, "--set", "replicas=2")
            async with operator_of(cluster, api, home, tmp_path) as operator:
                await operator.until_logged("qwen_operator leading")
                await api.apply(owner(where, contextLength=4096))
                await until(api, where, "Serving")
                operator.assert_was_allowed_everything()
            upgrade(cluster, home, "--set", "replicas=1")
            uninstall(cluster, home)

    asyncio.run(scenario())


def helm_waits(cluster: Cluster, where: str, folder: Path) -> None:
    """A chart of a user's is done when its model serves, and fails at once when it never can."""
    served = model_chart(folder, owner(where, "served"))
    said = helm(cluster, "install", "good", served, "-n", where, "--wait", "--timeout=90s")
    assert "STATUS: deployed" in said
    ready = kubectl(
        cluster, "get", "qd", "served", "-n", where, "-ojsonpath={.status.readyReplicas}"
    )
    assert ready == "1"
    huge = model_chart(folder, owner(where, "huge", model="Qwen/Qwen3-32B"))
    # Far below the default of 300 s: it ends because the object is Stalled.
    with pytest.raises(CommandFailed, match=r"(?i)huge.*(failed|stalled)|(failed|stalled).*huge"):
        run(
            ["timeout", "60", tool(cluster, "helm"), "install", "bad", huge, "-n", where, "--wait"],
            environment={"KUBECONFIG": str(cluster.kubeconfig)},
        )


@pytest.mark.parametrize("namespaced", [False, True], ids=["cluster", "namespaced"])
def test_installed_by_kubectl_it_serves(cluster: Cluster, tmp_path: Path, namespaced: bool) -> None:
    name = "qwen-operator-namespaced.yaml" if namespaced else "qwen-operator.yaml"
    manifest = REPOSITORY / "manifests" / name

    async def scenario() -> None:
        async with cluster.connect() as api, namespace(api) as elsewhere:
            if namespaced:
                kubectl(cluster, "apply", "--server-side", "-f", REPOSITORY / "crds")
                kubectl(cluster, "create", "namespace", "qwen-operator")
            kubectl(cluster, "apply", "--server-side", "-f", manifest)
            where = "qwen-operator" if namespaced else elsewhere
            try:
                async with operator_of(cluster, api, "qwen-operator", tmp_path) as operator:
                    # kubectl does not wait until the API server serves what it was given.
                    await eventually(lambda: api.create(owner(where)), "the CRD is served")
                    await until(api, where, "Serving")
                    operator.assert_was_allowed_everything()
            finally:
                kubectl(cluster, "delete", "-f", manifest, "--wait=false")
                if namespaced:
                    kubectl(cluster, "delete", "namespace", "qwen-operator", "--wait=false")

            async def gone() -> bool:
                names = [each["metadata"]["name"] for each in await api.list("v1", "Namespace")]
                return "qwen-operator" not in names

            await eventually(gone, "the namespace is gone", timeout_seconds=60)

    asyncio.run(scenario())


def test_with_only_a_role_it_serves_its_namespace_and_touches_no_other(
    cluster: Cluster, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with (
            cluster.connect() as api,
            namespace(api) as home,
            namespace(api) as watched,
            namespace(api) as other,
        ):
            watch = ("--set", f"watchNamespaces={{{watched}}}")
            # An administrator has applied the CRD, of an earlier version.
            kubectl(cluster, "apply", "--server-side", "-f", earlier_crd(tmp_path))
            install(cluster, home, *watch, "--set", "crds.enabled=false")
            for kind in ("ClusterRole", "ClusterRoleBinding"):
                found = await api.list(
                    RBAC, kind, labelSelector="app.kubernetes.io/name=qwen-operator"
                )
                names = [each["metadata"]["name"] for each in found]
                assert [name for name in names if name.startswith(home)] == []
            async with operator_of(cluster, api, home, tmp_path) as operator:
                await api.create(owner(other))
                await api.create(owner(watched))
                await until(api, watched, "Serving")
                await api.apply(owner(watched, replicas=GPUS + 1))
                await until(api, watched, "Unschedulable")
                untouched = await api.get(VERSION, KIND, "small", other)
                assert untouched["status"] == {"observedGeneration": -1}
                assert await children(api, other) == []
                operator.assert_was_allowed_everything()

            take_over = ("--take-ownership", "--force-conflicts")
            upgrade(cluster, home, *watch, *take_over, "--set", "rbac.readNodes=true")
            await assert_crd_is_current(api)
            async with operator_of(cluster, api, home, tmp_path) as operator:
                await until(api, watched, "NoFreeGpu")
                operator.assert_was_allowed_everything()
            uninstall(cluster, home)

    asyncio.run(scenario())


def test_an_upgrade_from_the_first_version_restarts_no_model_and_brings_the_crd(
    cluster: Cluster, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with cluster.connect() as api, namespace(api) as home, namespace(api) as where:
            install(cluster, home, chart=FROZEN)
            assert await chart_of_crd(api) == "qwen-operator-0.1.0"
            async with operator_of(cluster, api, home, tmp_path) as operator:
                await api.create(owner(where))
                await until(api, where, "Serving")
                operator.assert_was_allowed_everything()
            before = await pods_of(api, where)

            # A release brings a runtime image of its own.
            upgrade(cluster, home, "--set", "runtimeImage.tag=next")
            version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
            assert await chart_of_crd(api) == f"qwen-operator-{version}"
            await assert_crd_is_current(api)
            async with operator_of(cluster, api, home, tmp_path) as operator:
                # A pass of the new operator over an object that is seen to have been passed.
                await api.apply(owner(where, replicas=2))

                async def scaled() -> bool:
                    found = await api.get(VERSION, KIND, "small", where)
                    return found["status"].get("readyReplicas") == 2

                await eventually(scaled, "two replicas are ready")
                operator.assert_was_allowed_everything()
            after = await pods_of(api, where)
            assert len(before) == 1
            assert before.items() <= after.items()
            uninstall(cluster, home)

    asyncio.run(scenario())


def crd_document() -> Object:
    (file,) = (REPOSITORY / "crds").glob("*.yaml")
    return dict(yaml.safe_load(file.read_text()))


def earlier_crd(folder: Path) -> Path:
    """The CRD as it was before its columns were thought of."""
    crd = crd_document()
    crd["spec"]["versions"][0]["additionalPrinterColumns"] = [
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
    ]
    file = folder / "crd.yaml"
    file.write_text(yaml.safe_dump(crd))
    return file


async def assert_crd_is_current(api: Api) -> None:
    found = await api.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", CRD_NAME)
    assert found["spec"]["versions"] == crd_document()["spec"]["versions"]


async def chart_of_crd(api: Api) -> str:
    crd = await api.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", CRD_NAME)
    return str(crd["metadata"]["labels"]["helm.sh/chart"])


def test_uninstalled_models_keep_serving_and_go_with_the_crd(
    cluster: Cluster, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with cluster.connect() as api, namespace(api) as home, namespace(api) as where:
            install(cluster, home)
            async with operator_of(cluster, api, home, tmp_path):
                await api.create(owner(where))
                await until(api, where, "Serving")
            before = await pods_of(api, where)
            uninstall(cluster, home)
            assert await ready_reason(api, where) == "Serving"
            assert await pods_of(api, where) == before
            with pytest.raises(Refused, match="not found"):
                await api.get("apps/v1", "Deployment", RELEASE, home)

            # Installed again it goes on with what it finds, and this time all goes with it.
            install(cluster, home, "--set", "crds.keep=false")
            async with operator_of(cluster, api, home, tmp_path) as operator:
                await api.apply(owner(where, replicas=2))

                async def scaled() -> bool:
                    return len(await pods_of(api, where)) == 2

                await eventually(scaled, "it is served again")
                assert before.items() <= (await pods_of(api, where)).items()
                operator.assert_was_allowed_everything()
            uninstall(cluster, home)
            with pytest.raises(Refused, match="not found"):
                await api.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", CRD_NAME)
            await until_gone(api, where)

    asyncio.run(scenario())


def test_a_permission_that_is_taken_away_is_named_once_a_try_and_found_when_given_back(
    cluster: Cluster, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with cluster.connect() as api, namespace(api) as home, namespace(api) as where:
            install(cluster, home, "--set", f"watchNamespaces={{{where}}}")
            role = f"{home}:qwen-operator"
            async with operator_of(cluster, api, home, tmp_path) as operator:
                await api.create(owner(where))
                await until(api, where, "Serving")
                rules = (await api.get(RBAC, "Role", role, where))["rules"]
                await set_rules(api, role, where, without(rules, "services", "patch"))
                # The authorizer hears of it a moment later; a deleted Service wants to be patched.
                await api.delete("v1", "Service", "small", where)
                said = 'cannot patch resource "services" in API group ""'
                await until(api, where, "ChildRefused")
                await operator.until_logged(f"{said} in the namespace", times=3)
                lines = [line for line in operator.lines("forbidden") if " WARNING " in line]
                assert all(line.count("again in") == 1 for line in lines)
                assert "whoever administers the cluster must grant it" in lines[-1]
                assert f'"system:serviceaccount:{home}:qwen-operator"' in lines[-1]
                delays = [float(line.split("again in ")[1].split()[0]) for line in lines]
                assert delays == sorted(delays)
                assert "Traceback" not in operator.log

                await set_rules(api, role, where, rules)

                async def back() -> bool:
                    return bool(await api.get("v1", "Service", "small", where))

                await eventually(back, "the Service is back", timeout_seconds=60)

            # kopf's own requests: events need a watch, and every watch a list.
            await set_rules(api, role, where, without(rules, "pods", "watch"))
            async with operator_of(cluster, api, home, tmp_path) as operator:
                said = 'cannot watch resource "pods" in API group ""'
                await operator.until_logged(said, times=2)
                lines = operator.lines(said)
                assert all("no events: " in line and "again in" in line for line in lines)
                assert "whoever administers the cluster must grant it" in lines[-1]
                assert "Traceback" not in operator.log
                await set_rules(api, role, where, rules)
                await operator_sees(api, where)
            uninstall(cluster, home)

    asyncio.run(scenario())


def without(rules: list[Object], resource: str, verb: str) -> list[Object]:
    return [
        {**rule, "verbs": [each for each in rule["verbs"] if each != verb]}
        if rule["resources"] == [resource]
        else rule
        for rule in rules
    ]


async def set_rules(api: Api, role: str, where: str, rules: list[Object]) -> None:
    path = await api.path(RBAC, "Role", role, where)
    await api.request("PATCH", path, {"rules": rules}, content_type=MERGE_PATCH)


async def operator_sees(api: Api, where: str) -> None:
    """It reacts to a deleted child, which it can only know of by an event."""

    async def again() -> bool:
        await api.delete("v1", "Service", "small", where)
        await asyncio.sleep(2)
        return bool(await api.get("v1", "Service", "small", where))

    await eventually(again, "an event is acted upon", timeout_seconds=60)


def test_a_crd_that_is_missing_is_asked_for_and_found_when_it_comes_and_comes_again(
    cluster: Cluster, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with cluster.connect() as api, namespace(api) as home, namespace(api) as where:
            install(cluster, home, "--set", "crds.enabled=false")
            async with operator_of(cluster, api, home, tmp_path) as operator:
                for times in (1, 2):
                    await operator.until_logged("is the CRD installed?", times=times)
                    await install_crd(api)
                    await api.create(owner(where))
                    await until(api, where, "Serving")
                    # Sooner than the resync: events come.
                    await operator_sees(api, where)
                    await remove_crd(api)
                await operator.until_logged("is the CRD installed?", times=3)
                assert "Traceback" not in operator.log
            uninstall(cluster, home)

    asyncio.run(scenario())
