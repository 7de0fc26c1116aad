from __future__ import annotations

from typing import Any

import pytest

from qwen_operator.api.parse import parse_qwen_deployment
from qwen_operator.api.v1alpha1 import (
    CacheType,
    KvCacheDtype,
    Precision,
    Profile,
    QwenDeployment,
    Source,
)
from qwen_operator.errors import InvalidInput


def document(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "qwen-operator.io/v1alpha1",
        "kind": "QwenDeployment",
        "metadata": {"name": "qwen3-4b"},
        "spec": {"model": "Qwen/Qwen3-4B-Instruct-2507", **spec},
    }


def test_the_smallest_document_gets_every_default() -> None:
    spec = parse_qwen_deployment(document()).spec
    assert spec.served_name == "Qwen/Qwen3-4B-Instruct-2507"
    assert spec.source == Source()
    assert spec.precision is Precision.BF16
    assert spec.context_length == 8192
    assert spec.tensor_parallel_size == 1
    assert spec.accelerators == ()
    assert spec.profile is Profile.MANY_USERS
    assert spec.replicas is None
    assert spec.suspend is False
    assert spec.cache.type is CacheType.PERSISTENT_VOLUME_CLAIM
    assert spec.engine.kv_cache_dtype is KvCacheDtype.AUTO
    assert spec.engine.extra_args == ()


def test_a_full_document_is_read() -> None:
    spec = parse_qwen_deployment(
        document(
            servedModelName="qwen",
            revision="cdbee75f17c01a7cc42f958dc650907174af0554",
            source={
                "huggingFace": {
                    "endpoint": "https://hf-mirror.com",
                    "tokenSecretRef": {"name": "hf-token"},
                },
                "proxy": {"httpsProxy": "http://proxy:3128", "noProxy": "10.0.0.0/8"},
                "caBundle": {"configMap": "company-ca"},
            },
            precision="mixed",
            contextLength=65536,
            tensorParallelSize=2,
            accelerators=[
                {"name": "RTX4090", "reservedMemoryMib": 1024},
                {
                    "name": "NVIDIA-GeForce-RTX-3090",
                    "memoryMib": 24124,
                    "computeCapability": "8.6",
                },
            ],
            replicas=2,
            cache={"size": 64424509440, "storageClassName": "fast"},
            resources={"cpu": 4, "memory": "24Gi", "sharedMemory": "2Gi"},
            engine={
                "maxNumSeqs": 16,
                "kvCacheDtype": "fp8",
                "env": [{"name": "VLLM_LOGGING_LEVEL", "value": "DEBUG"}],
                "extraArgs": ["--seed", "-1"],
            },
            podTemplate={
                "metadata": {"labels": {"team": "search"}},
                "spec": {
                    "nodeSelector": {"pool": "gpu"},
                    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
                    "affinity": {"podAntiAffinity": {}},
                },
            },
        )
    ).spec
    assert spec.served_name == "qwen"
    assert spec.source.hugging_face is not None
    assert spec.source.hugging_face.token_secret_ref is not None
    assert spec.source.hugging_face.token_secret_ref.key == "token"
    assert [card.name for card in spec.accelerators] == ["RTX4090", "NVIDIA-GeForce-RTX-3090"]
    assert spec.accelerators[1].memory_mib == 24124
    assert spec.resources.cpu == "4"
    assert spec.cache.size == "64424509440"
    assert spec.pod_template.spec.affinity == {"podAntiAffinity": {}}


def test_what_the_cluster_adds_is_no_mistake() -> None:
    given = document(replicas=None)
    given["metadata"] |= {"namespace": "models", "managedFields": [], "generation": 3}
    given["status"] = {
        "observedGeneration": 3,
        "conditions": [
            {
                "type": "Planned",
                "status": "True",
                "reason": "PlanFits",
                "message": "4 of 4 cards fit",
                "lastTransitionTime": "2026-11-21T10:00:00Z",
                "observedGeneration": 3,
            }
        ],
        "fieldOfANewerOperator": 1,
    }
    deployment = parse_qwen_deployment(given)
    assert deployment.metadata.namespace == "models"
    assert deployment.metadata.generation == 3
    assert deployment.spec.replicas is None
    assert deployment.status.conditions[0].reason == "PlanFits"


def test_status_defaults_to_not_looked_at() -> None:
    assert parse_qwen_deployment(document()).status.observed_generation == -1


def test_what_is_read_can_be_written_and_read_again() -> None:
    first = parse_qwen_deployment(document(engine={"maxNumSeqs": 4}, cache={"size": "1Gi"}))
    written = first.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert parse_qwen_deployment(written) == first


