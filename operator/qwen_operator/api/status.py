"""What the operator answers: the status of a QwenDeployment."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from qwen_operator.api.base import StatusModel
from qwen_operator.api.conditions import Condition
from qwen_operator.api.formats import (
    AcceleratorName,
    Decimal,
    Flag,
    Int32,
    Int64,
    LongText,
    Revision,
    Sentence,
    keyed_list,
    unique_by,
)


class Measured(StatusModel):
    """What replicas on one card have measured."""

    replicas: Annotated[Int32, Field(ge=1)] = Field(
        description="Replicas that told it, for example 2."
    )
    weights_bytes: Annotated[Int64, Field(ge=0)] | None = Field(
        default=None,
        description="Weights on each card, in bytes. Default unknown, for example 5456789012.",
    )
    kv_cache_tokens: Annotated[Int64, Field(ge=0)] | None = Field(
        default=None,
        description="Room of the KV cache, in tokens. Default unknown, for example 200736.",
    )
    device_bytes_total: Annotated[Int64, Field(ge=0)] | None = Field(
        default=None,
        description="Memory of the card, in bytes. Default unknown, for example 25769803776.",
    )
    device_bytes_peak: Annotated[Int64, Field(ge=0)] | None = Field(
        default=None,
        description=(
            "Most that was ever in use on a card, by everybody, in bytes. Default unknown, "
            "for example 22548578304."
        ),
    )
    start_seconds: Annotated[Int32, Field(ge=0)] | None = Field(
        default=None,
        description="Longest start, without the fetch. Default unknown, for example 74.",
    )
    commit: Revision | None = Field(
        default=None,
        description="Commit of the weights that serve. Default unknown, for example 1cfa9a72.",
    )


class PlanSummary(StatusModel):
    """What the memory plan says about one card."""

    accelerator: AcceleratorName = Field(description="Name of the card, for example RTX4090.")
    fits: Flag = Field(description="Whether the model fits the card, for example true.")
    reason: Sentence = Field(
        default="",
        description=(
            "Why it fits or not, in one sentence. Default empty, "
            "for example 64000 tokens fit beside the weights."
        ),
    )
    kv_cache_tokens: Annotated[Int64, Field(ge=0)] | None = Field(
        default=None,
        description="Room of the KV cache, in tokens. Default unknown, for example 200736.",
    )
    kv_cache_bytes: Annotated[Int64, Field(ge=0)] | None = Field(
        default=None,
        description=(
            "Room of the KV cache on each card, in bytes. Default unknown, for example 14800125952."
        ),
    )
    measured: Measured | None = Field(
        default=None,
        description=(
            "What replicas on this card have measured. Default nothing yet, "
            "for example {replicas: 1, kvCacheTokens: 200736}."
        ),
    )
    max_concurrency: Decimal | None = Field(
        default=None,
        description=(
            "Requests of full length that fit at a time, as a decimal number. Default unknown, "
            "for example '3.06'."
        ),
    )


class QwenDeploymentStatus(StatusModel):
    """What was seen and decided last."""

    observed_generation: Annotated[Int64, Field(ge=-1)] = Field(
        default=-1,
        description=(
            "Generation of the spec that this status answers; -1 means not looked at yet. "
            "Default -1, for example 3."
        ),
    )
    conditions: Annotated[
        tuple[Condition, ...],
        Field(max_length=16, json_schema_extra=keyed_list("type")),
        unique_by("type"),
    ] = Field(
        default=(),
        description="What is true now and why. Default none, for example [{type: Ready}].",
    )
    replicas: Annotated[Int32, Field(ge=0)] | None = Field(
        default=None,
        description="Replicas that exist. Default unknown, for example 2.",
    )
    ready_replicas: Annotated[Int32, Field(ge=0)] | None = Field(
        default=None,
        description="Replicas that answer requests. Default unknown, for example 1.",
    )
    selector: LongText | None = Field(
        default=None,
        description=(
            "Label selector of the model pods, for the scale subresource. Default unknown, "
            "for example app.kubernetes.io/instance=qwen3-4b."
        ),
    )
    plan: Annotated[
        tuple[PlanSummary, ...],
        Field(max_length=16, json_schema_extra=keyed_list("accelerator")),
        unique_by("accelerator"),
    ] = Field(
        default=(),
        description=(
            "What the memory plan says about each card that may serve the model. Default none, "
            "for example [{accelerator: L4, fits: true}]."
        ),
    )
