from __future__ import annotations

from typing import Any

import pytest

from qwen_operator.api.parse import parse_qwen_deployment
from qwen_operator.api.v1alpha1 import KvCacheDtype, Precision, Profile, QwenDeploymentSpec
from qwen_operator.catalog.cards import DEFAULT_CARD_NAMES, find_card
from qwen_operator.catalog.models import find_model
from qwen_operator.catalog.vllm_versions import CPU_VLLM_VERSION, GPU_VLLM_VERSION
from qwen_operator.errors import InvalidInput
from qwen_operator.planning.from_spec import cards_of, request_of, version_for
from qwen_operator.planning.request import EngineChoices, PlanRequest

MODEL = find_model("Qwen/Qwen3-4B")


def spec(**fields: Any) -> QwenDeploymentSpec:
    document = {
        "apiVersion": "qwen-operator.io/v1alpha1",
        "kind": "QwenDeployment",
        "metadata": {"name": "chat"},
        "spec": {"model": "Qwen/Qwen3-4B", **fields},
    }
    return parse_qwen_deployment(document).spec


def test_a_bare_spec_asks_for_the_defaults() -> None:
    assert request_of(spec(), MODEL) == PlanRequest(
        model=MODEL, vllm_version=GPU_VLLM_VERSION, served_model_name="Qwen/Qwen3-4B"
    )


def test_every_field_of_the_plan_is_carried_over() -> None:
    asked = request_of(
        spec(
            precision="mixed",
            contextLength=16384,
            tensorParallelSize=2,
            profile="Interactive",
            servedModelName="chat",
            revision="main",
            engine={
                "maxNumSeqs": 8,
                "maxNumBatchedTokens": 1024,
                "gpuMemoryUtilizationPercent": 85,
                "kvCacheDtype": "fp8_e5m2",
                "kvOffloadingGib": 3,
                "enforceEager": True,
                "enablePrefixCaching": False,
                "languageModelOnly": True,
                "toolCallParser": "hermes",
                "reasoningParser": "qwen3",
                "extraArgs": ["--seed", "1"],
            },
        ),
        MODEL,
    )
    assert asked == PlanRequest(
        model=MODEL,
        vllm_version=GPU_VLLM_VERSION,
        precision=Precision.MIXED,
        context_length=16_384,
        tensor_parallel_size=2,
        profile=Profile.INTERACTIVE,
        served_model_name="chat",
        revision="main",
        engine=EngineChoices(
            max_num_seqs=8,
            max_num_batched_tokens=1024,
            gpu_memory_utilization=0.85,
            kv_cache_dtype=KvCacheDtype.FP8_E5M2,
            kv_offloading_gib=3,
            enforce_eager=True,
            prefix_caching=False,
            language_model_only=True,
            tool_call_parser="hermes",
            reasoning_parser="qwen3",
            extra_args=("--seed", "1"),
        ),
    )


def test_without_accelerators_the_default_cards_are_planned() -> None:
    assert tuple(card.name for card in cards_of(spec())) == DEFAULT_CARD_NAMES


def test_a_known_card_keeps_its_numbers_and_gives_up_what_is_reserved() -> None:
    (card,) = cards_of(spec(accelerators=[{"name": "L4", "reservedMemoryMib": 1024}]))
    assert card.memory_bytes == find_card("L4").memory_bytes
    assert card.reserved_bytes == 1 << 30


def test_an_unknown_card_is_what_its_numbers_say() -> None:
    accelerator = {"name": "My-Card", "memoryMib": 16_000, "computeCapability": "8.6"}
    (card,) = cards_of(spec(accelerators=[accelerator]))
    assert (card.name, card.compute_capability) == ("My-Card", (8, 6))
    assert card.memory_bytes == 16_000 << 20


@pytest.mark.parametrize("extra", [{}, {"memoryMib": 16_000}, {"computeCapability": "8.6"}])
def test_an_unknown_card_without_both_numbers_is_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="gpu is 'My-Card'"):
        cards_of(spec(accelerators=[{"name": "My-Card", **extra}]))


def test_a_cpu_runs_a_pin_of_its_own() -> None:
    assert version_for(find_card("CPU")) == CPU_VLLM_VERSION
    assert version_for(find_card("L4")) == GPU_VLLM_VERSION
