"""The chart agrees with the code, the documents and itself. What needs Helm is in tests/e2e."""

from __future__ import annotations

import json
import re
import tomllib
from collections import defaultdict
from typing import Any

import pytest
import yaml

from qwen_contract import pod
from qwen_operator import __version__, naming
from qwen_operator.controller.handlers import WATCHED_CHILDREN
from qwen_operator.desired.children import owned_kinds
from qwen_operator.settings import read_settings
from tests.chart.values_documents import CHART, read_values, schema_at, write_table

REPOSITORY = CHART.parents[1]
VALUES = list(read_values())
CHART_FILE = yaml.safe_load((CHART / "Chart.yaml").read_text())


def objects(name: str) -> list[dict[str, Any]]:
    return [*yaml.safe_load_all((REPOSITORY / "manifests" / name).read_text())]


def needed_rights() -> dict[tuple[str, str], set[str]]:
    """Group and resource to verbs, as the code uses them."""
    needed: dict[tuple[str, str], set[str]] = defaultdict(set)
    for kind in owned_kinds():
        group = kind.api_version.rpartition("/")[0]
        # Server-side apply is a patch that may create. What is named by a hash is searched for.
        looks = "list" if kind.name_of is None else "get"
        needed[group, kind.plural] |= {"create", "delete", "patch", looks}
    for group, _, plural in WATCHED_CHILDREN:
        needed[group, plural] |= {"list", "watch"}
    needed[naming.GROUP, naming.PLURAL] = {"get", "list", "watch"}
    needed[naming.GROUP, f"{naming.PLURAL}/status"] = {"patch"}
    needed["", "events"] = {"create", "patch"}
    return dict(needed)


def given_rights(name: str, *kinds: str) -> dict[tuple[str, str], set[str]]:
    given: dict[tuple[str, str], set[str]] = defaultdict(set)
    for found in objects(name):
        if found["kind"] in kinds:
            for rule in found["rules"]:
                for resource in rule["resources"]:
                    given[rule["apiGroups"][0], resource] |= set(rule["verbs"])
    return dict(given)


def test_in_the_cluster_it_may_do_what_the_code_does_and_nothing_more() -> None:
    given = given_rights("qwen-operator.yaml", "ClusterRole", "Role")
    assert given == {**needed_rights(), ("", "nodes"): {"list"}}


def test_in_a_namespace_it_may_do_the_same_but_see_no_node() -> None:
    name = "qwen-operator-namespaced.yaml"
    assert given_rights(name, "Role") == needed_rights()
    assert {each["kind"] for each in objects(name)} == {
        "Deployment",
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
    }


def test_the_model_pods_let_in_pods_with_its_labels() -> None:
    (deployment,) = (each for each in objects("qwen-operator.yaml") if each["kind"] == "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels[naming.NAME_LABEL] == naming.PRODUCT
    # This one would make it a model pod in the eyes of the operator.
    assert naming.PART_OF_LABEL not in labels


def test_the_crd_of_the_chart_is_the_one_of_crds() -> None:
    (source,) = (REPOSITORY / "crds").glob("*.yaml")
    assert (CHART / "files" / "crd.yaml").read_text() == source.read_text(), "run: make crd"


def test_images_and_numbers_are_by_default_what_the_operator_takes_by_itself() -> None:
    values = {value.path: value.default for value in VALUES}
    settings = read_settings({})
    assert values["vllm.gpuImage"] == settings.children.gpu_image
    assert values["vllm.cpuImage"] == settings.children.cpu_image
    assert values["cache.claimAccessMode"] == settings.children.claim_access_mode
    assert values["resyncSeconds"] == settings.resync_seconds
    assert values["workers"] == settings.workers


def test_every_setting_of_the_chart_is_read_by_the_operator() -> None:
    template = (CHART / "templates" / "deployment.yaml").read_text()
    code = (REPOSITORY / "operator" / "qwen_operator" / "settings.py").read_text()
    names = {
        line.split("QWEN_OPERATOR_")[1].strip()
        for line in template.splitlines()
        if "name: QWEN_OPERATOR_" in line
    }
    assert len(names) > 8
    assert {name for name in names if f'"{name}"' not in code} == set()


def test_the_policy_lets_it_reach_launchers() -> None:
    text = (CHART / "templates" / "network-policy.yaml").read_text()
    assert f"port: {pod.LAUNCHER_PORT}\n" in text
    assert f"{naming.PART_OF_LABEL}: {naming.PRODUCT}" in text


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.path)
def test_every_value_has_a_sentence_and_a_schema(value: Any) -> None:
    assert value.comment.endswith("."), f"{value.path} is not explained in values.yaml"
    assert schema_at(value.path.split("."))


def test_the_schema_knows_no_value_that_does_not_exist() -> None:
    def leaves(schema: dict[str, Any], path: str = "") -> set[str]:
        if "properties" not in schema or path == "resources":
            return {path}
        return {
            leaf
            for key, each in schema["properties"].items()
            for leaf in leaves(each, f"{path}.{key}".lstrip("."))
        }

    schema = json.loads((CHART / "values.schema.json").read_text())
    # Helm gives every chart the key global.
    assert leaves(schema) - {"global"} == {value.path for value in VALUES}


def test_the_table_of_values_is_current() -> None:
    page = (REPOSITORY / "docs" / "install.md").read_text()
    assert write_table() in page, "run: python -m tests.chart.values_documents"


def test_the_version_of_the_software_is_the_operators() -> None:
    assert str(CHART_FILE["appVersion"]) == __version__


def test_what_artifact_hub_reads_is_yaml() -> None:
    notes = CHART_FILE["annotations"]
    (crd,) = yaml.safe_load(notes["artifacthub.io/crds"])
    assert crd["name"] == f"{naming.PLURAL}.{naming.GROUP}"
    (example,) = yaml.safe_load(notes["artifacthub.io/crdsExamples"])
    first = yaml.safe_load((REPOSITORY / "examples" / "qwen3-4b.yaml").read_text())
    assert example["spec"] == first["spec"]
    assert yaml.safe_load(notes["artifacthub.io/changes"])


def test_operator_holds_no_package_file_of_its_own() -> None:
    assert not (REPOSITORY / "operator" / "__init__.py").exists(), "it would hide Python's operator"


def test_requirements_of_the_image_are_pinned_with_hashes() -> None:
    text = (REPOSITORY / "operator" / "requirements.txt").read_text()
    # A line is name==version, an optional marker, and a backslash before the hashes.
    pins = dict(re.findall(r"^([a-z0-9.-]+)==([^ ;]+).*\\$", text, re.MULTILINE))
    lock = tomllib.loads((REPOSITORY / "uv.lock").read_text())
    locked = {package["name"]: package.get("version") for package in lock["package"]}
    assert pins == {name: locked[name] for name in pins}, "run: make operator-requirements"
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    direct = (*project["dependencies"], *project["optional-dependencies"]["operator"])
    assert {re.split(r"[<>=]", name)[0] for name in direct} <= set(pins)
    assert text.count("--hash=sha256:") >= len(pins) > 20
