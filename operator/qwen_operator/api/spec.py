"""What a user asks for: the spec of a QwenDeployment, except for the scheduling patch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field

from qwen_operator.api.base import ApiModel
from qwen_operator.api.enums import (
    CacheType,
    ImagePullPolicy,
    KvCacheDtype,
    Precision,
    Profile,
)
from qwen_operator.api.formats import (
    ATOMIC_LIST,
    WRITTEN_DEFAULT,
    AbsolutePath,
    AcceleratorName,
    Argument,
    ComputeCapability,
    DataKey,
    DnsSubdomain,
    EnvName,
    Flag,
    Image,
    Int32,
    LongText,
    ModelId,
    ParserName,
    Quantity,
    RelativePath,
    Revision,
    ServedName,
    Url,
    keyed_list,
    unique_by,
)
from qwen_operator.api.pod_template import PodTemplate
from qwen_operator.api.rules import (
    ACCELERATOR_RULES,
    CACHE_RULES,
    CACHE_TRANSITION_RULES,
    ENGINE_RULES,
    PROXY_RULES,
    SOURCE_RULES,
    SPEC_RULES,
)

MAX_CONTEXT_TOKENS: Final = 1_048_576
MAX_TENSOR_PARALLEL_SIZE: Final = 8


class SecretKeyReference(ApiModel):
    """One key of a Secret in the namespace of the QwenDeployment."""

    name: DnsSubdomain = Field(description="Name of the Secret, for example hf-token.")
    key: DataKey = Field(
        default="token", description="Key inside the Secret. Default token, for example token."
    )


class ConfigMapKeyReference(ApiModel):
    """One key of a ConfigMap in the namespace of the QwenDeployment."""

    config_map: DnsSubdomain = Field(description="Name of the ConfigMap, for example company-ca.")
    key: DataKey = Field(
        default="ca.crt",
        description="Key inside the ConfigMap. Default ca.crt, for example ca.pem.",
    )


class HuggingFaceSource(ApiModel):
    """Weights from Hugging Face or a mirror that speaks its protocol."""

    endpoint: Url | None = Field(
        default=None,
        description=(
            "Address of the hub. Default https://huggingface.co, for example https://hf-mirror.com."
        ),
    )
    token_secret_ref: SecretKeyReference | None = Field(
        default=None,
        description=(
            "Secret that holds the access token, which only the fetch step sees. "
            "Default none, for example {name: hf-token}."
        ),
    )


class ModelScopeSource(ApiModel):
    """Weights from ModelScope."""

    endpoint: Url | None = Field(
        default=None,
        description=(
            "Address of the hub. Default https://modelscope.cn, "
            "for example https://modelscope.example.com."
        ),
    )
    token_secret_ref: SecretKeyReference | None = Field(
        default=None,
        description=(
            "Secret that holds the access token, which only the fetch step sees. "
            "Default none, for example {name: modelscope-token}."
        ),
    )


class PersistentVolumeClaimSource(ApiModel):
    """Weights that already lie on a volume claim, which is mounted read-only."""

    claim_name: DnsSubdomain = Field(
        description="Name of the claim in the same namespace, for example qwen-weights."
    )
    path: RelativePath | None = Field(
        default=None,
        description=(
            "Folder on the volume that holds config.json. Default the root of the volume, "
            "for example models/qwen3-4b."
        ),
    )


class HostPathSource(ApiModel):
    """Weights that already lie on every node, which are mounted read-only."""

    path: AbsolutePath = Field(
        description="Folder on the node that holds config.json, for example /data/qwen3-4b."
    )


class Proxy(ApiModel):
    """Proxy of the fetch step."""

    rules: ClassVar = PROXY_RULES

    http_proxy: Url | None = Field(
        default=None,
        description="Proxy for http addresses. Default none, for example http://proxy:3128.",
    )
    https_proxy: Url | None = Field(
        default=None,
        description="Proxy for https addresses. Default none, for example http://proxy:3128.",
    )
    no_proxy: LongText | None = Field(
        default=None,
        description=(
            "Hosts that are reached without the proxy, separated by commas. Default none, "
            "for example 10.0.0.0/8,.cluster.local."
        ),
    )


class Source(ApiModel):
    """Where the weights come from: Hugging Face unless another place is named."""

    rules: ClassVar = SOURCE_RULES

    hugging_face: HuggingFaceSource | None = Field(
        default=None,
        description=(
            "Fetch from Hugging Face or a mirror. Default when no other place is named, "
            "for example {endpoint: https://hf-mirror.com}."
        ),
    )
    model_scope: ModelScopeSource | None = Field(
        default=None,
        description="Fetch from ModelScope. Default none, for example {}.",
    )
    persistent_volume_claim: PersistentVolumeClaimSource | None = Field(
        default=None,
        description=(
            "Serve weights that already lie on a claim; nothing is fetched. Default none, "
            "for example {claimName: qwen-weights}."
        ),
    )
    host_path: HostPathSource | None = Field(
        default=None,
        description=(
            "Serve weights that already lie on the nodes; nothing is fetched. Pod security levels "
            "baseline and restricted forbid it. Default none, for example {path: /data/qwen3-4b}."
        ),
    )
    proxy: Proxy | None = Field(
        default=None,
        description=(
            "Proxy of the fetch step. Default none, for example {httpsProxy: http://proxy:3128}."
        ),
    )
    ca_bundle: ConfigMapKeyReference | None = Field(
        default=None,
        description=(
            "Extra certificate authorities (PEM) that the fetch step trusts. Default none, "
            "for example {configMap: company-ca}."
        ),
    )


class Accelerator(ApiModel):
    """A card that may serve this model."""

    rules: ClassVar = ACCELERATOR_RULES

    name: AcceleratorName = Field(
        description=(
            "L4, A10G, RTX4090, RTX4090D, CPU, or the value of the node label "
            "nvidia.com/gpu.product of another card, for example NVIDIA-GeForce-RTX-3090."
        )
    )
    memory_mib: Annotated[Int32, Field(ge=1024, le=1_048_576)] | None = Field(
        default=None,
        description=(
            "Memory of one card as CUDA reports it, in MiB, for a card given by its label; of a "
            "CPU, main memory for weights and KV cache. Needed for a card that the catalogue does "
            "not have. Default the catalogue's, 16384 for a CPU, for example 24124."
        ),
    )
    compute_capability: ComputeCapability | None = Field(
        default=None,
        description=(
            "CUDA compute capability, in quotes; only for a card given by its label. "
            "Default the catalogue's, for example '8.6'."
        ),
    )
    reserved_memory_mib: Annotated[Int32, Field(ge=0, le=1_048_576)] = Field(
        default=0,
        description=(
            "Memory of each card that is left to a desktop or another process, in MiB. "
            "Default 0, for example 1024."
        ),
    )


class Cache(ApiModel):
    """Where fetched weights and compiled kernels are kept between restarts."""

    rules: ClassVar = CACHE_RULES
    transition_rules: ClassVar = CACHE_TRANSITION_RULES

    type: CacheType = Field(
        default=CacheType.PERSISTENT_VOLUME_CLAIM,
        description=(
            "PersistentVolumeClaim keeps weights across pods and nodes, EmptyDir as long as the "
            "pod, HostPath on the node (pod security levels baseline and restricted forbid it). "
            "Default PersistentVolumeClaim, for example EmptyDir."
        ),
    )
    size: Quantity | None = Field(
        default=None,
        description=(
            "Size of the claim that is made, or limit of the EmptyDir, as a quantity of bytes. "
            "Default what the plan computes from the weights, for example 60Gi."
        ),
    )
    storage_class_name: DnsSubdomain | None = Field(
        default=None,
        description=(
            "Storage class of the claim that is made. Default the default class of the cluster, "
            "for example fast-local."
        ),
    )
    claim_name: DnsSubdomain | None = Field(
        default=None,
        description=(
            "Existing claim to use instead of making one. Default none, for example qwen-cache."
        ),
    )
    path: AbsolutePath | None = Field(
        default=None,
        description=(
            "Folder on the node; for type HostPath only. Default none, for example /var/cache/qwen."
        ),
    )


class LocalObjectReference(ApiModel):
    """An object in the namespace of the QwenDeployment."""

    name: DnsSubdomain = Field(description="Name of the object, for example registry-login.")


class Resources(ApiModel):
    """What the model container asks of the node where the user knows better than the plan."""

    cpu: Quantity | None = Field(
        default=None,
        description="CPU cores. Default what the plan computes, for example 4 or 1500m.",
    )
    memory: Quantity | None = Field(
        default=None,
        description="Main memory in bytes. Default what the plan computes, for example 24Gi.",
    )
    shared_memory: Quantity | None = Field(
        default=None,
        description=(
            "Size of /dev/shm in bytes, which is part of the memory. "
            "Default what the plan computes, for example 2Gi."
        ),
    )


class EnvVar(ApiModel):
    """One environment variable of the vLLM process."""

    name: EnvName = Field(description="Name of the variable, for example VLLM_LOGGING_LEVEL.")
    value: LongText = Field(default="", description="Its value. Default empty, for example DEBUG.")


class Engine(ApiModel):
    """Settings of vLLM; the plan computes every one that is left out."""

    rules: ClassVar = ENGINE_RULES

    max_num_seqs: Annotated[Int32, Field(ge=1, le=4096)] | None = Field(
        default=None,
        description=(
            "Most requests that one replica works on at a time. Default what the profile and the "
            "memory allow, for example 16."
        ),
    )
    max_num_batched_tokens: Annotated[Int32, Field(ge=16, le=MAX_CONTEXT_TOKENS)] | None = Field(
        default=None,
        description=(
            "Most tokens in one step of the engine. Default by profile, for example 2048."
        ),
    )
    gpu_memory_utilization_percent: Annotated[Int32, Field(ge=1, le=100)] | None = Field(
        default=None,
        description=(
            "Part of each card's memory that the plan may use, in percent. Default by plan, "
            "for example 92."
        ),
    )
    kv_cache_dtype: KvCacheDtype = Field(
        default=KvCacheDtype.AUTO,
        description=(
            "Number format of the KV cache; auto lets the plan choose by precision and card. "
            "Default auto, for example fp8."
        ),
    )
    kv_offloading_gib: Annotated[Int32, Field(ge=0, le=4096)] | None = Field(
        default=None,
        description=(
            "Main memory for KV cache that does not fit the cards, in GiB for all cards of a "
            "replica together; 0 turns it off. Default by profile, for example 16."
        ),
    )
    enforce_eager: Flag | None = Field(
        default=None,
        description=(
            "Run without compilation and CUDA graphs: less memory, slower answers. Default false, "
            "for example true."
        ),
    )
    enable_prefix_caching: Flag | None = Field(
        default=None,
        description="Reuse the KV cache of equal beginnings. Default true, for example false.",
    )
    max_cudagraph_capture_size: Annotated[Int32, Field(ge=1, le=4096)] | None = Field(
        default=None,
        description=(
            "Largest batch, in sequences, that CUDA graphs are captured for. Default by plan, "
            "for example 32."
        ),
    )
    language_model_only: Flag | None = Field(
        default=None,
        description=(
            "Leave the vision tower of a multimodal model out. Default by plan, for example true."
        ),
    )
    tool_call_parser: ParserName | None = Field(
        default=None,
        description=("Name of vLLM's parser of tool calls. Default by model, for example hermes."),
    )
    reasoning_parser: ParserName | None = Field(
        default=None,
        description="Name of vLLM's parser of reasoning. Default by model, for example qwen3.",
    )
    env: Annotated[
        tuple[EnvVar, ...],
        Field(max_length=64, json_schema_extra=keyed_list("name")),
        unique_by("name"),
    ] = Field(
        default=(),
        description=(
            "Environment variables of the vLLM process. Default none, "
            "for example [{name: VLLM_LOGGING_LEVEL, value: DEBUG}]."
        ),
    )
    extra_args: Annotated[
        tuple[Argument, ...], Field(max_length=64, json_schema_extra=ATOMIC_LIST)
    ] = Field(
        default=(),
        description=(
            "Further arguments of vLLM, one per item; flags that have a field of their own or "
            "that the plan sets are refused. Default none, for example [--enable-log-requests]."
        ),
    )


class QwenDeploymentSpec(ApiModel):
    """Which model is served, how precisely, on which cards, and how often."""

    rules: ClassVar = SPEC_RULES

    model: ModelId = Field(
        description=(
            "Model as organisation/name, for example Qwen/Qwen3-4B-Instruct-2507. "
            "There is no default."
        )
    )
    served_model_name: ServedName | None = Field(
        default=None,
        description=(
            "Name that clients give in their requests. Default the value of model, "
            "for example qwen3-4b."
        ),
    )
    revision: Revision | None = Field(
        default=None,
        description=(
            "Commit, tag or branch of the repository. A commit never changes under you; a branch "
            "is looked up once, and its commit is kept in the cache and told in status. "
            "Default main, for example 1cfa9a7208912126459214e8b04321603b3df60c."
        ),
    )
    source: Source = Field(
        default=Source(),
        description=(
            "Where the weights come from: at most one of huggingFace, modelScope, "
            "persistentVolumeClaim and hostPath. Default huggingFace, for example {modelScope: {}}."
        ),
    )
    precision: Precision = Field(
        default=Precision.BF16,
        description=(
            "What the weights are kept in: bf16, fp16, fp8, int8, int4, or mixed (attention "
            "16-bit, feed-forward 8-bit, KV cache 8-bit). Default bf16, for example mixed."
        ),
    )
    context_length: Annotated[Int32, Field(ge=1, le=MAX_CONTEXT_TOKENS)] = Field(
        default=8192,
        description=(
            "Longest request, prompt and answer together, in tokens. Default 8192, "
            "for example 65536."
        ),
    )
    tensor_parallel_size: Annotated[Int32, Field(ge=1, le=MAX_TENSOR_PARALLEL_SIZE)] = Field(
        default=1,
        description=(
            "Cards of one node that share the weights of one replica. Default 1, for example 2."
        ),
    )
    accelerators: Annotated[
        tuple[Accelerator, ...],
        Field(max_length=16, json_schema_extra=keyed_list("name")),
        unique_by("name"),
    ] = Field(
        default=(),
        description=(
            "Cards that may serve the model; a replica gets the flags of the card it lands on. "
            "Default any of RTX4090, RTX4090D, L4 and A10G, for example [{name: L4}]."
        ),
    )
    profile: Profile = Field(
        default=Profile.MANY_USERS,
        description=(
            "What to be good at: Interactive (few users, fast answers), ManyUsers (throughput) or "
            "LongDocuments (long prompts). Default ManyUsers, for example Interactive."
        ),
    )
    replicas: Annotated[Int32, Field(ge=0, le=1000)] | None = Field(
        default=None,
        description=(
            "How many copies serve, each on tensorParallelSize cards. Left out it means 1 and is "
            "not written, so that an autoscaler may own it, for example 2."
        ),
    )
    suspend: Flag = Field(
        default=False,
        description=(
            "Stop serving and give the cards back, keeping cache and settings. Default false, "
            "for example true."
        ),
    )
    cache: Cache = Field(
        default=Cache(),
        description=(
            "Where fetched weights and compiled kernels are kept. Default a PersistentVolumeClaim, "
            "for example {type: EmptyDir}."
        ),
        json_schema_extra={WRITTEN_DEFAULT: {"type": CacheType.PERSISTENT_VOLUME_CLAIM.value}},
    )
    image: Image | None = Field(
        default=None,
        description=(
            "Image that holds vLLM. Default the image of the vLLM version that the plan is made "
            "for, for example vllm/vllm-openai:v0.33.0."
        ),
    )
    image_pull_policy: ImagePullPolicy | None = Field(
        default=None,
        description=(
            "When the image is pulled: Always, IfNotPresent or Never. Default what Kubernetes "
            "derives from the image, for example IfNotPresent."
        ),
    )
    image_pull_secrets: Annotated[
        tuple[LocalObjectReference, ...],
        Field(max_length=8, json_schema_extra=keyed_list("name")),
        unique_by("name"),
    ] = Field(
        default=(),
        description=(
            "Secrets with logins of the registry. Default none, for example [{name: registry}]."
        ),
    )
    resources: Resources = Field(
        default=Resources(),
        description=(
            "CPU, memory and shared memory of the model container where they shall differ from "
            "the plan. Default the plan's, for example {memory: 24Gi}."
        ),
    )
    engine: Engine = Field(
        default=Engine(),
        description=(
            "Settings of vLLM that shall differ from the plan. Default the plan's, "
            "for example {maxNumSeqs: 16}."
        ),
    )
    pod_template: PodTemplate = Field(
        default=PodTemplate(),
        description=(
            "Labels, annotations and scheduling of the model pods. Default none, "
            "for example {spec: {priorityClassName: batch}}."
        ),
    )

    @property
    def served_name(self) -> str:
        """The model name that clients use."""
        return self.served_model_name or self.model
