"""From a YAML document to a QwenDeployment, or to one sentence that says what is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final, get_args

import annotated_types
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from qwen_operator.api.base import RULE_ERROR
from qwen_operator.api.formats import DUPLICATE_ERROR, FORMATS
from qwen_operator.api.v1alpha1 import QwenDeployment
from qwen_operator.errors import MISSING, InvalidInput, Words
from qwen_operator.naming import API_VERSION, KIND

Path = tuple[str | int, ...]
Complaint = Callable[[ErrorDetails, FieldInfo | None], tuple[str, str]]


def parse_qwen_deployment(document: object) -> QwenDeployment:
    """Read a QwenDeployment as YAML or JSON holds it; raise InvalidInput when it cannot be."""
    if not isinstance(document, Mapping):
        raise InvalidInput(
            "document", document, "it must be a mapping", f"begin it with apiVersion: {API_VERSION}"
        )
    for field, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        if document.get(field) != wanted:
            raise InvalidInput(
                field,
                document.get(field, MISSING),
                f"only {wanted} is understood",
                f"write {field}: {wanted}",
            )
    given = _without_nulls(document)
    try:
        return QwenDeployment.model_validate(given, by_alias=True, by_name=False)
    except ValidationError as invalid:
        raise _explain(invalid.errors(include_url=False), given) from None


def _without_nulls(node: Any) -> Any:
    """Drop empty fields, as the API server does."""
    if isinstance(node, Mapping):
        return {key: _without_nulls(value) for key, value in node.items() if value is not None}
    if isinstance(node, list):
        return [_without_nulls(value) for value in node]
    return node


def _explain(errors: list[ErrorDetails], document: Any) -> InvalidInput:
    # A misspelt field is the cause of the missing one, so it is told first.
    error = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    path: Path = error["loc"]
    if error["type"] == RULE_ERROR:
        context = error["ctx"]
        blamed = (*path, *filter(None, context["field"].split(".")))
        return InvalidInput(
            _spell(blamed),
            _shown(_value_at(document, blamed)),
            context["limit"],
            context["way_out"],
        )
    if error["type"] == "extra_forbidden":
        return InvalidInput(
            _spell(path),
            _shown(_value_at(document, path)),
            "there is no such field",
            _suggest_field(path),
        )
    limit, way_out = _COMPLAINTS.get(error["type"], _complain_anyhow)(error, _field_at(path))
    return InvalidInput(_spell(path), _shown(_value_at(document, path)), limit, way_out)


def _spell(path: Path) -> str:
    """Write a path as people do: ``spec.accelerators[0].name``."""
    written = ""
    for part in path:
        written += f"[{part}]" if isinstance(part, int) else f".{part}"
    return written.removeprefix(".")


def _value_at(document: Any, path: Path) -> Any:
    for part in path:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            return MISSING
    return document


def _shown(value: Any) -> Any:
    """Show what an object holds by the names of its fields, so that the sentence stays short."""
    if isinstance(value, Mapping):
        return Words(f"an object with {', '.join(map(str, value))}" if value else "empty")
    if isinstance(value, list):
        return Words(f"a list of {len(value)}")
    return value


# --- The schema, looked at from a path ----------------------------------------------------------


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Find the model in ``Model``, ``Model | None`` or ``tuple[Model, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _field_at(path: Path) -> FieldInfo | None:
    model: type[BaseModel] | None = QwenDeployment
    field: FieldInfo | None = None
    for part in path:
        if isinstance(part, int):
            continue
        field = _fields_of(model).get(part) if model else None
        if field is None:
            return None
        model = _model_in(field.annotation)
    return field


def _fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _spec_paths(model: type[BaseModel] = QwenDeployment, path: Path = ()) -> Iterator[Path]:
    for name, field in _fields_of(model).items():
        if path or name == "spec":
            yield (*path, name)
            inner = _model_in(field.annotation)
            if inner is not None:
                yield from _spec_paths(inner, (*path, name))


def _suggest_field(path: Path) -> str:
    wrong = str(path[-1])
    parent = _field_at(path[:-1])
    model = _model_in(parent.annotation) if parent else QwenDeployment
    siblings = list(_fields_of(model)) if model else []
    near = difflib.get_close_matches(wrong, siblings, n=1)
    if near:
        return f"write {near[0]}, the nearest name"
    elsewhere = next((each for each in _spec_paths() if each[-1] == wrong), None)
    if elsewhere:
        return f"write it as {_spell(elsewhere)}, where that field is"
    return f"use one of {', '.join(siblings)}"


# --- One sentence per kind of mistake -----------------------------------------------------------


def _bounds(field: FieldInfo | None) -> tuple[Any, Any]:
    """Find the lowest and the highest value, which may sit inside ``Annotated[...] | None``."""
    lowest = highest = None
    pending: list[Any] = [field.annotation, *field.metadata] if field else []
    while pending:
        part = pending.pop()
        if isinstance(part, annotated_types.Ge):
            lowest = part.ge
        elif isinstance(part, annotated_types.Le):
            highest = part.le
        elif isinstance(part, FieldInfo):
            pending.extend(part.metadata)
        else:
            pending.extend(get_args(part))
    return lowest, highest


def _complain_of_range(error: ErrorDetails, field: FieldInfo | None) -> tuple[str, str]:
    lowest, highest = _bounds(field)
    if highest is None:
        return f"the lowest value is {lowest}", f"choose {lowest} or more"
    return (
        f"the {'lowest' if 'greater' in error['type'] else 'highest'} value is "
        f"{lowest if 'greater' in error['type'] else highest}",
        f"choose a number from {lowest} to {highest}",
    )


def _complain_of_word(error: ErrorDetails, field: FieldInfo | None) -> tuple[str, str]:
    kinds = (field.annotation, *get_args(field.annotation)) if field else ()
    words = [
        str(word.value)
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, Enum)
        for word in kind
    ]
    by_lower_case = {word.lower(): word for word in words}
    near = difflib.get_close_matches(str(error["input"]).lower(), by_lower_case, n=1)
    return (
        f"it must be one of {', '.join(words)}",
        f"write {by_lower_case[near[0]]}" if near else "choose one of them",
    )


def _complain_of_form(error: ErrorDetails, _: FieldInfo | None) -> tuple[str, str]:
    form = FORMATS[error["ctx"]["pattern"]]
    return f"it must be {form.words}", f"write it as in {form.example}"


def _complain_of_missing(error: ErrorDetails, field: FieldInfo | None) -> tuple[str, str]:
    hint = (field.description or "") if field else ""
    _, found, example = hint.partition("for example ")
    example = example.split(". ")[0].removesuffix(".")
    name = error["loc"][-1]
    return "it is required", f"add it, for example {name}: {example}" if found else "add it"


def _complain_of_text(error: ErrorDetails, _: FieldInfo | None) -> tuple[str, str]:
    given = error["input"]
    if isinstance(given, dict | list):
        return "it must be text", "write one value on the same line"
    return "it must be text", f"put it in quotes: '{given}'"


def _complain_of_duplicate(error: ErrorDetails, _: FieldInfo | None) -> tuple[str, str]:
    context = error["ctx"]
    return f"{context['key']} {context['value']} is in it more than once", "keep one of them"


def _complain_of_length(error: ErrorDetails, _: FieldInfo | None) -> tuple[str, str]:
    most = error["ctx"]["max_length"]
    kind = "characters" if error["type"] == "string_too_long" else "entries"
    return f"it may have at most {most} {kind}", "shorten it"


def _always(limit: str, way_out: str) -> Complaint:
    return lambda _error, _field: (limit, way_out)


def _complain_anyhow(error: ErrorDetails, _: FieldInfo | None) -> tuple[str, str]:
    return error["msg"][:1].lower() + error["msg"][1:], "see the description of the field"


_NOT_A_NUMBER: Final = _always("it must be a whole number", "write digits only, without quotes")
_NOT_AN_OBJECT: Final = _always(
    "it must be an object", "write its fields below it, one per line and indented"
)
_NOT_A_LIST: Final = _always("it must be a list", "begin each item with a dash")

_COMPLAINTS: Final[dict[str, Complaint]] = {
    "greater_than_equal": _complain_of_range,
    "less_than_equal": _complain_of_range,
    "enum": _complain_of_word,
    "string_pattern_mismatch": _complain_of_form,
    "missing": _complain_of_missing,
    "string_type": _complain_of_text,
    "string_too_long": _complain_of_length,
    "too_long": _complain_of_length,
    DUPLICATE_ERROR: _complain_of_duplicate,
    "int_type": _NOT_A_NUMBER,
    "int_parsing": _NOT_A_NUMBER,
    "int_parsing_size": _NOT_A_NUMBER,
    "bool_type": _always("it must be true or false", "write true or false without quotes"),
    "model_type": _NOT_AN_OBJECT,
    "dict_type": _NOT_AN_OBJECT,
    "tuple_type": _NOT_A_LIST,
}
