"""What the chart renders. Needs Helm, which the harness builds, and no cluster.

UPDATE_GOLDEN=1 writes the golden files anew.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from e2e.chart import CHART, MANIFESTS, helm_program, plain_manifests, render
from e2e.cluster.commands import run
from e2e.cluster.errors import CommandFailed
from e2e.cluster.progress import Silent

pytestmark = pytest.mark.control_plane
GOLDEN = Path(__file__).parent / "golden"
NOT_OF_KUBERNETES = ("CustomResourceDefinition", "PodMonitor", "ServiceMonitor")

CASES = {
    "default": (),
    "namespaced": ("watchNamespaces={team-a,team-b}", "rbac.readNodes=true", "crds.enabled=false"),
    "replicated": (
        "replicas=2",
        "crds.keep=false",
        "networkPolicy.enabled=true",
        "podMonitor.enabled=true",
    ),
    "everything": (
        "image.digest=sha256:" + "a" * 64,
        "image.pullPolicy=Always",
        "runtimeImage.tag=1.2.3",
        "vllm.gpuImage=mirror.example.com/vllm@sha256:" + "b" * 64,
        "imagePullSecrets={registry}",
        "rbac.create=false",
        "serviceAccount.create=false",
        "serviceAccount.name=given",
        "crds.enabled=false",
        "cache.claimAccessMode=ReadWriteMany",
        "priorityClassName=high",
        "nodeSelector.pool=system",
        "tolerations[0].operator=Exists",
        "serviceMonitor.enabled=true",
        "serviceMonitor.labels.release=prometheus",
    ),
}


@pytest.fixture(scope="module")
def helm() -> Path:
    return helm_program(Silent())


def rendered(name: str, helm: Path) -> list[dict[str, Any]]:
    return render(*CASES[name], release="test", namespace="qwen-system", helm=helm)


@pytest.mark.parametrize("name", CASES)
def test_the_objects_are_what_the_golden_file_says(name: str, helm: Path) -> None:
    text = yaml.safe_dump_all(
        # The CRD has a source of its own, and the version changes with every release.
        (
            {**each, "spec": "as in crds/"} if each["kind"] == NOT_OF_KUBERNETES[0] else each
            for each in rendered(name, helm)
        ),
        sort_keys=False,
        width=100,
    )
    version = str(yaml.safe_load((CHART / "Chart.yaml").read_text())["version"])
    text = text.replace(f"qwen-operator-{version}", "qwen-operator-VERSION")
    path = GOLDEN / f"chart-{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), "if this is what you want: UPDATE_GOLDEN=1 and review"


@pytest.mark.parametrize("name", CASES)
def test_kubernetes_knows_every_field(name: str, helm: Path) -> None:
    version = kubernetes_validate.latest_version()
    for found in rendered(name, helm):
        if found["kind"] not in NOT_OF_KUBERNETES:
            kubernetes_validate.validate(found, version, strict=True)


@pytest.mark.parametrize("name", CASES)
def test_every_object_has_the_labels_of_its_release_and_a_place(name: str, helm: Path) -> None:
    cluster_wide = ("ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition")
    for found in rendered(name, helm):
        assert found["metadata"]["labels"]["app.kubernetes.io/instance"] == "test"
        assert ("namespace" in found["metadata"]) != (found["kind"] in cluster_wide)


def test_the_crd_comes_through_the_template_unchanged(helm: Path) -> None:
    (crd,) = (each for each in rendered("default", helm) if each["kind"] == NOT_OF_KUBERNETES[0])
    source = yaml.safe_load((CHART / "files" / "crd.yaml").read_text())
    assert crd["spec"] == source["spec"]
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    (going,) = (
        each for each in rendered("replicated", helm) if each["kind"] == NOT_OF_KUBERNETES[0]
    )
    assert "annotations" not in going["metadata"]


def test_the_plain_manifests_are_current(helm: Path) -> None:
    for name, content in plain_manifests(helm).items():
        assert (MANIFESTS / name).read_text() == content, "run: make manifests"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("rbca.create=true", "additional properties 'rbca' not allowed"),
        ("image.tga=1", "at '/image': additional properties 'tga' not allowed"),
        ("replicas=two", "at '/replicas': got string, want integer"),
        ("image.digest=latest", "at '/image/digest'"),
        ("watchNamespaces={Team_A}", "at '/watchNamespaces/0'"),
        ("cache.claimAccessMode=RWX", "at '/cache/claimAccessMode'"),
        ("serviceAccount.create=false", "serviceAccount.name must name one that exists"),
    ],
)
def test_a_wrong_value_is_refused_by_name(setting: str, said: str, helm: Path) -> None:
    with pytest.raises(CommandFailed) as refused:
        render(setting, helm=helm)
    assert said in str(refused.value)


def test_helm_lint_has_nothing_to_say(helm: Path) -> None:
    assert "0 chart(s) failed" in run([helm, "lint", "--strict", CHART])
