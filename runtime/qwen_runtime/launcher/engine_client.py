"""Requests to vLLM on this pod: health, metrics, and the first completion."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Final

from qwen_runtime.launcher.engine_metrics import EngineMetrics, read_engine_metrics

_HEALTH_SECONDS: Final = 5.0
_WARM_UP_TOKENS: Final = 2
_OK: Final = 200
_CLIENT_ERROR: Final = 400
_SERVER_ERROR: Final = 500
_UNAVAILABLE: Final = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineClient:
    """vLLM on a port of this pod."""

    port: int
    model: str
    key: str | None

    def health(self) -> int | None:
        """The status of /health, 503 when nobody listens; None when no answer comes in time."""
        try:
            answer = self._send("GET", "/health", timeout_seconds=_HEALTH_SECONDS)
        except ConnectionRefusedError:
            return _UNAVAILABLE
        except (OSError, http.client.HTTPException):
            return None
        return answer.status

    def metrics(self) -> EngineMetrics | None:
        """None when nobody answers in time."""
        answer = self._ask("GET", "/metrics", timeout_seconds=_HEALTH_SECONDS)
        return read_engine_metrics(answer.body) if answer and answer.status == _OK else None

    def warm_up(self, timeout_seconds: float) -> Answer | None:
        """One short completion, as a chat where the model has a template for it."""
        answer = self._complete(
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": "Hello"}]},
            timeout_seconds,
        )
        if answer is not None and _CLIENT_ERROR <= answer.status < _SERVER_ERROR:
            answer = self._complete("/v1/completions", {"prompt": "Hello"}, timeout_seconds)
        return answer

    def _complete(
        self, path: str, prompt: dict[str, object], timeout_seconds: float
    ) -> Answer | None:
        body = {"model": self.model, "max_tokens": _WARM_UP_TOKENS, "temperature": 0, **prompt}
        return self._ask("POST", path, timeout_seconds=timeout_seconds, body=json.dumps(body))

    def _ask(
        self, method: str, path: str, *, timeout_seconds: float, body: str | None = None
    ) -> Answer | None:
        try:
            return self._send(method, path, timeout_seconds=timeout_seconds, body=body)
        except (OSError, http.client.HTTPException):
            return None

    def _send(
        self, method: str, path: str, *, timeout_seconds: float, body: str | None = None
    ) -> Answer:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_seconds)
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return Answer(status=response.status, body=response.read().decode(errors="replace"))
        finally:
            connection.close()