BAD_SPECS: list[tuple[dict[str, Any], str]] = [
    (
        {"contextLength": 0},
        "spec.contextLength is 0, but the lowest value is 1; choose a number from 1 to 1048576",
    ),
    (
        {"contextLength": 2_000_000},
        "spec.contextLength is 2000000, but the highest value is 1048576; "
        "choose a number from 1 to 1048576",
    ),
    (
        {"contextLength": "64k"},
        "spec.contextLength is '64k', but it must be a whole number; "
        "write digits only, without quotes",
    ),
    (
        {"tensorParallelSize": 16},
        "spec.tensorParallelSize is 16, but the highest value is 8; choose a number from 1 to 8",
    ),
    (
        {"replicas": -1},
        "spec.replicas is -1, but the lowest value is 0; choose a number from 0 to 1000",
    ),
    (
        {"engine": {"gpuMemoryUtilizationPercent": 0.92}},
        "spec.engine.gpuMemoryUtilizationPercent is 0.92, but it must be a whole number; "
        "write digits only, without quotes",
    ),
    (
        {"engine": {"maxNumSeqs": 0}},
        "spec.engine.maxNumSeqs is 0, but the lowest value is 1; choose a number from 1 to 4096",
    ),
    (
        {"precision": "FP8"},
        "spec.precision is 'FP8', but it must be one of bf16, fp16, fp8, int8, int4, mixed; "
        "write fp8",
    ),
    (
        {"precision": "awq"},
        "spec.precision is 'awq', but it must be one of bf16, fp16, fp8, int8, int4, mixed; "
        "choose one of them",
    ),
    (
        {"profile": "manyusers"},
        "spec.profile is 'manyusers', but it must be one of Interactive, ManyUsers, "
        "LongDocuments; write ManyUsers",
    ),
    (
        {"engine": {"kvCacheDtype": "fp16"}},
        "spec.engine.kvCacheDtype is 'fp16', but it must be one of auto, fp8, fp8_e5m2, bfloat16, "
        "float16, int8_per_token_head, fp8_per_token_head, int4_per_token_head; choose one of them",
    ),
    (
        {"model": "Qwen3-4B"},
        "spec.model is 'Qwen3-4B', but it must be an organisation and a name with one slash "
        "between them; write it as in Qwen/Qwen3-4B-Instruct-2507",
    ),
    (
        {"model": None},
        "spec.model is missing, but it is required; "
        "add it, for example model: Qwen/Qwen3-4B-Instruct-2507",
    ),
    (
        {"accelerators": [{"name": "L4"}, {}]},
        "spec.accelerators[1].name is missing, but it is required; "
        "add it, for example name: NVIDIA-GeForce-RTX-3090",
    ),
    (
        {"accelerators": [{"name": "NVIDIA-L40", "computeCapability": 8.6}]},
        "spec.accelerators[0].computeCapability is 8.6, but it must be text; "
        "put it in quotes: '8.6'",
    ),
    (
        {"accelerators": [{"name": "L4"}, {"name": "L4"}]},
        "spec.accelerators is a list of 2, but name L4 is in it more than once; keep one of them",
    ),
    (
        {"accelerators": "L4"},
        "spec.accelerators is 'L4', but it must be a list; begin each item with a dash",
    ),
    (
        {"accelerators": ["L4"]},
        "spec.accelerators[0] is 'L4', but it must be an object; "
        "write its fields below it, one per line and indented",
    ),
    (
        {"accelerators": [{"name": "l4"}]},
        "spec.accelerators[0].name is 'l4', but the known names are spelt L4, A10G, RTX4090, "
        "RTX4090D, CPU; use that spelling, or the value of the node label nvidia.com/gpu.product",
    ),
    (
        {"suspend": "yes"},
        "spec.suspend is 'yes', but it must be true or false; write true or false without quotes",
    ),
    (
        {"cache": {"size": "60GB"}},
        "spec.cache.size is '60GB', but it must be a Kubernetes quantity above zero; "
        "write it as in 16Gi",
    ),
    (
        {"resources": {"cpu": -1}},
        "spec.resources.cpu is -1, but it must be a Kubernetes quantity above zero; "
        "write it as in 16Gi",
    ),
    (
        {"podTemplate": {"metadata": {"labels": {"team": "a b"}}}},
        "spec.podTemplate.metadata.labels.team is 'a b', but it must be a label value (letters, "
        "digits, dots, dashes and underscores); write it as in search",
    ),
    (
        {"revision": "x" * 129},
        f"spec.revision is '{'x' * 129}', but it may have at most 128 characters; shorten it",
    ),
    (
        {"engine": {"extraArgs": ["--seed"] * 65}},
        "spec.engine.extraArgs is a list of 65, but it may have at most 64 entries; shorten it",
    ),
    (
        {"contextLenght": 8192},
        "spec.contextLenght is 8192, but there is no such field; "
        "write contextLength, the nearest name",
    ),
    (
        {"context_length": 8192},
        "spec.context_length is 8192, but there is no such field; "
        "write contextLength, the nearest name",
    ),
    (
        {"maxNumSeqs": 8},
        "spec.maxNumSeqs is 8, but there is no such field; "
        "write it as spec.engine.maxNumSeqs, where that field is",
    ),
    (
        {"resources": {"limits": {"nvidia.com/gpu": 1}}},
        "spec.resources.limits is an object with nvidia.com/gpu, but there is no such field; "
        "use one of cpu, memory, sharedMemory",
    ),
    (
        {"source": {"huggingFace": {}, "hostPath": {"path": "/w"}}},
        "spec.source is an object with huggingFace, hostPath, but spec.source may hold at most one "
        "of huggingFace, modelScope, persistentVolumeClaim and hostPath; "
        "keep the one where the weights are",
    ),
    (
        {"engine": {"maxNumSeqs": 64, "maxNumBatchedTokens": 32}},
        "spec.engine.maxNumSeqs is 64, but spec.engine.maxNumSeqs may not exceed "
        "spec.engine.maxNumBatchedTokens; lower maxNumSeqs or raise maxNumBatchedTokens",
    ),
    (
        {"engine": {"extraArgs": ["--max-num-seqs=8"]}},
        "spec.engine.extraArgs is a list of 1, but spec.engine.extraArgs may not set "
        "--max-num-seqs, not even in a shortened form; set spec.engine.maxNumSeqs instead",
    ),
    (
        {"precision": "int4", "accelerators": [{"name": "CPU"}]},
        "spec.precision is 'int4', but spec.precision must be bf16 or fp16 when spec.accelerators "
        "holds CPU; set spec.precision to bf16, or choose a card",
    ),
]


