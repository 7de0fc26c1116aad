from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from qwen_operator import naming
from qwen_operator.api.crd import build_crd, render_crd

COMMITTED = Path(__file__).parents[2] / "crds" / "qwen-operator.io_qwendeployments.yaml"
VERSION = build_crd()["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]

# Words that belong to somebody else and are spelt as their owner spells them.
LOWER_CASE_WORDS = {
    ".spec.precision": {"bf16", "fp16", "fp8", "int8", "int4", "mixed"},
    ".spec.engine.kvCacheDtype": {
        "auto",
        "fp8",
        "fp8_e5m2",
        "bfloat16",
        "float16",
        "int8_per_token_head",
        "fp8_per_token_head",
        "int4_per_token_head",
    },
}


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


NODES = dict(nodes(SCHEMA))


def test_committed_crd_is_the_generated_one() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == render_crd()


def test_crd_is_small_enough_for_every_tool() -> None:
    assert COMMITTED.stat().st_size < 128 * 1024


def test_crd_yaml_says_the_same_as_the_builder() -> None:
    rendered = render_crd()
    assert yaml.safe_load(rendered) == build_crd()
    assert "&id" not in rendered


def test_schema_is_structural() -> None:
    for path, node in NODES.items():
        assert not {"$ref", "$defs", "title", "nullable", "oneOf", "allOf", "not"} & node.keys(), (
            path
        )
        assert not [key for key in node if key.startswith("x-") and "kubernetes" not in key], path
        assert ("type" in node) != node.get("x-kubernetes-int-or-string", False), path


def test_schema_has_no_floats() -> None:
    assert not [path for path, node in NODES.items() if node.get("type") == "number"]


def test_integers_say_their_width_and_their_bounds() -> None:
    for path, node in NODES.items():
        if node.get("type") == "integer":
            assert node["format"] in {"int32", "int64"}, path
            assert "minimum" in node, path
            assert "maximum" in node or path.startswith(".status"), path


def test_fields_are_described_with_an_example() -> None:
    undescribed = [
        path
        for path, node in NODES.items()
        if path.startswith((".spec.", ".status."))
        and not path.endswith(("[]", "{}"))
        and "for example" not in node.get("description", "")
    ]
    assert not undescribed


def test_optional_fields_say_their_default() -> None:
    silent = [
        f"{path}.{name}"
        for path, node in NODES.items()
        for name, inner in node.get("properties", {}).items()
        if path.startswith((".spec", ".status"))
        and name not in node.get("required", ())
        and not {"default", "Default"} & set(inner["description"].replace(".", " ").split())
        and not (path == ".spec" and name == "replicas")
    ]
    assert not silent


def test_lists_say_how_they_merge_and_end() -> None:
    for path, node in NODES.items():
        if node.get("type") == "array":
            assert node["maxItems"] > 0, path
            if node["x-kubernetes-list-type"] == "map":
                keys = node["x-kubernetes-list-map-keys"]
                assert set(keys) <= set(node["items"]["required"]), path
            else:
                assert node["x-kubernetes-list-type"] == "atomic", path


def test_texts_and_maps_are_bounded() -> None:
    for path, node in NODES.items():
        if path in {".apiVersion", ".kind"} or "enum" in node or "format" in node:
            continue
        if node.get("type") == "string":
            assert node["maxLength"] > 0, path
        if "additionalProperties" in node:
            assert node["maxProperties"] > 0, path


def test_words_are_in_pascal_case() -> None:
    for path, node in NODES.items():
        if "enum" not in node:
            continue
        words = set(node["enum"])
        if path in LOWER_CASE_WORDS:
            assert words == LOWER_CASE_WORDS[path]
        else:
            assert all(word[0].isupper() and word.isalnum() for word in words), path


def test_status_is_optional_and_says_that_nobody_has_looked() -> None:
    assert SCHEMA["required"] == ["spec"]
    assert SCHEMA["properties"]["status"]["default"] == {"observedGeneration": -1}
    assert "required" not in SCHEMA["properties"]["status"]


def test_nothing_writes_replicas_but_who_owns_them() -> None:
    assert "default" not in NODES[".spec.replicas"]


@pytest.mark.parametrize(
    ("path", "default"),
    [
        (".spec.precision", "bf16"),
        (".spec.contextLength", 8192),
        (".spec.tensorParallelSize", 1),
        (".spec.profile", "ManyUsers"),
        (".spec.suspend", False),
        (".spec.cache", {"type": "PersistentVolumeClaim"}),
        (".spec.accelerators[].reservedMemoryMib", 0),
    ],
)
def test_defaults_are_written(path: str, default: object) -> None:
    assert NODES[path]["default"] == default


def test_whole_objects_are_not_written_by_default() -> None:
    for name in ("source", "engine", "resources", "podTemplate", "accelerators"):
        assert "default" not in NODES[f".spec.{name}"]


def test_rules_blame_fields_that_exist() -> None:
    for path, node in NODES.items():
        for validation in node.get("x-kubernetes-validations", ()):
            assert "\n" not in validation["message"]
            if "fieldPath" in validation:
                assert f"{path}{validation['fieldPath']}" in NODES


def test_names_and_subresources() -> None:
    crd = build_crd()
    assert crd["metadata"]["name"] == "qwendeployments.qwen-operator.io"
    assert crd["spec"]["names"]["shortNames"] == ["qd"]
    assert crd["spec"]["names"]["kind"] == naming.KIND
    assert VERSION["subresources"] == {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    }


def test_printer_columns() -> None:
    columns = VERSION["additionalPrinterColumns"]
    assert [column["name"] for column in columns] == [
        "Model",
        "Precision",
        "Context",
        "TP",
        "Ready",
        "Reason",
        "Replicas",
        "Age",
    ]
    assert [column["name"] for column in columns if column.get("priority")] == ["Context", "TP"]
