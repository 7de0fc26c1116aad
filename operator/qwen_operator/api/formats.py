"""The scalar and list types that the API is made of, bounded so that CEL stays cheap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError


@dataclass(frozen=True, slots=True)
class Format:
    """The form of a text: a pattern for machines, words and an example for people."""

    pattern: str
    words: str
    example: str


MODEL_ID: Final = Format(
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$",
    "an organisation and a name with one slash between them",
    "Qwen/Qwen3-4B-Instruct-2507",
)
REVISION: Final = Format(
    r"^[A-Za-z0-9][A-Za-z0-9._/-]*$",
    "a commit, a tag or a branch",
    "main",
)
SERVED_NAME: Final = Format(
    r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$",
    "letters, digits and . _ : / -",
    "qwen3-4b",
)
DNS_SUBDOMAIN: Final = Format(
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    "a Kubernetes object name (lower-case letters, digits, dashes and dots)",
    "hf-token",
)
DATA_KEY: Final = Format(
    r"^[-._a-zA-Z0-9]+$",
    "a key of a Secret or ConfigMap (letters, digits, dots, dashes and underscores)",
    "token",
)
URL: Final = Format(
    r"^https?://[^\s/?#]+[^\s]*$",
    "an http or https address",
    "https://hf-mirror.com",
)
ABSOLUTE_PATH: Final = Format(
    r"^/[^\x00-\x1f\x7f:]*$",
    "an absolute path without colons",
    "/var/lib/qwen",
)
RELATIVE_PATH: Final = Format(
    r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$",
    "a relative path without hidden or parent folders",
    "models/qwen3-4b",
)
ACCELERATOR_NAME: Final = Format(
    r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$",
    "L4, A10G, RTX4090, RTX4090D, CPU or the value of the node label nvidia.com/gpu.product",
    "L4",
)
COMPUTE_CAPABILITY: Final = Format(
    r"^[1-9][0-9]?\.[0-9]$",
    "a major and a minor version with a dot between them",
    "8.6",
)
QUANTITY: Final = Format(
    r"^([0-9]*[1-9][0-9]*(\.[0-9]+)?|0\.[0-9]*[1-9][0-9]*)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$",
    "a Kubernetes quantity above zero",
    "16Gi",
)
IMAGE: Final = Format(
    r"^[A-Za-z0-9][A-Za-z0-9._:@/-]*$",
    "an image reference",
    "vllm/vllm-openai:v0.33.0",
)
PARSER_NAME: Final = Format(
    r"^[a-z0-9][a-z0-9_.-]*$",
    "the name of one of vLLM's parsers",
    "hermes",
)
ENV_NAME: Final = Format(
    r"^[A-Za-z_][A-Za-z0-9_]*$",
    "letters, digits and underscores, not beginning with a digit",
    "VLLM_LOGGING_LEVEL",
)
ONE_LINE: Final = Format(
    r"^[^\x00-\x1f\x7f]+$",
    "one line of text",
    "--enable-log-requests",
)
LABEL_KEY: Final = Format(
    r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$",
    "a label key, with or without a domain in front",
    "topology.kubernetes.io/zone",
)
LABEL_VALUE: Final = Format(
    r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$",
    "a label value (letters, digits, dots, dashes and underscores)",
    "search",
)
REASON: Final = Format(
    r"^[A-Z][A-Za-z0-9]*$",
    "one word in PascalCase",
    "PlanFits",
)
DECIMAL: Final = Format(
    r"^[0-9]+(\.[0-9]+)?$",
    "a decimal number in quotes",
    "3.06",
)

FORMATS: Final[dict[str, Format]] = {
    each.pattern: each
    for each in (
        MODEL_ID,
        REVISION,
        SERVED_NAME,
        DNS_SUBDOMAIN,
        DATA_KEY,
        URL,
        ABSOLUTE_PATH,
        RELATIVE_PATH,
        ACCELERATOR_NAME,
        COMPUTE_CAPABILITY,
        QUANTITY,
        IMAGE,
        PARSER_NAME,
        ENV_NAME,
        ONE_LINE,
        LABEL_KEY,
        LABEL_VALUE,
        REASON,
        DECIMAL,
    )
}
"""Each format by its pattern, which is all that a validation error carries."""

Int32 = Annotated[int, Strict(), Field(json_schema_extra={"format": "int32"})]
Int64 = Annotated[int, Strict(), Field(json_schema_extra={"format": "int64"})]
Flag = Annotated[bool, Strict()]

ModelId = Annotated[str, Field(pattern=MODEL_ID.pattern, max_length=193)]
Revision = Annotated[str, Field(pattern=REVISION.pattern, max_length=128)]
ServedName = Annotated[str, Field(pattern=SERVED_NAME.pattern, max_length=193)]
DnsSubdomain = Annotated[str, Field(pattern=DNS_SUBDOMAIN.pattern, max_length=253)]
DataKey = Annotated[str, Field(pattern=DATA_KEY.pattern, max_length=253)]
Url = Annotated[str, Field(pattern=URL.pattern, max_length=512)]
AbsolutePath = Annotated[str, Field(pattern=ABSOLUTE_PATH.pattern, max_length=512)]
RelativePath = Annotated[str, Field(pattern=RELATIVE_PATH.pattern, max_length=512)]
AcceleratorName = Annotated[str, Field(pattern=ACCELERATOR_NAME.pattern, max_length=63)]
ComputeCapability = Annotated[str, Field(pattern=COMPUTE_CAPABILITY.pattern, max_length=4)]
Image = Annotated[str, Field(pattern=IMAGE.pattern, max_length=512)]
ParserName = Annotated[str, Field(pattern=PARSER_NAME.pattern, max_length=63)]
EnvName = Annotated[str, Field(pattern=ENV_NAME.pattern, max_length=128)]
LabelKey = Annotated[str, Field(pattern=LABEL_KEY.pattern, max_length=317)]
LabelValue = Annotated[str, Field(pattern=LABEL_VALUE.pattern, max_length=63)]
Argument = Annotated[str, Field(pattern=ONE_LINE.pattern, max_length=1024)]
Reason = Annotated[str, Field(pattern=REASON.pattern, max_length=128)]
Decimal = Annotated[str, Field(pattern=DECIMAL.pattern, max_length=32)]
ShortText = Annotated[str, Field(max_length=253)]
Sentence = Annotated[str, Field(max_length=1024)]
LongText = Annotated[str, Field(max_length=4096)]


def _number_as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Quantity = Annotated[
    str,
    Field(pattern=QUANTITY.pattern, max_length=32),
    BeforeValidator(_number_as_text),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "minimum": 1,
            "maxLength": 32,
            "pattern": QUANTITY.pattern,
        }
    ),
]

WRITTEN_DEFAULT: Final = "x-written-default"
"""Marks the default of an object that the API server shall write into the user's object."""

LIST_TYPE: Final = "x-kubernetes-list-type"
ATOMIC_LIST: Final[dict[str, Any]] = {LIST_TYPE: "atomic"}
DUPLICATE_ERROR: Final = "duplicate"

ItemT = TypeVar("ItemT")


def keyed_list(key: str) -> dict[str, Any]:
    """Schema of a list whose items are told apart, and merged, by ``key``."""
    return {LIST_TYPE: "map", "x-kubernetes-list-map-keys": [key]}


def unique_by(key: str) -> AfterValidator:
    """Refuse a second item with the same ``key``, as the API server does for keyed lists."""

    def refuse_duplicates(items: tuple[ItemT, ...]) -> tuple[ItemT, ...]:
        values = [getattr(item, key) for item in items]
        for value in values:
            if values.count(value) > 1:
                raise PydanticCustomError(
                    DUPLICATE_ERROR,
                    "{value} is listed more than once",
                    {"value": str(value), "key": key},
                )
        return items

    check: Callable[[tuple[ItemT, ...]], tuple[ItemT, ...]] = refuse_duplicates
    return AfterValidator(check)