@pytest.mark.parametrize(("spec", "sentence"), BAD_SPECS, ids=lambda value: str(value)[:40])
def test_bad_specs_are_refused_in_one_sentence(spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_qwen_deployment(document(**spec))
    assert str(refused.value) == sentence


BAD_DOCUMENTS: list[tuple[object, str]] = [
    (
        "qwen3-4b",
        "document is 'qwen3-4b', but it must be a mapping; "
        "begin it with apiVersion: qwen-operator.io/v1alpha1",
    ),
    (
        {"kind": "QwenDeployment"},
        "apiVersion is missing, but only qwen-operator.io/v1alpha1 is understood; "
        "write apiVersion: qwen-operator.io/v1alpha1",
    ),
    (
        document() | {"apiVersion": "qwen-operator.io/v1"},
        "apiVersion is 'qwen-operator.io/v1', but only qwen-operator.io/v1alpha1 is understood; "
        "write apiVersion: qwen-operator.io/v1alpha1",
    ),
    (
        document() | {"kind": "Deployment"},
        "kind is 'Deployment', but only QwenDeployment is understood; write kind: QwenDeployment",
    ),
    (
        document() | {"metadata": {}},
        "metadata.name is missing, but it is required; add it, for example name: qwen3-4b",
    ),
    (
        document() | {"metadata": {"name": "Qwen3_4B"}},
        "metadata.name is 'Qwen3_4B', but metadata.name must be at most 52 lower-case letters, "
        "digits and dashes, begin with a letter and not end with a dash; "
        "choose a name such as qwen3-4b",
    ),
    (
        document() | {"spec": None},
        "spec is missing, but it is required; "
        "add it, for example spec: {model: Qwen/Qwen3-4B-Instruct-2507}",
    ),
    (
        document() | {"specs": {}},
        "specs is empty, but there is no such field; write spec, the nearest name",
    ),
]


@pytest.mark.parametrize(("given", "sentence"), BAD_DOCUMENTS, ids=lambda value: str(value)[:40])
def test_bad_documents_are_refused_in_one_sentence(given: object, sentence: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_qwen_deployment(given)
    assert str(refused.value) == sentence


def test_models_are_frozen() -> None:
    deployment: QwenDeployment = parse_qwen_deployment(document())
    with pytest.raises(ValueError, match="frozen"):
        deployment.spec.replicas = 2  # type: ignore[misc]
