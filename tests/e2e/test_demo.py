"""make demo: from whatever is there to an answer, again and again."""

import asyncio
import io
import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from e2e.cluster.api import Api, Object
from e2e.cluster.commands import run
from e2e.cluster.errors import HarnessError
from e2e.demo import model as models
from e2e.demo.model import SMALL, TINY, VARIABLE, choose_model
from e2e.demo.serving import NAMESPACE, build_deployment
from e2e.demo.steps import Steps
from e2e.fixtures import Cluster
from qwen_operator.cli.main import main as kubectl_qwen
from tests.e2e.installation import remove_crd

REPOSITORY = Path(__file__).parents[2]
LABEL = "app.kubernetes.io/instance=demo"


def test_steps_are_numbered_and_a_failure_is_named_after_its_step() -> None:
    told = io.StringIO()
    steps = Steps(2, told)
    with steps.step("one thing", "1 s"):
        steps.say("a part of it")
    with (
        pytest.raises(HarnessError, match=r"^\[2/2\] another thing: the disk is full$"),
        steps.step("another thing", "1 min"),
    ):
        raise HarnessError("the disk is full")
    lines = told.getvalue().splitlines()
    assert lines[:2] == ["[1/2] one thing (1 s)", "      a part of it"]
    assert lines[2].endswith(" s, 1 to go")
    assert lines[3] == "[2/2] another thing (1 min)"


def test_without_a_hub_the_model_is_made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert choose_model(reachable_hub=False).name == TINY
    assert choose_model(reachable_hub=True).name == SMALL
    monkeypatch.setenv(VARIABLE, TINY)
    assert choose_model(reachable_hub=True).name == TINY


def test_a_named_model_without_a_hub_is_refused_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "Qwen/Qwen3-1.7B")
    with pytest.raises(HarnessError, match=f"unset {VARIABLE}"):
        choose_model(reachable_hub=False)
    assert choose_model(reachable_hub=True).name == "Qwen/Qwen3-1.7B"


@pytest.mark.parametrize("name", [TINY, SMALL])
def test_what_is_applied_can_be_planned(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, name)
    wanted = build_deployment(choose_model(reachable_hub=True), "http://10.87.0.1:8790")
    file = tmp_path / "demo.yaml"
    file.write_text(yaml.safe_dump(wanted))
    assert kubectl_qwen(["plan", "-f", str(file)]) == 0


def test_what_does_not_answer_is_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_HUB", "http://127.0.0.1:1")
    assert not models.is_hub_reachable()


async def model_pod(api: Api) -> Object:
    (pod,) = await api.list("v1", "Pod", NAMESPACE, labelSelector=LABEL)
    return pod


@pytest.mark.node
def test_a_model_answers_a_second_run_changes_nothing_and_down_removes_it(
    node: Cluster, tmp_path: Path
) -> None:
    if node.audit_log is None:
        pytest.skip("make demo pushes images to the registry of a user's own cluster")

    def up() -> str:
        return run(
            [sys.executable, "-m", "e2e.demo", "up"],
            folder=REPOSITORY,
            environment={VARIABLE: TINY},
        )

    async def pod() -> tuple[str, int]:
        async with node.connect() as api:
            metadata = (await model_pod(api))["metadata"]
            return str(metadata["uid"]), int(metadata["generation"])

    async def namespaces() -> set[str]:
        async with node.connect() as api:
            return {each["metadata"]["name"] for each in await api.list("v1", "Namespace")}

    async def forget_crd() -> None:
        async with node.connect() as api:
            await remove_crd(api)

    def down() -> None:
        """As from a user's own cluster: it stays, and the demonstration goes."""
        kubeconfig = shutil.copy(node.kubeconfig, tmp_path)
        tools = node.kubeconfig.parent / "bin"
        path = f"{tools}{os.pathsep}{os.environ['PATH']}"
        run(
            [sys.executable, "-m", "e2e.demo", "down"],
            folder=REPOSITORY,
            environment={"KUBECONFIG": kubeconfig, "PATH": path},
        )
        asyncio.run(forget_crd())

    try:
        said = up()
        question, _, rest = said.partition("\n> ")[2].partition("\n")
        answer = rest.partition("$ kubectl")[0].strip()
        assert question.endswith("?")
        assert len(answer) > 20
        assert "True    Serving" in rest
        before = asyncio.run(pod())
        up()
        assert asyncio.run(pod()) == before
    finally:
        down()
    assert not {NAMESPACE, "qwen-operator"} & asyncio.run(namespaces())
