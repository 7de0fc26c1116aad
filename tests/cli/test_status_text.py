"""What people read of a QwenDeployment. UPDATE_GOLDEN=1 writes the file anew."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from qwen_contract.report import Measured, Phase, Report, State
from qwen_operator.cli.status_text import Replica, Seen, as_dict, is_ready, render

GOLDEN = Path(__file__).parent / "golden" / "status.txt"
REPORT = Report(
    state=State.SERVING,
    card="L4",
    vllm_version="0.33.0",
    phases=(
        Phase(name="LauncherImports", seconds=0.12),
        Phase(name="LoadWeights", seconds=9.5),
        Phase(name="CaptureGraphs", seconds=6.25),
        Phase(name="LauncherWarmUp", seconds=0.4),
    ),
    measured=Measured(kv_cache_tokens=99_000),
    compile_cache_hit=True,
    warnings=("NUMA balancing is on; it slows the load of weights",),
)


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": 2,
    }


def seen(ready: str = "True", **status: Any) -> Seen:
    return Seen(
        owner={
            "metadata": {"name": "chat", "namespace": "models", "generation": 2},
            "spec": {"model": "Qwen/Qwen3-8B", "precision": "fp8", "contextLength": 32768},
            "status": {
                "conditions": [
                    condition("Ready", ready, "Serving", "1 replicas serve"),
                    condition("Planned", "True", "PlanFits", "L4: 32,768 tokens fit"),
                    condition("Available", ready, "Serving", "1 replicas serve"),
                ],
                "plan": [
                    {
                        "accelerator": "L4",
                        "kvCacheTokens": 98_000,
                        "measured": {
                            "replicas": 1,
                            "kvCacheTokens": 99_000,
                            "deviceBytesPeak": 20 << 30,
                            "deviceBytesTotal": 22 << 30,
                            "startSeconds": 16,
                        },
                    }
                ],
                **status,
            },
        },
        replicas=(
            Replica(pod={"metadata": {"name": "chat-x"}, "spec": {"nodeName": "n"}}, report=REPORT),
            Replica(pod={"metadata": {"name": "chat-y"}, "spec": {}}, report=None),
        ),
        events=(
            {"lastTimestamp": "2026-01-02T03:05:00Z", "reason": "Serving", "message": "later"},
            {"lastTimestamp": "2026-01-02T03:04:00Z", "reason": "PodsNotReady", "message": "first"},
        ),
    )


def test_the_text_is_what_the_golden_file_says(monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    text = "\n".join(render(seen())) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_what_nobody_has_looked_at_says_so() -> None:
    assert any("is it running?" in line for line in render(seen(conditions=[], plan=[])))


def test_an_answer_to_an_older_spec_is_not_ready() -> None:
    assert is_ready(seen())
    assert not is_ready(seen(ready="False"))
    older = [condition("Ready", "True", "Serving", "") | {"observedGeneration": 1}]
    assert not is_ready(seen(conditions=older))


def test_the_json_holds_everything_that_was_read_in_order_of_time() -> None:
    document = json.loads(json.dumps(as_dict(seen())))
    assert document["ready"] is True
    assert [event["message"] for event in document["events"]] == ["first", "later"]
    assert [each["report"] is None for each in document["replicas"]] == [False, True]
