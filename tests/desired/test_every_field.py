"""Every field of the spec reaches a child, and so does its change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from qwen_operator.api.v1alpha1 import QwenDeploymentSpec
from qwen_operator.desired.metadata import Object
from tests.desired.examples import children_of, wanted

Spec = dict[str, Any]
MINE = {"name": "My-Card", "memoryMib": 24_000, "computeCapability": "8.9"}
TAINT = {"key": "a", "operator": "Equal", "value": "b", "effect": "NoExecute"}
SPREAD = {"topologyKey": "zone"}


def pod(**fields: Any) -> Spec:
    return {"podTemplate": {"spec": fields}}


def taint(**fields: Any) -> Spec:
    return pod(tolerations=[{**TAINT, **fields}])


def spread(**fields: Any) -> Spec:
    return pod(topologySpreadConstraints=[{**SPREAD, **fields}])


def card(**fields: Any) -> Spec:
    return {"accelerators": [{**MINE, **fields}]}


def engine(**fields: Any) -> Spec:
    return {"engine": fields}


def claim(**fields: Any) -> Spec:
    return {"source": {"persistentVolumeClaim": {"claimName": "a", **fields}}}


HUB = {"endpoint": "https://hub:1"}


def hub(kind: str, **reference: Any) -> Spec:
    return {"source": {kind: {"tokenSecretRef": {"name": "a", **reference}}}}


def ca(**reference: Any) -> Spec:
    return {"source": {"caBundle": {"configMap": "a", **reference}}}


VISION: Spec = {"model": "Qwen/Qwen3-VL-4B-Instruct", "contextLength": 4096}

CHANGES: dict[str, tuple[Spec, Spec, str]] = {
    "model": ({}, {"model": "Qwen/Qwen3-1.7B"}, "ConfigMap"),
    "servedModelName": ({}, {"servedModelName": "a"}, "ConfigMap"),
    "revision": ({}, {"revision": "main"}, "ConfigMap"),
    "source.huggingFace.endpoint": ({}, {"source": {"huggingFace": HUB}}, "NetworkPolicy"),
    "source.modelScope.endpoint": ({}, {"source": {"modelScope": HUB}}, "NetworkPolicy"),
    "source.persistentVolumeClaim.claimName": (claim(), claim(claimName="b"), "Deployment"),
    "source.persistentVolumeClaim.path": (claim(), claim(path="b"), "ConfigMap"),
    "source.hostPath.path": ({}, {"source": {"hostPath": {"path": "/a"}}}, "Deployment"),
    "source.proxy.httpProxy": (
        {},
        {"source": {"proxy": {"httpProxy": "http://a:1"}}},
        "NetworkPolicy",
    ),
    "source.proxy.httpsProxy": (
        {},
        {"source": {"proxy": {"httpsProxy": "http://a:1"}}},
        "NetworkPolicy",
    ),
    "source.huggingFace.tokenSecretRef.name": ({}, hub("huggingFace"), "Deployment"),
    "source.huggingFace.tokenSecretRef.key": (
        hub("huggingFace"),
        hub("huggingFace", key="b"),
        "Deployment",
    ),
    "source.modelScope.tokenSecretRef.name": ({}, hub("modelScope"), "Deployment"),
    "source.modelScope.tokenSecretRef.key": (
        hub("modelScope"),
        hub("modelScope", key="b"),
        "Deployment",
    ),
    "source.proxy.noProxy": (
        {},
        {"source": {"proxy": {"httpProxy": "http://a:1", "noProxy": "b"}}},
        "Deployment",
    ),
    "source.caBundle.configMap": ({}, ca(), "Deployment"),
    "source.caBundle.key": (ca(), ca(key="b"), "Deployment"),
    "precision": ({}, {"precision": "fp8"}, "ConfigMap"),
    "contextLength": ({}, {"contextLength": 4096}, "ConfigMap"),
    "tensorParallelSize": ({}, {"tensorParallelSize": 2}, "Deployment"),
    "accelerators.name": ({}, {"accelerators": [{"name": "L4"}]}, "Deployment"),
    "accelerators.memoryMib": (card(), card(memoryMib=23_000), "ConfigMap"),
    "accelerators.computeCapability": (card(), card(computeCapability="8.6"), "ConfigMap"),
    "accelerators.reservedMemoryMib": (card(), card(reservedMemoryMib=4096), "ConfigMap"),
    "profile": ({}, {"profile": "Interactive"}, "ConfigMap"),
    "replicas": ({}, {"replicas": 2}, "Deployment"),
    "suspend": ({}, {"suspend": True}, "Deployment"),
    "cache.type": ({}, {"cache": {"type": "EmptyDir"}}, "Deployment"),
    "cache.size": ({}, {"cache": {"size": "500Gi"}}, "PersistentVolumeClaim"),
    "cache.storageClassName": (
        {},
        {"cache": {"storageClassName": "a"}},
        "PersistentVolumeClaim",
    ),
    "cache.claimName": ({}, {"cache": {"claimName": "a"}}, "Deployment"),
    "cache.path": (
        {"cache": {"type": "HostPath", "path": "/a"}},
        {"cache": {"type": "HostPath", "path": "/b"}},
        "Deployment",
    ),
    "image": ({}, {"image": "a"}, "Deployment"),
    "imagePullPolicy": ({}, {"imagePullPolicy": "Always"}, "Deployment"),
    "imagePullSecrets.name": ({}, {"imagePullSecrets": [{"name": "a"}]}, "Deployment"),
    "resources.cpu": ({}, {"resources": {"cpu": "9"}}, "Deployment"),
    "resources.memory": ({}, {"resources": {"memory": "99Gi"}}, "Deployment"),
    "resources.sharedMemory": ({}, {"resources": {"sharedMemory": "9Gi"}}, "Deployment"),
    "engine.maxNumSeqs": ({}, engine(maxNumSeqs=7), "ConfigMap"),
    "engine.maxNumBatchedTokens": ({}, engine(maxNumBatchedTokens=777), "ConfigMap"),
    "engine.gpuMemoryUtilizationPercent": (
        {},
        engine(gpuMemoryUtilizationPercent=80),
        "ConfigMap",
    ),
    "engine.kvCacheDtype": ({}, engine(kvCacheDtype="fp8"), "ConfigMap"),
    "engine.kvOffloadingGib": ({}, engine(kvOffloadingGib=5), "ConfigMap"),
    "engine.enforceEager": ({}, engine(enforceEager=True), "ConfigMap"),
    "engine.enablePrefixCaching": ({}, engine(enablePrefixCaching=False), "ConfigMap"),
    "engine.maxCudagraphCaptureSize": ({}, engine(maxCudagraphCaptureSize=8), "ConfigMap"),
    "engine.languageModelOnly": (VISION, VISION | engine(languageModelOnly=True), "ConfigMap"),
    "engine.toolCallParser": ({}, engine(toolCallParser="a"), "ConfigMap"),
    "engine.reasoningParser": ({}, engine(reasoningParser="a"), "ConfigMap"),
    "engine.env.name": ({}, engine(env=[{"name": "A", "value": "1"}]), "Deployment"),
    "engine.env.value": (
        engine(env=[{"name": "A", "value": "1"}]),
        engine(env=[{"name": "A", "value": "2"}]),
        "Deployment",
    ),
    "engine.extraArgs": ({}, engine(extraArgs=["--seed", "1"]), "ConfigMap"),
    "podTemplate.metadata.labels": (
        {},
        {"podTemplate": {"metadata": {"labels": {"a": "b"}}}},
        "Deployment",
    ),
    "podTemplate.metadata.annotations": (
        {},
        {"podTemplate": {"metadata": {"annotations": {"a": "b"}}}},
        "Deployment",
    ),
    "podTemplate.spec.nodeSelector": ({}, pod(nodeSelector={"a": "b"}), "Deployment"),
    "podTemplate.spec.tolerations.key": (taint(), taint(key="c"), "Deployment"),
    "podTemplate.spec.tolerations.operator": (
        taint(value=None),
        taint(value=None, operator="Exists"),
        "Deployment",
    ),
    "podTemplate.spec.tolerations.value": (taint(), taint(value="c"), "Deployment"),
    "podTemplate.spec.tolerations.effect": (taint(), taint(effect="NoSchedule"), "Deployment"),
    "podTemplate.spec.tolerations.tolerationSeconds": (
        taint(),
        taint(tolerationSeconds=0),
        "Deployment",
    ),
    "podTemplate.spec.affinity": ({}, pod(affinity={"podAffinity": {}}), "Deployment"),
    "podTemplate.spec.priorityClassName": ({}, pod(priorityClassName="a"), "Deployment"),
    "podTemplate.spec.schedulerName": ({}, pod(schedulerName="a"), "Deployment"),
    "podTemplate.spec.runtimeClassName": ({}, pod(runtimeClassName="a"), "Deployment"),
    "podTemplate.spec.topologySpreadConstraints.maxSkew": (
        spread(),
        spread(maxSkew=2),
        "Deployment",
    ),
    "podTemplate.spec.topologySpreadConstraints.topologyKey": (
        spread(),
        spread(topologyKey="rack"),
        "Deployment",
    ),
    "podTemplate.spec.topologySpreadConstraints.whenUnsatisfiable": (
        spread(),
        spread(whenUnsatisfiable="DoNotSchedule"),
        "Deployment",
    ),
    "podTemplate.spec.topologySpreadConstraints.labelSelector": (
        spread(),
        spread(labelSelector={"matchLabels": {"tier": "gold"}}),
        "Deployment",
    ),
    "podTemplate.spec.topologySpreadConstraints.minDomains": (
        spread(),
        spread(whenUnsatisfiable="DoNotSchedule", minDomains=2),
        "Deployment",
    ),
    "podTemplate.spec.topologySpreadConstraints.nodeAffinityPolicy": (
        spread(),
        spread(nodeAffinityPolicy="Ignore"),
        "Deployment",
    ),
    "podTemplate.spec.topologySpreadConstraints.nodeTaintsPolicy": (
        spread(),
        spread(nodeTaintsPolicy="Honor"),
        "Deployment",
    ),
}
"""A spec, the same with one field changed, and the kind of child where the change is read back."""


def leaves(model: type[BaseModel] = QwenDeploymentSpec, prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        inner = model_in(field.annotation)
        if inner is None:
            yield path
        else:
            yield from leaves(inner, f"{path}.")


def model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(model_in, get_args(annotation))), None)


def test_every_field_is_on_one_list() -> None:
    assert sorted(leaves()) == sorted(CHANGES)


@pytest.mark.parametrize("path", CHANGES)
def test_a_change_of_the_field_is_read_back(path: str) -> None:
    before, after, kind = CHANGES[path]
    old, new = children_of(wanted(before)), children_of(wanted(after))
    assert content(old.get(kind)) != content(new.get(kind))


def content(child: Object | None) -> Object | None:
    """A child without its name and annotations, which say of everything that it has changed."""
    return child and {key: value for key, value in child.items() if key != "metadata"}
