"""The closed sets of words in the API."""

from __future__ import annotations

from enum import StrEnum


class Precision(StrEnum):
    """What the weights are kept in; the plan turns it into a checkpoint and flags per card."""

    BF16 = "bf16"
    FP16 = "fp16"
    FP8 = "fp8"
    INT8 = "int8"
    INT4 = "int4"
    MIXED = "mixed"


class Profile(StrEnum):
    """What the deployment is good at."""

    INTERACTIVE = "Interactive"
    MANY_USERS = "ManyUsers"
    LONG_DOCUMENTS = "LongDocuments"


class CacheType(StrEnum):
    """Where weights and compiled kernels are kept."""

    PERSISTENT_VOLUME_CLAIM = "PersistentVolumeClaim"
    EMPTY_DIR = "EmptyDir"
    HOST_PATH = "HostPath"


class ImagePullPolicy(StrEnum):
    """When the kubelet asks the registry for the image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class KvCacheDtype(StrEnum):
    """The number format of the KV cache."""

    AUTO = "auto"
    FP8 = "fp8"
    FP8_E5M2 = "fp8_e5m2"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    INT8_PER_TOKEN_HEAD = "int8_per_token_head"  # noqa: S105 a token of text
    FP8_PER_TOKEN_HEAD = "fp8_per_token_head"  # noqa: S105 a token of text
    INT4_PER_TOKEN_HEAD = "int4_per_token_head"  # noqa: S105 a token of text


class TolerationOperator(StrEnum):
    """How a toleration compares the value of a taint."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    """What a taint does to pods that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class UnsatisfiableAction(StrEnum):
    """What the scheduler does with a pod that would break a spread constraint."""

    DO_NOT_SCHEDULE = "DoNotSchedule"
    SCHEDULE_ANYWAY = "ScheduleAnyway"


class NodeInclusionPolicy(StrEnum):
    """Whether the scheduler looks at affinity or taints of nodes when it counts pods."""

    HONOR = "Honor"
    IGNORE = "Ignore"
