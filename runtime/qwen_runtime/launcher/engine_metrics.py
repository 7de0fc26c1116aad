"""What the launcher reads of vLLM's own metrics. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_SAMPLE: Final = re.compile(r"^(?P<name>[\w:]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

_RUNNING: Final = "vllm:num_requests_running"
_WAITING: Final = "vllm:num_requests_waiting"
_CACHE: Final = "vllm:cache_config_info"
_PROGRESS: Final = (
    "vllm:iteration_tokens_total_count",
    "vllm:generation_tokens_total",
    "vllm:prompt_tokens_total",
    "vllm:request_success_total",
    "vllm:kv_cache_usage_perc",
    "vllm:num_preemptions_total",
)
"""A working engine moves at least one of them: the first at each step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineMetrics:
    """One answer of vLLM's /metrics, summed over its engines."""

    requests: int | None
    """Running and waiting; None when vLLM does not count them."""
    progress: tuple[float, ...]
    """Equal to the one before when the engine has done nothing in between."""
    kv_cache_tokens: int | None = None
    kv_cache_bytes: int | None = None


def read_engine_metrics(text: str) -> EngineMetrics:
    """Total: what is missing counts as nothing."""
    requests: float | None = None
    progress = dict.fromkeys(_PROGRESS, 0.0)
    cache: dict[str, str] = {}
    for name, labels, value in _samples(text):
        if name in (_RUNNING, _WAITING):
            requests = (requests or 0.0) + value
        elif name in progress:
            progress[name] += value
        elif name == _CACHE:
            cache = dict(_LABEL.findall(labels))
    return EngineMetrics(
        requests=None if requests is None else round(requests),
        progress=tuple(progress.values()),
        kv_cache_tokens=_count(cache.get("kv_cache_size_tokens")),
        kv_cache_bytes=_count(cache.get("kv_cache_memory_bytes")),
    )


def _samples(text: str) -> Iterator[tuple[str, str, float]]:
    for line in text.splitlines():
        if line.startswith("vllm:") and (found := _SAMPLE.match(line)):
            try:
                yield found["name"], found["labels"] or "", float(found["value"])
            except ValueError:
                continue


def _count(value: str | None) -> int | None:
    return int(value) if value is not None and value.isdecimal() else None
