"""With KUBECONFIG set, the commands use that cluster and build no Kubernetes."""

import sys
from pathlib import Path

import pytest

from e2e.cluster.commands import run
from e2e.cluster.errors import CommandFailed, HarnessError
from e2e.cluster.existing import REGISTRY_VARIABLE, ExistingCluster
from e2e.cluster.images import ECHO
from e2e.cluster.paths import DEFAULT_STATE
from e2e.cluster.progress import Silent
from e2e.fixtures import Cluster

REPOSITORY = Path(__file__).parents[2]


def test_without_kubeconfig_or_with_our_own_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert ExistingCluster.from_environment(DEFAULT_STATE) is None
    monkeypatch.setenv("KUBECONFIG", str(DEFAULT_STATE / "kubeconfig"))
    assert ExistingCluster.from_environment(DEFAULT_STATE) is None


@pytest.mark.control_plane
def test_up_says_which_cluster_it_is_and_starts_nothing(control_plane: Cluster) -> None:
    # Without a PATH there is no Go, so building anything would fail.
    said = run(
        [sys.executable, "-m", "e2e.cluster", "up"],
        folder=REPOSITORY,
        environment={"KUBECONFIG": str(control_plane.kubeconfig), "PATH": "/nowhere"},
    )
    assert said.startswith(f"{control_plane.kubeconfig}: Kubernetes v1.")


def test_an_absent_cluster_is_said_in_one_line(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "{apiVersion: v1, kind: Config, current-context: c, "
        "contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {}}], "
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]}"
    )
    with pytest.raises(CommandFailed, match="the API server does not answer") as failed:
        run(
            [sys.executable, "-m", "e2e.cluster", "up"],
            folder=REPOSITORY,
            environment={"KUBECONFIG": str(kubeconfig)},
        )
    assert "Traceback" not in str(failed.value)


def test_images_are_pushed_to_the_named_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    engine = tmp_path / "bin" / "docker"
    engine.parent.mkdir()
    engine.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n')
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", str(engine.parent), prepend=":")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv(REGISTRY_VARIABLE, "registry.example.com/qwen")
    cluster = ExistingCluster.from_environment(DEFAULT_STATE)
    assert cluster is not None
    reference = cluster.load(ECHO, Silent())
    assert reference.startswith("registry.example.com/qwen/echo:")
    build, push = calls.read_text().splitlines()
    assert build.startswith(f"build --tag {reference} ")
    assert push == f"push {reference}"


def test_without_a_registry_the_message_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=REGISTRY_VARIABLE):
        ExistingCluster(tmp_path / "kubeconfig", None).load(ECHO, Silent())
