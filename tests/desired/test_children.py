"""What must hold for the children of any QwenDeployment."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from qwen_operator import naming
from qwen_operator.desired.children import build_children, owned_kinds
from qwen_operator.desired.plan_config_map import rows_of
from qwen_operator.desired.wanted import ExistingClaim
from qwen_operator.errors import InvalidInput
from qwen_operator.units import GIB
from tests.desired.examples import (
    SETTINGS,
    children_of,
    deployment,
    model_container,
    template_of,
    wanted,
)
from tests.desired.test_golden import CASES

CLAIM = ExistingClaim(requested_bytes=1000 * GIB, access_modes=("ReadWriteMany",))


@pytest.mark.parametrize("name", CASES)
def test_the_same_wish_gives_the_same_children(name: str) -> None:
    first, second = build_children(wanted(CASES[name])), build_children(wanted(CASES[name]))
    assert json.dumps(first) == json.dumps(second)


@pytest.mark.parametrize("name", CASES)
def test_a_caller_may_change_what_it_gets(name: str) -> None:
    given = wanted(CASES[name])
    pristine = deepcopy(build_children(given))
    _ruin(build_children(given))
    assert build_children(given) == pristine


def _ruin(value: Any) -> None:
    for each in list(value.values()) if isinstance(value, dict) else list(value):
        if isinstance(each, dict | list):
            _ruin(each)
    if isinstance(value, dict | list):
        value.clear()


@pytest.mark.parametrize("name", CASES)
def test_every_child_is_owned_labelled_and_of_a_kind_that_is_pruned(name: str) -> None:
    kinds = {(kind.api_version, kind.kind) for kind in owned_kinds()}
    for child in build_children(wanted(CASES[name])):
        metadata = child["metadata"]
        assert (child["apiVersion"], child["kind"]) in kinds
        assert metadata["namespace"] == "models"
        assert metadata["ownerReferences"][0]["uid"] == "0d1c-uid"
        assert metadata["labels"][naming.MANAGED_BY_LABEL] == "qwen-operator"
        assert len(metadata["name"]) <= (253 if child["kind"] == "ConfigMap" else 63)


def test_the_deployment_is_applied_last_and_pruned_first() -> None:
    order = [child["kind"] for child in build_children(wanted({"replicas": 2}))]
    assert order == [
        "ServiceAccount",
        "PersistentVolumeClaim",
        "ConfigMap",
        "NetworkPolicy",
        "Service",
        "PodDisruptionBudget",
        "Deployment",
    ]
    assert [kind.kind for kind in owned_kinds()] == order[::-1]


@examples(st.permutations(["RTX4090", "RTX4090D", "L4", "A10G"]), st.randoms())
def test_the_order_of_cards_is_no_difference(names: list[str], chance: Any) -> None:
    spec = {"accelerators": [{"name": name} for name in names]}
    rows = list(wanted().rows)
    chance.shuffle(rows)
    a, b = children_of(wanted(spec, rows=tuple(rows))), children_of(wanted())
    assert a["ConfigMap"] == b["ConfigMap"]
    assert a["Deployment"]["spec"] == b["Deployment"]["spec"]


@examples(st.permutations([{"name": name, "value": name} for name in "ABC"]))
def test_the_order_of_variables_is_no_difference(env: list[dict[str, str]]) -> None:
    assert template_of(wanted({"engine": {"env": env}})) == template_of(
        wanted({"engine": {"env": sorted(env, key=lambda each: each["name"])}})
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [("4000m", "4"), ("4", "4.0"), (4, "4")],
)
def test_the_spelling_of_a_quantity_is_no_difference(one: Any, other: Any) -> None:
    assert template_of(wanted({"resources": {"cpu": one}})) == template_of(
        wanted({"resources": {"cpu": other}})
    )


@examples(st.integers(0, 10**9), st.text(), st.lists(st.text(), max_size=3))
def test_bands_and_words_of_a_plan_restart_nothing(
    band: int, text: str, sentences: list[str]
) -> None:
    old = wanted()
    rows = tuple(
        replace(
            row,
            reason=text,
            decisions=tuple(sentences),
            warnings=tuple(sentences),
            kv_cache_tokens=band,
            max_concurrency=band / 7,
            budget=replace(row.budget, band_bytes=band, kv_cache_bytes_expected=band),
        )
        for row in old.rows
    )
    assert build_children(replace(old, rows=rows)) == build_children(old)


@pytest.mark.parametrize(
    "change",
    [
        {"args": ("--seed", "1")},
        {"env": (("A", "1"),)},
        {"model_repository": "other/model"},
    ],
)
def test_what_the_launcher_acts_on_is_another_plan(change: dict[str, Any]) -> None:
    old = wanted()
    first, *rest = old.rows
    new = replace(old, rows=(replace(first, **change), *rest))
    assert (
        children_of(new)["ConfigMap"]["metadata"]["name"]
        != (children_of(old)["ConfigMap"]["metadata"]["name"])
    )
    assert template_of(new) != template_of(old)


def test_the_template_names_the_plan_and_nothing_of_the_plan_stands_in_it() -> None:
    given = wanted()
    children = children_of(given)
    volumes = {each["name"]: each for each in template_of(given)["spec"]["volumes"]}
    assert volumes["plan"]["configMap"]["name"] == children["ConfigMap"]["metadata"]["name"]
    assert children["ConfigMap"]["immutable"] is True


def test_the_rows_of_the_plan_are_read_back() -> None:
    given = wanted()
    read = rows_of(children_of(given)["ConfigMap"])
    assert [row.card.name for row in read] == ["A10G", "L4", "RTX4090", "RTX4090D"]
    by_name = {row.card.name: row for row in given.rows}
    for row in read:
        assert tuple(row.args) == by_name[row.card.name].args
        assert row.env == dict(by_name[row.card.name].env)


@pytest.mark.parametrize("foreign", [{}, {"data": {}}, {"data": {"index.json": "["}}])
def test_a_foreign_config_map_holds_no_rows(foreign: dict[str, Any]) -> None:
    assert rows_of(foreign) == ()


def test_a_card_that_is_listed_twice_gets_the_more_cautious_row() -> None:
    spec = {"accelerators": [{"name": "L4"}, {"name": "NVIDIA-L4", "reservedMemoryMib": 1024}]}
    given = wanted(spec)
    (row,) = rows_of(children_of(given)["ConfigMap"])
    cautious = next(each for each in given.rows if each.card.reserved_bytes)
    assert tuple(row.args) == cautious.args


@pytest.mark.parametrize(
    ("spec", "replicas"),
    [
        ({}, 1),
        ({"replicas": 0}, 0),
        ({"replicas": 7}, 7),
        ({"replicas": 7, "suspend": True}, 0),
        ({"suspend": True}, 0),
    ],
)
def test_replicas_are_those_of_the_owner(spec: dict[str, Any], replicas: int) -> None:
    children = children_of(wanted(spec))
    assert children["Deployment"]["spec"]["replicas"] == replicas
    assert ("PodDisruptionBudget" in children) is (replicas > 1)
    assert "Service" in children


def test_the_old_pod_goes_first_unless_cards_are_to_spare() -> None:
    def update(*, surge: bool) -> Any:
        return children_of(wanted(surge=surge))["Deployment"]["spec"]["strategy"]["rollingUpdate"]

    assert update(surge=False) == {"maxSurge": 0, "maxUnavailable": 1}
    assert update(surge=True) == {"maxSurge": 1, "maxUnavailable": 0}


# --- Where nothing fits -------------------------------------------------------------------------


def test_where_nothing_fits_there_are_no_pods() -> None:
    assert set(children_of(wanted(rows=()))) == {"ServiceAccount"}


def test_where_nothing_fits_an_existing_claim_stays() -> None:
    assert set(children_of(wanted(rows=(), existing_claim=CLAIM))) == {
        "ServiceAccount",
        "PersistentVolumeClaim",
    }


def test_where_nothing_fits_a_claim_of_a_given_size_stays() -> None:
    children = children_of(wanted({"cache": {"size": "5Gi"}}, rows=()))
    assert set(children) == {"ServiceAccount", "PersistentVolumeClaim"}


# --- The claim ----------------------------------------------------------------------------------


def claim_size(spec: dict[str, Any], **fields: Any) -> str:
    claim = children_of(wanted(spec, **fields))["PersistentVolumeClaim"]
    size: str = claim["spec"]["resources"]["requests"]["storage"]
    return size


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        # 8.05 GB of weights; 16.4 GB; the same 16-bit checkpoint, converted at load.
        ({"model": "Qwen/Qwen3-4B"}, "20Gi"),
        ({"model": "Qwen/Qwen3-8B"}, "30Gi"),
        ({"model": "Qwen/Qwen3-8B", "precision": "mixed"}, "30Gi"),
        # Half the bytes: an official FP8 checkpoint.
        ({"model": "Qwen/Qwen3-8B", "precision": "fp8"}, "30Gi"),
        ({"model": "Qwen/Qwen3-8B", "precision": "int4"}, "20Gi"),
        ({"model": "Qwen/Qwen3-8B", "cache": {"size": "100000Mi"}}, "100000Mi"),
    ],
)
def test_the_claim_holds_checkpoint_and_compiled_kernels(spec: dict[str, Any], size: str) -> None:
    assert claim_size(spec) == size


def test_a_claim_grows_but_never_shrinks_and_keeps_its_modes() -> None:
    assert claim_size({"cache": {"size": "10Gi"}}, existing_claim=CLAIM) == "1000Gi"
    assert claim_size({"cache": {"size": "2Ti"}}, existing_claim=CLAIM) == "2Ti"
    claim = children_of(wanted(existing_claim=CLAIM))["PersistentVolumeClaim"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    fresh = children_of(wanted(settings=replace(SETTINGS, claim_access_mode="ReadWriteMany")))
    assert fresh["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteMany"]


@pytest.mark.parametrize(
    "cache",
    [{"claimName": "theirs"}, {"type": "EmptyDir"}, {"type": "HostPath", "path": "/cache"}],
)
def test_no_claim_is_made_where_the_cache_is_elsewhere(cache: dict[str, str]) -> None:
    assert "PersistentVolumeClaim" not in children_of(wanted({"cache": cache}))


# --- The pods -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_pods_pass_the_restricted_level_where_no_host_path_is_asked_for(name: str) -> None:
    pod = template_of(wanted(CASES[name]))["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in (*pod["containers"], *pod["initContainers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
    kinds = {key for volume in pod["volumes"] for key in volume} - {"name"}
    host_path = "HostPath" in str(CASES[name])
    allowed = {"configMap", "emptyDir", "persistentVolumeClaim"}
    assert kinds <= (allowed | {"hostPath"} if host_path else allowed)


def test_a_cpu_asks_for_no_card() -> None:
    given = wanted(CASES["cpu"])
    pod = template_of(given)["spec"]
    assert "affinity" not in pod
    assert "tolerations" not in pod
    assert model_container(given)["image"] == SETTINGS.cpu_image
    assert naming.GPU_RESOURCE not in model_container(given)["resources"]["limits"]


def node_terms(given: Any) -> list[list[dict[str, Any]]]:
    affinity = template_of(given)["spec"]["affinity"]["nodeAffinity"]
    terms = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    return [term["matchExpressions"] for term in terms]


def test_only_cards_that_fit_are_in_the_affinity() -> None:
    given = wanted()
    some = replace(given, rows=tuple(row for row in given.rows if row.card.name == "A10G"))
    named = str(node_terms(some))
    assert "NVIDIA-A10G" in named
    assert "l4" not in named.lower()
    assert "4090" not in named


def test_a_card_given_by_hand_is_found_by_its_label() -> None:
    mine = {"name": "My-Card", "memoryMib": 24_000, "computeCapability": "8.9"}
    (term,) = node_terms(wanted({"accelerators": [mine]}))
    assert term[0] == {"key": naming.GPU_PRODUCT_LABEL, "operator": "In", "values": ["My-Card"]}


def test_the_users_alternatives_are_each_joined_with_each_of_ours() -> None:
    zones = [
        {
            "matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}],
            "matchFields": [{"key": "metadata.name", "operator": "In", "values": [zone]}],
        }
        for zone in ("a", "b")
    ]
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    affinity = {
        "nodeAffinity": {
            required: {"nodeSelectorTerms": zones},
            "preferredDuringSchedulingIgnoredDuringExecution": [],
        },
        "podAntiAffinity": {},
    }
    spec = {"podTemplate": {"spec": {"affinity": affinity}}}
    built = template_of(wanted(spec))["spec"]["affinity"]
    terms = built["nodeAffinity"][required]["nodeSelectorTerms"]
    assert len(terms) == 2 * len(node_terms(wanted()))
    for term in terms:
        assert term["matchExpressions"][-1]["key"] == "zone"
        assert term["matchFields"] in [zone["matchFields"] for zone in zones]
    assert built["podAntiAffinity"] == {}


@pytest.mark.parametrize(
    "affinity",
    [
        {"nodeAffinity": 1},
        {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [1]}},
        {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": {"a": 1}}
            }
        },
    ],
)
def test_an_affinity_that_is_none_is_refused_with_its_path(affinity: Any) -> None:
    given = wanted({"podTemplate": {"spec": {"affinity": affinity}}})
    with pytest.raises(InvalidInput, match=r"spec\.podTemplate\.spec\.affinity\.nodeAffinity"):
        build_children(given)


def test_shared_memory_is_part_of_the_memory() -> None:
    plain, more = (
        model_container(wanted({"resources": resources}))["resources"]["limits"]["memory"]
        for resources in ({}, {"sharedMemory": "3Gi"})
    )
    assert (plain, more) == ("8Gi", "10Gi")


def test_a_variable_is_passed_on_as_it_is_written() -> None:
    env = [{"name": "HOME", "value": "$(PATH)"}, {"name": "EMPTY"}]
    built = {
        each["name"]: each.get("value")
        for each in model_container(wanted({"engine": {"env": env}}))["env"]
    }
    assert built["HOME"] == "$$(PATH)"
    assert built["EMPTY"] is None
    assert built["HF_HUB_OFFLINE"] == "1"


# --- The network --------------------------------------------------------------------------------


def egress_ports(source: dict[str, Any]) -> list[int]:
    spec = children_of(wanted({"source": source}))["NetworkPolicy"]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    return [port["port"] for rule in spec.get("egress", ()) for port in rule["ports"]]


@pytest.mark.parametrize(
    ("source", "ports"),
    [
        ({}, [53, 53, 443]),
        ({"huggingFace": {"endpoint": "http://hub"}}, [53, 53, 80, 443]),
        ({"modelScope": {"endpoint": "https://hub:8443/x"}}, [53, 53, 443, 8443]),
        ({"proxy": {"httpProxy": "http://proxy:3128"}}, [53, 53, 443, 3128]),
        ({"hostPath": {"path": "/w"}}, []),
        ({"persistentVolumeClaim": {"claimName": "w"}}, []),
    ],
)
def test_pods_may_reach_what_they_fetch_from(source: dict[str, Any], ports: list[int]) -> None:
    assert egress_ports(source) == ports


def test_an_address_with_an_impossible_port_is_refused() -> None:
    given = wanted({"source": {"huggingFace": {"endpoint": "http://hub:99999"}}})
    with pytest.raises(InvalidInput, match=r"spec\.source\.huggingFace\.endpoint"):
        build_children(given)


def test_names_of_the_longest_owner_fit() -> None:
    given = wanted()
    owner = deployment()
    long = owner.metadata.model_copy(update={"name": "a" * naming.MAX_NAME_LENGTH})
    renamed = replace(given, deployment=owner.model_copy(update={"metadata": long}))
    for child in build_children(renamed):
        assert len(child["metadata"]["name"]) <= (253 if child["kind"] == "ConfigMap" else 63)
