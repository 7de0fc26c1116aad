"""Versions of everything that is built, read from the one place that pins them: go/*/go.mod."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from e2e.cluster.paths import GO_MODULES


@dataclass(frozen=True)
class Binary:
    """A program that is built from a Go module."""

    name: str
    module: str
    """Folder under go/ that pins its version."""
    package: str
    expected: str
    """How long it takes on two cores after those before it, with an empty build cache."""


BINARIES: Final = (
    Binary("etcd", "kubernetes", "go.etcd.io/etcd/server/v3", "80 s"),
    Binary("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", "6 min"),
    Binary(
        "kube-controller-manager",
        "kubernetes",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        "90 s",
    ),
    Binary("kube-scheduler", "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler", "5 s"),
    Binary("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl", "20 s"),
    Binary("kwok", "tools", "sigs.k8s.io/kwok/cmd/kwok", "90 s"),
    Binary("kubelet", "kubernetes", "k8s.io/kubernetes/cmd/kubelet", "20 s"),
    Binary("kube-proxy", "kubernetes", "k8s.io/kubernetes/cmd/kube-proxy", "10 s"),
    Binary("coredns", "tools", "./coredns", "10 s"),
    Binary("pause", "pause", ".", "1 s"),
    Binary("helm", "tools", "helm.sh/helm/v4/cmd/helm", "2 min"),
)

CONTROL_PLANE: Final = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "kwok",
)
NODE: Final = ("kubelet", "kube-proxy", "coredns", "pause")
TOOLS: Final = ("helm",)


def pinned_version(module: str, path: str) -> str:
    """Version of the module `path` that go/<module>/go.mod requires, such as v1.36.3."""
    text = (GO_MODULES / module / "go.mod").read_text()
    found = re.search(rf"^\s*(?:require )?{re.escape(path)} (v\S+)", text, re.MULTILINE)
    if found is None:
        raise LookupError(f"{path} is not required by go/{module}/go.mod")
    return found.group(1)


def kubernetes_version() -> str:
    """Version of Kubernetes that is built."""
    return pinned_version("kubernetes", "k8s.io/kubernetes")


def sources(module: str) -> list[Path]:
    """Files of one of our Go modules: its pins, and its code if it has any."""
    return [file for file in (GO_MODULES / module).rglob("*") if file.is_file()]
