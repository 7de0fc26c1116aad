"""What slows a replica down although it will run: told in log and report, never a failure."""

from __future__ import annotations

from collections.abc import Mapping

from qwen_runtime.launcher.cards import Card
from qwen_runtime.launcher.host import Host

_CPUS_BESIDE_WORKERS = 1


def explain_slow_host(
    host: Host, cards: tuple[Card, ...], environ: Mapping[str, str]
) -> tuple[str, ...]:
    """A sentence for each thing found."""
    found: list[str] = []
    # One process for each card and one for the API server, each with a thread that never rests.
    wanted_cpus = len(cards) + _CPUS_BESIDE_WORKERS
    if host.cpus < wanted_cpus:
        found.append(
            f"the pod may use {host.cpus:g} CPUs and vLLM keeps {wanted_cpus} busy; raise "
            "spec.resources.cpu"
        )
    if host.numa_balancing and host.numa_nodes > 1 and cards:
        found.append(
            "NUMA balancing is on (kernel.numa_balancing=1): the kernel moves vLLM's memory about "
            "while it runs; turn it off on the node"
        )
    if "CUDA_MPS_PIPE_DIRECTORY" in environ:
        found.append("the GPU is shared through MPS: others may take its memory, so no plan holds")
    if "VLLM_CPU_KVCACHE_SPACE" in environ:
        found.append("VLLM_CPU_KVCACHE_SPACE is set and overrides the plan's KV cache")
    for card in cards:
        found += _explain_card(card, alone=len(cards) == 1)
    return tuple(found)


def _explain_card(card: Card, *, alone: bool) -> list[str]:
    name = f"GPU {card.index} ({card.name})"
    found: list[str] = []
    if card.mig:
        found.append(f"{name} is divided by MIG; the plan counts on a whole card")
    if card.pcie is not None and card.pcie.width < card.pcie.max_width:
        # An idle card lowers its generation, but never its width.
        effect = "loading weights is" if alone else "loading weights and tensor parallelism are"
        found.append(
            f"{name} has {card.pcie.width} of {card.pcie.max_width} PCIe lanes: {effect} slower"
        )
    if card.throttles:
        found.append(f"{name} slows itself down already: {', '.join(card.throttles)}")
    if card.processes:
        found.append(f"{name} is used by {len(card.processes)} other processes")
    return found
