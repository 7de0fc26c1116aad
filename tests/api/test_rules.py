from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qwen_operator.api import rules, v1alpha1
from qwen_operator.api.base import ApiModel
from qwen_operator.api.crd import build_crd, build_schema
from qwen_operator.api.flags import OWNED_ENV, OWNED_FLAGS
from qwen_operator.api.parse import parse_qwen_deployment
from qwen_operator.errors import InvalidInput
from tests.api.cel import broken_messages, holds, with_defaults

CRD_SCHEMA = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
MODELS: tuple[type[ApiModel], ...] = (
    v1alpha1.QwenDeployment,
    v1alpha1.QwenDeploymentSpec,
    v1alpha1.Source,
    v1alpha1.Proxy,
    v1alpha1.Accelerator,
    v1alpha1.Cache,
    v1alpha1.Engine,
    v1alpha1.PodMetadata,
)
RULES_OF = {model: model.rules for model in MODELS}
SCHEMA_OF = {model: build_schema(model) for model in MODELS}


def maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


ADDRESS = st.just("http://proxy:3128")
PROXIES = maybe(httpProxy=ADDRESS, httpsProxy=ADDRESS, noProxy=st.sampled_from(["", "10.0.0.0/8"]))
SOURCES = maybe(
    huggingFace=st.just({}),
    modelScope=st.just({}),
    persistentVolumeClaim=st.just({"claimName": "weights"}),
    hostPath=st.just({"path": "/weights"}),
    proxy=PROXIES,
    caBundle=st.just({"configMap": "ca"}),
)
CARD_NAMES = st.sampled_from(
    [*rules.KNOWN_ACCELERATORS, "l4", "rtx4090", "Cpu", "L40", "NVIDIA-L4", "XL4"]
)
ACCELERATORS = st.fixed_dictionaries(
    {"name": CARD_NAMES},
    optional={
        "memoryMib": st.integers(1024, 3000),
        "computeCapability": st.just("8.6"),
        "reservedMemoryMib": st.integers(0, 3000),
    },
)
CACHES = maybe(
    type=st.sampled_from(list(v1alpha1.CacheType)).map(str),
    size=st.sampled_from(["10Gi", 4]),
    storageClassName=st.just("fast"),
    claimName=st.just("cache"),
    path=st.just("/cache"),
)
FLAGS = [flag for owned in OWNED_FLAGS for flag in owned.flags]
ARGUMENTS = st.one_of(
    st.builds(
        lambda flag, length, tail: flag[:length] + tail,
        st.sampled_from([*FLAGS, "--seed", "--max-logprobs", "--Upper", "--under_score"]),
        st.integers(1, 30),
        st.sampled_from(["", "=", "=1", ".key", "x", "-x", ".a=b.c"]),
    ),
    st.sampled_from(["-", "--", "-1", "-.5", "-v", "1", "{}", "a=--port", "é", "=", "."]),
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=5),
)
SIZES = st.integers(16, 20)
ENGINES = maybe(
    maxNumSeqs=SIZES,
    maxNumBatchedTokens=SIZES,
    enforceEager=st.booleans(),
    maxCudagraphCaptureSize=SIZES,
    kvCacheDtype=st.sampled_from(list(v1alpha1.KvCacheDtype)).map(str),
    env=st.lists(
        st.sampled_from([*OWNED_ENV, "HF_TOKENS", "VLLM_LOGGING_LEVEL"]), unique=True, max_size=2
    ).map(lambda names: [{"name": name} for name in names]),
    extraArgs=st.lists(ARGUMENTS, max_size=3),
)
KEYS = st.sampled_from(
    ["team", "qwen-operator.io/x", "app.kubernetes.io/name", "kubernetes.io/x", "qwen-operator.io"]
)
POD_METADATA = maybe(
    labels=st.dictionaries(KEYS, st.just("x"), max_size=2),
    annotations=st.dictionaries(KEYS, st.just("x"), max_size=2),
)
SPECS = st.fixed_dictionaries(
    {"model": st.just("Qwen/Qwen3-4B")},
    optional={
        "precision": st.sampled_from(list(v1alpha1.Precision)).map(str),
        "accelerators": st.lists(ACCELERATORS, max_size=3, unique_by=lambda card: card["name"]),
        "source": SOURCES,
        "cache": CACHES,
        "engine": ENGINES,
        "podTemplate": maybe(metadata=POD_METADATA),
    },
)
OBJECTS = st.fixed_dictionaries(
    {
        "apiVersion": st.just("qwen-operator.io/v1alpha1"),
        "kind": st.just("QwenDeployment"),
        "metadata": st.fixed_dictionaries(
            {
                "name": st.one_of(
                    st.sampled_from(["a", "qwen3-4b", "4b", "a-", "A", "a.b", "a\n", ""]),
                    st.integers(50, 54).map(lambda length: "a" * length),
                )
            }
        ),
        "spec": SPECS,
    }
)
DOCUMENTS = dict(
    zip(
        MODELS,
        (OBJECTS, SPECS, SOURCES, PROXIES, ACCELERATORS, CACHES, ENGINES, POD_METADATA),
        strict=True,
    )
)

