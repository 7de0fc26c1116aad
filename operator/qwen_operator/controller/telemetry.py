"""Metrics of the operator itself, in Prometheus' words."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Telemetry:
    """One set of metrics, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.pass_seconds = Histogram(
            "qwen_operator_reconcile_duration_seconds",
            "Duration of one pass over a QwenDeployment.",
            ["result"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            "qwen_operator_queue_depth", "Objects that wait for a pass.", registry=self.registry
        )
        self.queue_age = Gauge(
            "qwen_operator_queue_oldest_seconds",
            "How long the first of them has waited.",
            registry=self.registry,
        )
        self.api_calls = Counter(
            "qwen_operator_api_calls_total",
            "Requests to the API server; code 0 means no answer.",
            ["method", "code"],
            registry=self.registry,
        )
        self.events = Counter(
            "qwen_operator_events_total",
            "Events told of QwenDeployments.",
            ["reason"],
            registry=self.registry,
        )

    def count_call(self, method: str, status: int) -> None:
        """One request to the API server."""
        self.api_calls.labels(method, str(status)).inc()
