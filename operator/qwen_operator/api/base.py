"""The base of every API model: frozen, camelCase outside, and obedient to its rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from qwen_operator.api.rules import CelRule, Rule

VALIDATIONS = "x-kubernetes-validations"
RULE_ERROR = "rule"


def _publish_rules(schema: dict[str, Any], model: type[ApiModel]) -> None:
    published = [rule.as_validation() for rule in (*model.rules, *model.transition_rules)]
    if published:
        schema[VALIDATIONS] = published


class ApiModel(BaseModel):
    """A part of the API: snake_case in Python, camelCase in YAML, unknown fields refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        json_schema_extra=_publish_rules,
    )

    rules: ClassVar[tuple[Rule[Any], ...]] = ()
    """What must hold for this object; the CRD says the same in CEL."""

    transition_rules: ClassVar[tuple[CelRule, ...]] = ()
    """What must hold between the old and the new object; only the API server sees both."""

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        for rule in self.rules:
            if not rule.holds(self):
                raise PydanticCustomError(
                    RULE_ERROR,
                    "{message}",
                    {
                        "message": rule.message,
                        "field": rule.field,
                        "limit": rule.limit,
                        "way_out": rule.way_out,
                    },
                )
        return self


class StatusModel(ApiModel):
    """A part of the status: a field that a newer operator wrote is passed over, not refused."""

    model_config = ConfigDict(extra="ignore")