SPEC: dict[str, Any] = {"model": "Qwen/Qwen3-4B"}
NAMED_BREAKERS: dict[str, dict[str, Any]] = {
    "name-is-a-service-name": {
        "apiVersion": "qwen-operator.io/v1alpha1",
        "kind": "QwenDeployment",
        "metadata": {"name": "Qwen"},
        "spec": SPEC,
    },
    "proxy-names-a-proxy": {"noProxy": "10.0.0.0/8"},
    "source-is-one-place": {"huggingFace": {}, "modelScope": {}},
    "proxy-needs-a-fetch": {
        "hostPath": {"path": "/w"},
        "proxy": {"httpProxy": "http://proxy:3128"},
    },
    "ca-bundle-needs-a-fetch": {"hostPath": {"path": "/w"}, "caBundle": {"configMap": "ca"}},
    "accelerator-is-spelt-as-known": {"name": "rtx4090d"},
    "memory-is-for-unknown-cards": {"name": "L4", "memoryMib": 24576},
    "compute-capability-is-for-unknown-cards": {"name": "CPU", "computeCapability": "8.6"},
    "reserved-memory-leaves-some": {
        "name": "NVIDIA-L40",
        "memoryMib": 2048,
        "reservedMemoryMib": 2048,
    },
    "host-path-cache-has-a-path": {"type": "HostPath"},
    "path-is-for-host-path": {"path": "/cache"},
    "size-is-not-for-host-path": {"type": "HostPath", "path": "/cache", "size": "10Gi"},
    "storage-class-is-for-claims": {"type": "EmptyDir", "storageClassName": "fast"},
    "claim-name-is-for-claims": {"type": "EmptyDir", "claimName": "cache"},
    "existing-claim-is-taken-as-it-is": {"claimName": "cache", "size": "10Gi"},
    "a-step-holds-every-request": {"maxNumSeqs": 64, "maxNumBatchedTokens": 32},
    "eager-captures-no-graphs": {"enforceEager": True, "maxCudagraphCaptureSize": 8},
    "env-leaves-owned-variables": {"env": [{"name": "HF_TOKEN", "value": "hf_x"}]},
    "extra-args-begin-with-a-flag": {"extraArgs": ["1", "--seed"]},
    "extra-args-are-long-flags": {"extraArgs": ["--seed=1", "-v"]},
    "labels-leave-our-prefixes": {"labels": {"qwen-operator.io/x": "y"}},
    "annotations-leave-our-prefixes": {"annotations": {"app.kubernetes.io/name": "y"}},
    "cpu-stands-alone": {**SPEC, "accelerators": [{"name": "CPU"}, {"name": "L4"}]},
    "cpu-serves-16-bit": {**SPEC, "accelerators": [{"name": "CPU"}], "precision": "int4"},
    "kv-cache-follows-16-bit-weights": {**SPEC, "engine": {"kvCacheDtype": "float16"}},
}


def breaker(name: str) -> dict[str, Any]:
    for owned in OWNED_FLAGS:
        if name == f"extra-args-leave-{owned.owner}":
            return {"extraArgs": [owned.flags[-1]]}
    return NAMED_BREAKERS[name]


@contextmanager
def rules_off() -> Iterator[None]:
    try:
        for model in MODELS:
            model.rules = ()
        yield
    finally:
        for model, own in RULES_OF.items():
            model.rules = own


def without_rules(model: type[ApiModel], document: Any) -> ApiModel:
    with rules_off():
        return model.model_validate(document, by_alias=True, by_name=False)


def test_every_model_with_rules_is_tested() -> None:
    found = set()
    pending = [ApiModel]
    while pending:
        model = pending.pop()
        pending += model.__subclasses__()
        if model.rules:
            found.add(model)
    assert found == set(MODELS)


