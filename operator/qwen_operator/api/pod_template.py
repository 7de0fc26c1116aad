"""The scheduling patch: the part of a pod template that is the user's, not the plan's."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, JsonValue

from qwen_operator.api.base import ApiModel
from qwen_operator.api.enums import (
    NodeInclusionPolicy,
    TaintEffect,
    TolerationOperator,
    UnsatisfiableAction,
)
from qwen_operator.api.formats import (
    ATOMIC_LIST,
    DnsSubdomain,
    Int32,
    Int64,
    LabelKey,
    LabelValue,
    LongText,
)
from qwen_operator.api.rules import (
    POD_METADATA_RULES,
)

LabelMap = Annotated[dict[str, LabelValue], Field(max_length=64)]
AnnotationMap = Annotated[dict[str, LongText], Field(max_length=64)]


class Toleration(ApiModel):
    """A taint that model pods put up with, besides nvidia.com/gpu, which they always do."""

    key: LabelKey | None = Field(
        default=None, description="Key of the taint. Default any key, for example dedicated."
    )
    operator: TolerationOperator = Field(
        default=TolerationOperator.EQUAL,
        description="Exists or Equal. Default Equal, for example Exists.",
    )
    value: LabelValue | None = Field(
        default=None, description="Value of the taint. Default empty, for example inference."
    )
    effect: TaintEffect | None = Field(
        default=None,
        description=(
            "NoSchedule, PreferNoSchedule or NoExecute. Default any effect, for example NoSchedule."
        ),
    )
    toleration_seconds: Annotated[Int64, Field(ge=0, le=31_536_000)] | None = Field(
        default=None,
        description=(
            "How long a NoExecute taint is tolerated, in seconds. Default forever, for example 300."
        ),
    )


class TopologySpreadConstraint(ApiModel):
    """How evenly model pods are spread over zones, racks or nodes."""

    max_skew: Annotated[Int32, Field(ge=1, le=1000)] = Field(
        default=1,
        description="Largest difference between two domains, in pods. Default 1, for example 2.",
    )
    topology_key: LabelKey = Field(
        description="Node label that makes the domains, for example topology.kubernetes.io/zone."
    )
    when_unsatisfiable: UnsatisfiableAction = Field(
        default=UnsatisfiableAction.SCHEDULE_ANYWAY,
        description=(
            "DoNotSchedule or ScheduleAnyway. Default ScheduleAnyway, for example DoNotSchedule."
        ),
    )
    label_selector: dict[str, JsonValue] = Field(
        default_factory=dict,
        description=(
            "Pods that are counted. Default the model pods of this QwenDeployment, "
            "for example {matchLabels: {tier: gold}}."
        ),
    )
    min_domains: Annotated[Int32, Field(ge=1, le=1000)] | None = Field(
        default=None,
        description="Fewest domains that count, as a number. Default 1, for example 3.",
    )
    node_affinity_policy: NodeInclusionPolicy | None = Field(
        default=None, description="Honor or Ignore. Default Honor, for example Ignore."
    )
    node_taints_policy: NodeInclusionPolicy | None = Field(
        default=None, description="Honor or Ignore. Default Ignore, for example Honor."
    )


class PodMetadata(ApiModel):
    """Labels and annotations that are added to the model pods."""

    rules: ClassVar = POD_METADATA_RULES

    labels: LabelMap = Field(
        default_factory=dict,
        description="Labels to add. Default none, for example {team: search}.",
    )
    annotations: AnnotationMap = Field(
        default_factory=dict,
        description="Annotations to add. Default none, for example {owner: search@example.com}.",
    )


class PodScheduling(ApiModel):
    """Where the model pods may run."""

    node_selector: LabelMap = Field(
        default_factory=dict,
        description=(
            "Labels that a node must have, besides those of the cards. Default none, "
            "for example {pool: gpu}."
        ),
    )
    tolerations: Annotated[
        tuple[Toleration, ...], Field(max_length=32, json_schema_extra=ATOMIC_LIST)
    ] = Field(
        default=(),
        description=(
            "Taints that are tolerated, besides nvidia.com/gpu. Default none, "
            "for example [{key: dedicated, operator: Exists}]."
        ),
    )
    affinity: dict[str, JsonValue] = Field(
        default_factory=dict,
        description=(
            "Affinity as in any pod; the plan adds the cards to the node affinity. Default none, "
            "for example {podAntiAffinity: {}}."
        ),
    )
    priority_class_name: DnsSubdomain | None = Field(
        default=None,
        description=(
            "Priority class. Default the default class of the cluster, for example production."
        ),
    )
    scheduler_name: DnsSubdomain | None = Field(
        default=None,
        description="Scheduler. Default default-scheduler, for example volcano.",
    )
    runtime_class_name: DnsSubdomain | None = Field(
        default=None,
        description="Runtime class. Default that of the node, for example nvidia.",
    )
    topology_spread_constraints: Annotated[
        tuple[TopologySpreadConstraint, ...], Field(max_length=8, json_schema_extra=ATOMIC_LIST)
    ] = Field(
        default=(),
        description=(
            "Spread over zones, racks or nodes. Default none, "
            "for example [{topologyKey: topology.kubernetes.io/zone}]."
        ),
    )


class PodTemplate(ApiModel):
    """What is patched into the template of the model pods."""

    metadata: PodMetadata = Field(
        default=PodMetadata(),
        description=(
            "Labels and annotations to add. Default none, for example {labels: {team: search}}."
        ),
    )
    spec: PodScheduling = Field(
        default=PodScheduling(),
        description=(
            "Where the pods may run. Default anywhere, for example {schedulerName: volcano}."
        ),
    )
