"""The chart as plain manifests: ``make manifests`` writes ``manifests/``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from e2e.cluster.build import build_binaries
from e2e.cluster.commands import run
from e2e.cluster.paths import REPOSITORY
from e2e.cluster.progress import Progress

Object = dict[str, Any]

CHART: Final = REPOSITORY / "charts" / "qwen-operator"
MANIFESTS: Final = REPOSITORY / "manifests"
NAMESPACE: Final = "qwen-operator"

_HEADER: Final = "# Made by `make manifests` from charts/qwen-operator; change the chart.\n"
_NAMESPACE: Final[Object] = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {
        "name": NAMESPACE,
        "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
    },
}
_HELM_ONLY: Final = ("helm.sh/chart", "app.kubernetes.io/managed-by")
"""Labels that would be untrue of objects which Helm does not manage."""


def render(
    *settings: str, release: str = "qwen-operator", namespace: str = NAMESPACE, helm: Path
) -> list[Object]:
    """Objects of the chart under settings such as ``replicas=2``, the test pod among them."""
    words = [word for setting in settings for word in ("--set", setting)]
    text = run([helm, "template", release, CHART, "--namespace", namespace, *words])
    return [document for document in yaml.safe_load_all(text) if document]


def plain_manifests(helm: Path) -> dict[str, str]:
    """File name to content: for the whole cluster, and for the operator's own namespace alone."""
    return {
        "qwen-operator.yaml": _join(
            [_NAMESPACE, *_without_helm(render("crds.keep=false", helm=helm))]
        ),
        "qwen-operator-namespaced.yaml": _join(
            _without_helm(
                render("crds.enabled=false", f"watchNamespaces={{{NAMESPACE}}}", helm=helm)
            )
        ),
    }


def helm_program(progress: Progress) -> Path:
    """Helm of the harness, built if it must be."""
    return build_binaries(["helm"], progress)["helm"]


def _without_helm(rendered: Sequence[Object]) -> list[Object]:
    kept = []
    for found in rendered:
        metadata = found["metadata"]
        if "helm.sh/hook" in metadata.get("annotations", {}):
            continue
        for label in _HELM_ONLY:
            metadata.get("labels", {}).pop(label, None)
        kept.append(found)
    return kept


def _join(objects: Sequence[Object]) -> str:
    parts = (
        yaml.safe_dump(each, sort_keys=False, width=100, allow_unicode=True) for each in objects
    )
    return _HEADER + "---\n".join(parts)


if __name__ == "__main__":
    for name, content in plain_manifests(helm_program(Progress())).items():
        (MANIFESTS / name).write_text(content)
