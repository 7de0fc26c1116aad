"""What the administrator decides about the operator, read once at its start."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from qwen_operator.catalog.vllm_versions import CPU_VLLM_VERSION, GPU_VLLM_VERSION
from qwen_operator.desired.wanted import ChildSettings
from qwen_operator.errors import InvalidInput

_PREFIX = "QWEN_OPERATOR_"
_RESYNC_SECONDS = 300.0
_WORKERS = 8
_HEALTH_PORT = 8080


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting has a default that works; the chart sets them through the environment."""

    children: ChildSettings
    """Images and what else shapes the children."""
    namespaces: tuple[str, ...] = ()
    """Namespaces to watch; empty means all, which needs a ClusterRole."""
    read_nodes: bool = True
    """Whether nodes may be listed, which no Role allows."""
    resync_seconds: float = _RESYNC_SECONDS
    """Every object is looked at at least this often, whatever events were lost."""
    workers: int = _WORKERS
    """Objects that are reconciled at a time; more load the API server, not the operator."""
    leader_election: bool = False
    """Whether other operators may run beside this one; all but one wait."""
    health_port: int = _HEALTH_PORT
    """Port of /healthz, /readyz and /metrics."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from ``QWEN_OPERATOR_*``; raises `InvalidInput` for a value that is none."""

    def text(name: str, default: str) -> str:
        return environment.get(_PREFIX + name) or default

    def number(name: str, default: float, *, least: float) -> float:
        given = text(name, str(default))
        try:
            value = float(given)
        except ValueError:
            value = math.nan
        if not least <= value < math.inf:
            raise InvalidInput(
                _PREFIX + name, given, f"it is a number of at least {least:g}", "mend the setting"
            )
        return value

    def flag(name: str, *, default: bool) -> bool:
        given = text(name, str(default)).lower()
        if given not in {"true", "false"}:
            raise InvalidInput(_PREFIX + name, given, "it is true or false", "mend the setting")
        return given == "true"

    given_namespaces = text("NAMESPACES", "").split(",")
    namespaces = tuple(filter(None, (name.strip() for name in given_namespaces)))
    return Settings(
        children=ChildSettings(
            gpu_image=text("GPU_IMAGE", f"vllm/vllm-openai:v{GPU_VLLM_VERSION}"),
            cpu_image=text("CPU_IMAGE", f"vllm/vllm-openai-cpu:v{CPU_VLLM_VERSION}"),
            runtime_image=text("RUNTIME_IMAGE", "qwen-operator/runtime:latest"),
            operator_namespace=text("NAMESPACE", "qwen-operator"),
            claim_access_mode=text("CLAIM_ACCESS_MODE", "ReadWriteOnce"),
        ),
        namespaces=namespaces,
        read_nodes=flag("READ_NODES", default=not namespaces),
        resync_seconds=number("RESYNC_SECONDS", _RESYNC_SECONDS, least=1),
        leader_election=flag("LEADER_ELECTION", default=False),
        workers=int(number("WORKERS", _WORKERS, least=1)),
        health_port=int(number("HEALTH_PORT", _HEALTH_PORT, least=1)),
    )
