"""From the models to the CustomResourceDefinition; ``python -m qwen_operator.api.crd`` prints it.

The API server accepts structural schemas only: no ``$ref``, no union for an optional field, no
``additionalProperties: false``. What pydantic writes is brought into that form here.
"""

from __future__ import annotations

import sys
from copy import deepcopy
from typing import Any, Final

from pydantic import BaseModel

from qwen_operator import naming
from qwen_operator.api.base import VALIDATIONS
from qwen_operator.api.formats import WRITTEN_DEFAULT
from qwen_operator.api.v1alpha1 import QwenDeployment

Schema = dict[str, Any]

HEADER: Final = (
    "# Made by `python -m qwen_operator.api.crd` from operator/qwen_operator/api; "
    "change the models, not this file.\n"
)

_DROPPED: Final = ("$defs", "const", "default", "title", WRITTEN_DEFAULT)


def build_crd() -> Schema:
    """Return the CustomResourceDefinition of QwenDeployment."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{naming.PLURAL}.{naming.GROUP}"},
        "spec": {
            "group": naming.GROUP,
            "names": {
                "kind": naming.KIND,
                "listKind": naming.LIST_KIND,
                "plural": naming.PLURAL,
                "singular": naming.SINGULAR,
                "shortNames": [naming.SHORT_NAME],
                "categories": [naming.CATEGORY],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": naming.VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": _build_columns(),
                    "schema": {"openAPIV3Schema": _build_object_schema()},
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                }
            ],
        },
    }


def build_schema(model: type[BaseModel]) -> Schema:
    """Return the structural schema of ``model``."""
    generated = model.model_json_schema(by_alias=True)
    return _structural(generated, generated.get("$defs", {}))


def render_crd() -> str:
    """Return the CustomResourceDefinition as YAML, as it is committed under ``crds/``."""
    import yaml

    body: str = yaml.safe_dump(build_crd(), sort_keys=False, width=100, allow_unicode=True)
    return HEADER + body


def _build_object_schema() -> Schema:
    schema = build_schema(QwenDeployment)
    # The API server knows these three and allows a CRD to say next to nothing about them.
    for known in ("apiVersion", "kind"):
        schema["properties"][known].pop("enum", None)
        schema["properties"][known].pop("default", None)
    schema["properties"]["metadata"] = {"type": "object"}
    schema["required"] = ["spec"]
    # kstatus calls an object without status finished; -1 tells it that nobody has looked yet.
    schema["properties"]["status"]["default"] = {"observedGeneration": -1}
    return schema


def _build_columns() -> list[Schema]:
    def column(name: str, kind: str, path: str, *, wide: bool = False) -> Schema:
        made: Schema = {"name": name, "type": kind, "jsonPath": path}
        if wide:
            made["priority"] = 1
        return made

    return [
        column("Model", "string", ".spec.model"),
        column("Precision", "string", ".spec.precision"),
        column("Context", "integer", ".spec.contextLength", wide=True),
        column("TP", "integer", ".spec.tensorParallelSize", wide=True),
        column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
        column("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason'),
        column("Replicas", "integer", ".status.replicas"),
        column("Age", "date", ".metadata.creationTimestamp"),
    ]


def _structural(node: Schema, definitions: Schema) -> Schema:
    node = _resolved(node, definitions)
    schema: Schema = {}
    for key in ("description", "type", "format"):
        if key in node:
            schema[key] = node[key]
    if isinstance(node.get("default"), str | int):
        schema["default"] = node["default"]
    if WRITTEN_DEFAULT in node:
        schema["default"] = deepcopy(node[WRITTEN_DEFAULT])
    for key, value in node.items():
        if key in schema or key in _DROPPED:
            continue
        if key == "properties":
            schema[key] = {name: _structural(each, definitions) for name, each in value.items()}
        elif key == "items":
            schema[key] = _structural(value, definitions)
        elif key == "additionalProperties":
            schema.update(_structural_map(value, definitions))
        elif key != VALIDATIONS:
            schema[key] = deepcopy(value)
    if VALIDATIONS in node:
        schema[VALIDATIONS] = deepcopy(node[VALIDATIONS])
    return schema


def _resolved(node: Schema, definitions: Schema) -> Schema:
    """Replace references and drop the null of optional fields; what the field says wins."""
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[-1]]
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return _resolved({**target, **rest}, definitions)
    if "anyOf" in node:
        branches = [each for each in node["anyOf"] if each != {"type": "null"}]
        if len(branches) == 1:
            rest = {key: value for key, value in node.items() if key != "anyOf"}
            return _resolved({**branches[0], **rest}, definitions)
    return node


def _structural_map(value: object, definitions: Schema) -> Schema:
    if value is False:
        return {}
    if isinstance(value, dict) and value.get("type") is not None:
        return {"additionalProperties": _structural(value, definitions)}
    return {"x-kubernetes-preserve-unknown-fields": True}


if __name__ == "__main__":
    sys.stdout.write(render_crd())
