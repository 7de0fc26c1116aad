"""The conditions of a QwenDeployment: their types, their reasons, their shape."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, Field

from qwen_operator.api.base import StatusModel
from qwen_operator.api.formats import Int64, LongText, Reason


class ConditionType(StrEnum):
    """Ready, Reconciling and Stalled follow kstatus; the others tell which step is reached.

    Reconciling and Stalled are present only when True.
    """

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    PLANNED = "Planned"
    SCHEDULED = "Scheduled"
    WEIGHTS_READY = "WeightsReady"
    AVAILABLE = "Available"


class ConditionStatus(StrEnum):
    """The three values of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ConditionReason(StrEnum):
    """Why a condition has its status; where a container has ended, `FailureReason` says why."""

    NOT_OBSERVED = "NotObserved"
    INVALID_SPEC = "InvalidSpec"
    PLAN_FITS = "PlanFits"
    PLAN_FITS_SOME_CARDS = "PlanFitsSomeCards"
    PLAN_DOES_NOT_FIT = "PlanDoesNotFit"
    UNKNOWN_MODEL = "UnknownModel"
    UNKNOWN_ACCELERATOR = "UnknownAccelerator"
    FOREIGN_CHILD = "ForeignChild"
    CHILD_REFUSED = "ChildRefused"
    SCALED_TO_ZERO = "ScaledToZero"
    SUSPENDED = "Suspended"
    PODS_SCHEDULED = "PodsScheduled"
    NO_FREE_GPU = "NoFreeGpu"
    UNSCHEDULABLE = "Unschedulable"
    ROLLING_OUT = "RollingOut"
    PODS_NOT_READY = "PodsNotReady"
    FETCHING_WEIGHTS = "FetchingWeights"
    WEIGHTS_FETCHED = "WeightsFetched"
    SERVING = "Serving"


class Condition(StatusModel):
    """One statement about the object, with its reason."""

    type: ConditionType = Field(description="What is stated, for example Planned.")
    status: ConditionStatus = Field(description="True, False or Unknown, for example True.")
    reason: Reason = Field(description="Why, in one word for machines, for example PlanFits.")
    message: LongText = Field(
        description="Why, in a sentence for people, for example 3 of 4 cards fit."
    )
    last_transition_time: AwareDatetime = Field(
        description="When status changed last, for example 2026-11-21T10:00:00Z."
    )
    observed_generation: Int64 = Field(
        default=-1,
        ge=-1,
        description="Generation of the spec that was looked at. Default -1, for example 3.",
    )
