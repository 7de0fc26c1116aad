"""The API version v1alpha1: the QwenDeployment object and every type that it is made of."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from qwen_operator.api.base import ApiModel
from qwen_operator.api.conditions import (
    Condition,
    ConditionReason,
    ConditionStatus,
    ConditionType,
)
from qwen_operator.api.enums import (
    CacheType,
    ImagePullPolicy,
    KvCacheDtype,
    NodeInclusionPolicy,
    Precision,
    Profile,
    TaintEffect,
    TolerationOperator,
    UnsatisfiableAction,
)
from qwen_operator.api.formats import Int64, LongText, ShortText
from qwen_operator.api.pod_template import (
    PodMetadata,
    PodScheduling,
    PodTemplate,
    Toleration,
    TopologySpreadConstraint,
)
from qwen_operator.api.rules import OBJECT_RULES
from qwen_operator.api.spec import (
    Accelerator,
    Cache,
    ConfigMapKeyReference,
    Engine,
    EnvVar,
    HostPathSource,
    HuggingFaceSource,
    LocalObjectReference,
    ModelScopeSource,
    PersistentVolumeClaimSource,
    Proxy,
    QwenDeploymentSpec,
    Resources,
    SecretKeyReference,
    Source,
)
from qwen_operator.api.status import PlanSummary, QwenDeploymentStatus

__all__ = [
    "Accelerator",
    "Cache",
    "CacheType",
    "Condition",
    "ConditionReason",
    "ConditionStatus",
    "ConditionType",
    "ConfigMapKeyReference",
    "Engine",
    "EnvVar",
    "HostPathSource",
    "HuggingFaceSource",
    "ImagePullPolicy",
    "KvCacheDtype",
    "LocalObjectReference",
    "Metadata",
    "ModelScopeSource",
    "NodeInclusionPolicy",
    "PersistentVolumeClaimSource",
    "PlanSummary",
    "PodMetadata",
    "PodScheduling",
    "PodTemplate",
    "Precision",
    "Profile",
    "Proxy",
    "QwenDeployment",
    "QwenDeploymentSpec",
    "QwenDeploymentStatus",
    "Resources",
    "SecretKeyReference",
    "Source",
    "TaintEffect",
    "Toleration",
    "TolerationOperator",
    "TopologySpreadConstraint",
    "UnsatisfiableAction",
]


class Metadata(ApiModel):
    """The part of the object's metadata that the product reads."""

    model_config = ConfigDict(extra="ignore")

    name: ShortText = Field(description="Name of the object, for example qwen3-4b.")
    namespace: ShortText = Field(
        default="default", description="Namespace. Default default, for example models."
    )
    uid: ShortText = Field(default="", description="Identity that Kubernetes gave. Default empty.")
    generation: Int64 = Field(default=0, description="Number of changes of the spec. Default 0.")
    labels: dict[str, LongText] = Field(default_factory=dict, description="Labels. Default none.")
    annotations: dict[str, str] = Field(
        default_factory=dict, description="Annotations. Default none."
    )


class QwenDeployment(ApiModel):
    """A Qwen model that is served on cards with 24 GB, or thereabouts."""

    rules: ClassVar = OBJECT_RULES

    api_version: Literal["qwen-operator.io/v1alpha1"] = Field(
        default="qwen-operator.io/v1alpha1",
        description="Version of this form, for example qwen-operator.io/v1alpha1.",
    )
    kind: Literal["QwenDeployment"] = Field(
        default="QwenDeployment", description="Kind of the object, for example QwenDeployment."
    )
    metadata: Metadata = Field(description="Name, namespace and labels of the object.")
    spec: QwenDeploymentSpec = Field(
        description="What to serve, for example {model: Qwen/Qwen3-4B-Instruct-2507}."
    )
    status: QwenDeploymentStatus = Field(
        default=QwenDeploymentStatus(),
        description="What was seen and decided last. The operator writes it.",
    )