def test_rule_names_are_unique() -> None:
    names = [rule.name for model in MODELS for rule in (*model.rules, *model.transition_rules)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_cel_and_python_agree(model: type[ApiModel], data: st.DataObject) -> None:
    document = data.draw(DOCUMENTS[model])
    parsed = without_rules(model, document)
    defaulted = with_defaults(SCHEMA_OF[model], document)
    for rule in RULES_OF[model]:
        assert rule.holds(parsed) == holds(rule.expression, defaulted), rule.name


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(document=OBJECTS)
def test_the_whole_object_is_judged_alike(document: dict[str, Any]) -> None:
    broken = broken_messages(CRD_SCHEMA, with_defaults(CRD_SCHEMA, document))
    if not broken:
        parse_qwen_deployment(document)
        return
    with pytest.raises(InvalidInput) as refused:
        parse_qwen_deployment(document)
    assert f"{refused.value.limit}; {refused.value.way_out}" in broken


@pytest.mark.parametrize(
    ("model", "rule"),
    [(model, rule) for model in MODELS for rule in RULES_OF[model]],
    ids=lambda value: getattr(value, "name", ""),
)
def test_every_rule_can_be_broken(model: type[ApiModel], rule: rules.Rule[ApiModel]) -> None:
    document = breaker(rule.name)
    assert not rule.holds(without_rules(model, document))
    assert rule.message in broken_messages(
        SCHEMA_OF[model], with_defaults(SCHEMA_OF[model], document)
    )


CLAIM = "PersistentVolumeClaim"
SHRINKS, MOVES = v1alpha1.Cache.transition_rules


@pytest.mark.parametrize(
    ("rule", "old", "new", "allowed"),
    [
        (SHRINKS, {"type": CLAIM, "size": "10Gi"}, {"type": CLAIM, "size": "20Gi"}, True),
        (SHRINKS, {"type": CLAIM, "size": "10Gi"}, {"type": CLAIM, "size": "10Gi"}, True),
        (SHRINKS, {"type": CLAIM, "size": "10Gi"}, {"type": CLAIM, "size": "10G"}, False),
        (SHRINKS, {"type": CLAIM, "size": "10Gi"}, {"type": CLAIM}, False),
        (SHRINKS, {"type": CLAIM}, {"type": CLAIM, "size": "10Gi"}, True),
        (SHRINKS, {"type": CLAIM, "size": "10Gi"}, {"type": "EmptyDir", "size": "1Gi"}, True),
        (SHRINKS, {"type": CLAIM, "size": "10Gi"}, {"type": CLAIM, "claimName": "own"}, True),
        (MOVES, {"type": CLAIM}, {"type": CLAIM}, True),
        (MOVES, {"type": CLAIM}, {"type": CLAIM, "storageClassName": "fast"}, False),
        (MOVES, {"type": CLAIM, "storageClassName": "fast"}, {"type": CLAIM}, False),
        (
            MOVES,
            {"type": CLAIM, "storageClassName": "fast"},
            {"type": CLAIM, "storageClassName": "slow"},
            False,
        ),
        (MOVES, {"type": CLAIM, "storageClassName": "fast"}, {"type": "EmptyDir"}, True),
    ],
)
def test_a_claim_changes_only_as_kubernetes_can(
    rule: rules.CelRule, old: dict[str, Any], new: dict[str, Any], allowed: bool
) -> None:
    assert holds(rule.expression, new, old) == allowed


@pytest.mark.parametrize(
    "argument",
    [
        "--max-num-seqs",
        "--max-num-seqs=8",
        "--max-num-s",
        "--max-num-s=8",
        "--compilation-config.cudagraph_capture_sizes",
        "-tp",
        "-q=awq",
        "--no-enforce-eager",
        "--kv-cache-memory",
    ],
)
def test_every_spelling_of_an_owned_flag_is_refused(argument: str) -> None:
    with pytest.raises(ValueError, match="extraArgs may not set"):
        v1alpha1.Engine(extra_args=(argument,))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--seed", "-1"),
        ("--config-format", "hf"),
        ("--model-impl", "vllm"),
        ("--reasoning-parser-plugin=/x.py",),
        ("--mm-processor-cache-gb", "2"),
    ],
)
def test_other_flags_are_allowed(arguments: tuple[str, ...]) -> None:
    assert v1alpha1.Engine(extra_args=arguments).extra_args == arguments
