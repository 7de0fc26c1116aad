"""What must hold between fields: said once in CEL for the API server, once in Python for us.

A rule belongs to the smallest object that holds all its fields; ``self`` in CEL and the argument
of ``holds`` in Python are that object. A Hypothesis test proves that both say the same. The API
server applies defaults before it evaluates CEL, so a field with a default needs no ``has()``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from qwen_operator.api.flags import OWNED_ENV, OWNED_FLAGS, OwnedFlags, is_owned
from qwen_operator.naming import MAX_NAME_LENGTH, RESERVED_LABEL_PREFIXES

if TYPE_CHECKING:
    from qwen_operator.api.pod_template import PodMetadata
    from qwen_operator.api.spec import (
        Accelerator,
        Cache,
        Engine,
        Proxy,
        QwenDeploymentSpec,
        Source,
    )
    from qwen_operator.api.v1alpha1 import QwenDeployment

ModelT = TypeVar("ModelT")


@dataclass(frozen=True, slots=True, kw_only=True)
class CelRule:
    """A rule that the API server evaluates."""

    name: str
    expression: str
    limit: str
    way_out: str
    field: str = ""
    """The field to blame, in camelCase and relative to the object; empty blames the object."""

    @property
    def message(self) -> str:
        """The sentence that the user reads, the same from API server, operator and CLI."""
        return f"{self.limit}; {self.way_out}"

    def as_validation(self) -> dict[str, str]:
        """Return the rule in the form that a CRD holds."""
        validation = {"rule": self.expression, "message": self.message}
        # The API server refuses a path into metadata, of which a CRD declares nothing.
        if self.field and not self.field.startswith("metadata."):
            validation["fieldPath"] = f".{self.field}"
        return validation


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(CelRule, Generic[ModelT]):
    """A rule that Python evaluates too."""

    holds: Callable[[ModelT], bool]


KNOWN_CARDS: Final = ("L4", "A10G", "RTX4090", "RTX4090D")
KNOWN_ACCELERATORS: Final = (*KNOWN_CARDS, "CPU")
CPU: Final = "CPU"

_OBJECT_NAME: Final = rf"^[a-z]([-a-z0-9]{{0,{MAX_NAME_LENGTH - 2}}}[a-z0-9])?$"
_ARGUMENT: Final = r"^([^-].*|-[0-9.].*|--[a-z0-9][a-z0-9-]*([.=].*)?)$"
_KNOWN_ANY_CASE: Final = f"(?i)^({'|'.join(KNOWN_ACCELERATORS)})$"


def _cel_list(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(f"'{value}'" for value in values) + "]"


def _cel_text(pattern: str) -> str:
    return "'" + pattern.replace("\\", "\\\\") + "'"


def _is_fetched(source: Source) -> bool:
    return source.persistent_volume_claim is None and source.host_path is None


def _lists_cpu(spec: QwenDeploymentSpec) -> bool:
    return any(card.name == CPU for card in spec.accelerators)


def _flag_rule(owned: OwnedFlags) -> Rule[Engine]:
    long_flags = tuple(flag for flag in owned.flags if flag.startswith("--"))
    head = "a.split('=')[0].split('.')[0]"
    shortened = (
        f"{head}.startsWith('--') && {head}.size() > 2 && "
        f"{_cel_list(long_flags)}.exists(f, f.startsWith({head}))"
    )
    return Rule(
        name=f"extra-args-leave-{owned.owner}",
        field="extraArgs",
        expression=(
            f"!has(self.extraArgs) || !self.extraArgs.exists(a, "
            f"{head} in {_cel_list(owned.flags)} || ({shortened}))"
        ),
        limit=(
            f"spec.engine.extraArgs may not set {', '.join(owned.flags)}, "
            "not even in a shortened form"
        ),
        way_out=owned.way_out,
        holds=lambda engine: not any(is_owned(each, owned.flags) for each in engine.extra_args),
    )


def _key_rule(field: str, keys: Callable[[PodMetadata], Iterable[str]]) -> Rule[PodMetadata]:
    reserved = " || ".join(f"k.startsWith('{prefix}')" for prefix in RESERVED_LABEL_PREFIXES)
    return Rule(
        name=f"{field}-leave-our-prefixes",
        field=field,
        expression=f"!has(self.{field}) || !self.{field}.exists(k, {reserved})",
        limit=(
            f"spec.podTemplate.metadata.{field} may not begin with "
            f"{' or '.join(RESERVED_LABEL_PREFIXES)}, which are the operator's"
        ),
        way_out="choose a key with a domain of your own or without one",
        holds=lambda metadata: (
            not any(key.startswith(RESERVED_LABEL_PREFIXES) for key in keys(metadata))
        ),
    )


OBJECT_RULES: Final[tuple[Rule[QwenDeployment], ...]] = (
    Rule(
        name="name-is-a-service-name",
        field="metadata.name",
        expression=f"self.metadata.name.matches({_cel_text(_OBJECT_NAME)})",
        limit=(
            f"metadata.name must be at most {MAX_NAME_LENGTH} lower-case letters, digits and "
            "dashes, begin with a letter and not end with a dash"
        ),
        way_out="choose a name such as qwen3-4b",
        holds=lambda deployment: re.fullmatch(_OBJECT_NAME, deployment.metadata.name) is not None,
    ),
)

PROXY_RULES: Final[tuple[Rule[Proxy], ...]] = (
    Rule(
        name="proxy-names-a-proxy",
        expression="has(self.httpProxy) || has(self.httpsProxy)",
        limit="spec.source.proxy must hold httpProxy or httpsProxy",
        way_out="add the address of the proxy, or leave spec.source.proxy out",
        holds=lambda proxy: proxy.http_proxy is not None or proxy.https_proxy is not None,
    ),
)

SOURCE_RULES: Final[tuple[Rule[Source], ...]] = (
    Rule(
        name="source-is-one-place",
        expression=(
            "[has(self.huggingFace), has(self.modelScope), has(self.persistentVolumeClaim), "
            "has(self.hostPath)].filter(given, given).size() <= 1"
        ),
        limit=(
            "spec.source may hold at most one of huggingFace, modelScope, persistentVolumeClaim "
            "and hostPath"
        ),
        way_out="keep the one where the weights are",
        holds=lambda source: (
            sum(
                place is not None
                for place in (
                    source.hugging_face,
                    source.model_scope,
                    source.persistent_volume_claim,
                    source.host_path,
                )
            )
            <= 1
        ),
    ),
    Rule(
        name="proxy-needs-a-fetch",
        field="proxy",
        expression=("!has(self.proxy) || !(has(self.persistentVolumeClaim) || has(self.hostPath))"),
        limit=(
            "spec.source.proxy has no use with persistentVolumeClaim or hostPath, from which "
            "nothing is fetched"
        ),
        way_out="leave spec.source.proxy out, or fetch from huggingFace or modelScope",
        holds=lambda source: source.proxy is None or _is_fetched(source),
    ),
    Rule(
        name="ca-bundle-needs-a-fetch",
        field="caBundle",
        expression=(
            "!has(self.caBundle) || !(has(self.persistentVolumeClaim) || has(self.hostPath))"
        ),
        limit=(
            "spec.source.caBundle has no use with persistentVolumeClaim or hostPath, from which "
            "nothing is fetched"
        ),
        way_out="leave spec.source.caBundle out, or fetch from huggingFace or modelScope",
        holds=lambda source: source.ca_bundle is None or _is_fetched(source),
    ),
)

ACCELERATOR_RULES: Final[tuple[Rule[Accelerator], ...]] = (
    Rule(
        name="accelerator-is-spelt-as-known",
        field="name",
        expression=(
            f"self.name in {_cel_list(KNOWN_ACCELERATORS)} || "
            f"!self.name.matches({_cel_text(_KNOWN_ANY_CASE)})"
        ),
        limit=f"the known names are spelt {', '.join(KNOWN_ACCELERATORS)}",
        way_out="use that spelling, or the value of the node label nvidia.com/gpu.product",
        holds=lambda card: (
            card.name in KNOWN_ACCELERATORS or re.fullmatch(_KNOWN_ANY_CASE, card.name) is None
        ),
    ),
    Rule(
        name="memory-is-for-unknown-cards",
        field="memoryMib",
        expression=(f"!has(self.memoryMib) || !(self.name in {_cel_list(KNOWN_CARDS)})"),
        limit=f"the memory of {', '.join(KNOWN_CARDS)} is known",
        way_out="leave memoryMib out, or use reservedMemoryMib for memory that is not free",
        holds=lambda card: card.memory_mib is None or card.name not in KNOWN_CARDS,
    ),
    Rule(
        name="compute-capability-is-for-unknown-cards",
        field="computeCapability",
        expression=(
            f"!has(self.computeCapability) || !(self.name in {_cel_list(KNOWN_ACCELERATORS)})"
        ),
        limit=f"the compute capability of {', '.join(KNOWN_ACCELERATORS)} is known",
        way_out="leave computeCapability out",
        holds=lambda card: card.compute_capability is None or card.name not in KNOWN_ACCELERATORS,
    ),
    Rule(
        name="reserved-memory-leaves-some",
        field="reservedMemoryMib",
        expression="!has(self.memoryMib) || self.reservedMemoryMib < self.memoryMib",
        limit="reservedMemoryMib must be smaller than memoryMib",
        way_out="reserve less, so that memory is left for the model",
        holds=lambda card: card.memory_mib is None or card.reserved_memory_mib < card.memory_mib,
    ),
)

CACHE_RULES: Final[tuple[Rule[Cache], ...]] = (
    Rule(
        name="host-path-cache-has-a-path",
        field="path",
        expression="self.type != 'HostPath' || has(self.path)",
        limit="spec.cache.type HostPath needs spec.cache.path",
        way_out="set spec.cache.path to a folder of the node such as /var/cache/qwen",
        holds=lambda cache: cache.type != "HostPath" or cache.path is not None,
    ),
    Rule(
        name="path-is-for-host-path",
        field="path",
        expression="!has(self.path) || self.type == 'HostPath'",
        limit="spec.cache.path is for spec.cache.type HostPath only",
        way_out="leave spec.cache.path out, or set spec.cache.type to HostPath",
        holds=lambda cache: cache.path is None or cache.type == "HostPath",
    ),
    Rule(
        name="size-is-not-for-host-path",
        field="size",
        expression="!has(self.size) || self.type != 'HostPath'",
        limit="spec.cache.size cannot be kept on spec.cache.type HostPath, which has no limit",
        way_out="leave spec.cache.size out",
        holds=lambda cache: cache.size is None or cache.type != "HostPath",
    ),
    Rule(
        name="storage-class-is-for-claims",
        field="storageClassName",
        expression="!has(self.storageClassName) || self.type == 'PersistentVolumeClaim'",
        limit="spec.cache.storageClassName is for spec.cache.type PersistentVolumeClaim only",
        way_out=(
            "leave spec.cache.storageClassName out, or set spec.cache.type to PersistentVolumeClaim"
        ),
        holds=lambda cache: (
            cache.storage_class_name is None or cache.type == "PersistentVolumeClaim"
        ),
    ),
    Rule(
        name="claim-name-is-for-claims",
        field="claimName",
        expression="!has(self.claimName) || self.type == 'PersistentVolumeClaim'",
        limit="spec.cache.claimName is for spec.cache.type PersistentVolumeClaim only",
        way_out="leave spec.cache.claimName out, or set spec.cache.type to PersistentVolumeClaim",
        holds=lambda cache: cache.claim_name is None or cache.type == "PersistentVolumeClaim",
    ),
    Rule(
        name="existing-claim-is-taken-as-it-is",
        field="claimName",
        expression="!has(self.claimName) || !(has(self.size) || has(self.storageClassName))",
        limit=(
            "an existing claim has its own size and class, so spec.cache.claimName excludes "
            "spec.cache.size and spec.cache.storageClassName"
        ),
        way_out="leave size and storageClassName out, or leave claimName out to have a claim made",
        holds=lambda cache: (
            cache.claim_name is None or (cache.size is None and cache.storage_class_name is None)
        ),
    ),
)

_CLAIM_IS_KEPT: Final = (
    "self.type == 'PersistentVolumeClaim' && oldSelf.type == 'PersistentVolumeClaim' "
    "&& !has(self.claimName) && !has(oldSelf.claimName)"
)

CACHE_TRANSITION_RULES: Final[tuple[CelRule, ...]] = (
    CelRule(
        name="claim-does-not-shrink",
        field="size",
        expression=(
            f"!({_CLAIM_IS_KEPT} && has(oldSelf.size)) || (has(self.size) && "
            "quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0)"
        ),
        limit="Kubernetes cannot shrink a claim, so spec.cache.size may only grow",
        way_out="keep the old size, or create a new QwenDeployment with the smaller one",
    ),
    CelRule(
        name="claim-keeps-its-class",
        field="storageClassName",
        expression=(
            f"!({_CLAIM_IS_KEPT}) || (has(self.storageClassName) ? has(oldSelf.storageClassName) "
            "&& self.storageClassName == oldSelf.storageClassName "
            ": !has(oldSelf.storageClassName))"
        ),
        limit="Kubernetes cannot move a claim to another spec.cache.storageClassName",
        way_out="keep the old class, or create a new QwenDeployment with the other one",
    ),
)

ENGINE_RULES: Final[tuple[Rule[Engine], ...]] = (
    Rule(
        name="a-step-holds-every-request",
        field="maxNumSeqs",
        expression=(
            "!has(self.maxNumSeqs) || !has(self.maxNumBatchedTokens) || "
            "self.maxNumSeqs <= self.maxNumBatchedTokens"
        ),
        limit="spec.engine.maxNumSeqs may not exceed spec.engine.maxNumBatchedTokens",
        way_out="lower maxNumSeqs or raise maxNumBatchedTokens",
        holds=lambda engine: (
            engine.max_num_seqs is None
            or engine.max_num_batched_tokens is None
            or engine.max_num_seqs <= engine.max_num_batched_tokens
        ),
    ),
    Rule(
        name="eager-captures-no-graphs",
        field="maxCudagraphCaptureSize",
        expression=(
            "!has(self.maxCudagraphCaptureSize) || !has(self.enforceEager) || !self.enforceEager"
        ),
        limit="spec.engine.enforceEager captures no CUDA graphs",
        way_out="leave maxCudagraphCaptureSize out, or set enforceEager to false",
        holds=lambda engine: engine.max_cudagraph_capture_size is None or not engine.enforce_eager,
    ),
    Rule(
        name="env-leaves-owned-variables",
        field="env",
        expression=f"!has(self.env) || !self.env.exists(e, e.name in {_cel_list(OWNED_ENV)})",
        limit=f"spec.engine.env may not set {', '.join(OWNED_ENV)}, which the operator decides",
        way_out="leave it out; a token belongs into spec.source, as tokenSecretRef",
        holds=lambda engine: not any(each.name in OWNED_ENV for each in engine.env),
    ),
    *(_flag_rule(owned) for owned in OWNED_FLAGS),
    Rule(
        name="extra-args-begin-with-a-flag",
        field="extraArgs",
        expression=(
            "!has(self.extraArgs) || self.extraArgs.size() == 0 || "
            "self.extraArgs[0].startsWith('--')"
        ),
        limit="spec.engine.extraArgs must begin with a flag, because a value follows its flag",
        way_out="write the flag with two dashes first, for example --enable-log-requests",
        holds=lambda engine: not engine.extra_args or engine.extra_args[0].startswith("--"),
    ),
    Rule(
        name="extra-args-are-long-flags",
        field="extraArgs",
        expression=(
            f"!has(self.extraArgs) || self.extraArgs.all(a, a.matches({_cel_text(_ARGUMENT)}))"
        ),
        limit=(
            "every flag in spec.engine.extraArgs must be two dashes and lower-case letters, "
            "digits and dashes"
        ),
        way_out="write the long form, for example --seed or --seed=1",
        holds=lambda engine: all(re.fullmatch(_ARGUMENT, each) for each in engine.extra_args),
    ),
)

POD_METADATA_RULES: Final[tuple[Rule[PodMetadata], ...]] = (
    _key_rule("labels", lambda metadata: metadata.labels),
    _key_rule("annotations", lambda metadata: metadata.annotations),
)

SPEC_RULES: Final[tuple[Rule[QwenDeploymentSpec], ...]] = (
    Rule(
        name="cpu-stands-alone",
        field="accelerators",
        expression=(
            "!has(self.accelerators) || self.accelerators.size() <= 1 || "
            "!self.accelerators.exists(card, card.name == 'CPU')"
        ),
        limit=(
            "spec.accelerators may hold CPU only by itself, because vLLM for the CPU is another "
            "image"
        ),
        way_out="remove CPU, or create a second QwenDeployment for it",
        holds=lambda spec: len(spec.accelerators) <= 1 or not _lists_cpu(spec),
    ),
    Rule(
        name="cpu-serves-16-bit",
        field="precision",
        expression=(
            "!has(self.accelerators) || !self.accelerators.exists(card, card.name == 'CPU') || "
            "self.precision in ['bf16', 'fp16']"
        ),
        limit="spec.precision must be bf16 or fp16 when spec.accelerators holds CPU",
        way_out="set spec.precision to bf16, or choose a card",
        holds=lambda spec: not _lists_cpu(spec) or spec.precision in ("bf16", "fp16"),
    ),
    Rule(
        name="kv-cache-follows-16-bit-weights",
        field="engine.kvCacheDtype",
        expression=(
            "!has(self.engine) || "
            "!(self.precision == 'bf16' && self.engine.kvCacheDtype == 'float16') && "
            "!(self.precision == 'fp16' && self.engine.kvCacheDtype == 'bfloat16')"
        ),
        limit=(
            "a 16-bit spec.engine.kvCacheDtype must be bfloat16 for spec.precision bf16 and "
            "float16 for fp16"
        ),
        way_out="set spec.engine.kvCacheDtype to auto, or to fp8 for a smaller cache",
        holds=lambda spec: (
            (spec.precision, spec.engine.kv_cache_dtype)
            not in (("bf16", "float16"), ("fp16", "bfloat16"))
        ),
    ),
)
