"""The QwenDeployment of the demonstration: its manifest, its way to Ready, and a chat with it."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from e2e.cluster.api import Api, Object, Refused
from e2e.cluster.errors import HarnessError
from e2e.demo.model import Model

NAMESPACE: Final = "qwen-demo"
NAME: Final = "demo"
API_VERSION: Final = "qwen-operator.io/v1alpha1"
KIND: Final = "QwenDeployment"

_ON_THE_WAY: Final = ("Planned", "Scheduled", "WeightsReady", "Available", "Ready")
_TIMEOUT_SECONDS: Final = 900.0
_POLL_SECONDS: Final = 0.5
_QUIET_SECONDS: Final = 20.0
"""After as long without news, a line says that we still wait."""

Say = Callable[[str], None]


def build_namespace() -> Object:
    """Under the strictest Pod Security level."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": labels},
    }


def build_deployment(model: Model, endpoint: str | None) -> Object:
    """What a user would write."""
    spec: Object = {
        "model": model.name,
        "contextLength": model.context_tokens,
        "accelerators": [{"name": "CPU", "memoryMib": model.memory_mib}],
    }
    if endpoint is not None:
        spec["source"] = {"huggingFace": {"endpoint": endpoint}}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": spec,
    }


async def wait_until_ready(api: Api, say: Say) -> None:
    """Tell every change of a condition; raise HarnessError when it cannot become Ready."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    told: dict[str, tuple[str, str]] = {}
    started = news = time.monotonic()
    while True:
        conditions = _conditions(await api.get(API_VERSION, KIND, NAME, NAMESPACE))
        for name in (*_ON_THE_WAY, "Stalled"):
            now = (_status(conditions, name), str(conditions.get(name, {}).get("message", "")))
            if told.get(name, ("Unknown", "")) != now and now[0] != "Unknown":
                told[name] = now
                news = time.monotonic()
                say(f"{'' if now[0] == 'True' else 'not '}{name}: {now[1]}")
        left = [name for name in _ON_THE_WAY if _status(conditions, name) != "True"]
        if not left:
            return
        if _status(conditions, "Stalled") == "True":
            raise HarnessError(f"it cannot become Ready: {conditions['Stalled']['message']}")
        if time.monotonic() > deadline:
            raise HarnessError(
                f"not Ready after {_TIMEOUT_SECONDS:.0f} s, for want of {left[0]}; "
                f"kubectl -n {NAMESPACE} describe qd {NAME}, and logs of its pod, say more"
            )
        if time.monotonic() - news > _QUIET_SECONDS:
            news = time.monotonic()
            say(f"… {news - started:.0f} s, still to come: {', '.join(left)}")
        await asyncio.sleep(_POLL_SECONDS)


async def chat(api: Api, question: str, write: Say) -> None:
    """Ask by way of the API server, and write the answer piece by piece."""
    service = f"/api/v1/namespaces/{NAMESPACE}/services/{NAME}:http/proxy/v1"
    try:
        served = (await api.request("GET", f"{service}/models"))["data"][0]["id"]
        body = {
            "model": served,
            "messages": [{"role": "user", "content": question}],
            "max_tokens": 64,
            "stream": True,
        }
        async for line in api.lines(f"{service}/chat/completions", body):
            write(_content(line))
    except Refused as refused:
        raise HarnessError(f"the Service does not answer: {refused}") from None


def _content(line: str) -> str:
    """Text of one line of a stream of events; empty for the lines between them."""
    if not line.startswith("data: {"):
        return ""
    choices = json.loads(line.removeprefix("data: ")).get("choices") or [{}]
    delta: Mapping[str, Any] = choices[0].get("delta", {})
    return str(delta.get("content") or "")


def _conditions(found: Object) -> dict[str, Object]:
    """Those that speak of the present generation."""
    generation = found["metadata"]["generation"]
    conditions = found.get("status", {}).get("conditions") or []
    return {
        each["type"]: each
        for each in conditions
        if each.get("observedGeneration", generation) == generation
    }


def _status(conditions: Mapping[str, Object], name: str) -> str:
    return str(conditions.get(name, {}).get("status", "Unknown"))
