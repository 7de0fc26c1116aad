"""Ready, stuck, drained: decisions over what was observed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_contract.failure import Failure, FailureReason, Stage
from qwen_contract.pod import TERMINATION_GRACE_SECONDS
from qwen_contract.report import State
from qwen_runtime.launcher.cards import Memory, Sample, Throttle
from qwen_runtime.launcher.engine_metrics import EngineMetrics, read_engine_metrics
from qwen_runtime.launcher.exposition import write_metrics
from qwen_runtime.launcher.gpu_watch import add_error, add_samples
from qwen_runtime.launcher.life import (
    STALLED_SECONDS,
    DrainStep,
    Engine,
    decide_drain,
    drain_limits,
    find_silence,
    find_stall,
    is_healthy,
    observe,
)
from qwen_runtime.launcher.server import answer
from qwen_runtime.launcher.status import Status

LIMITS = drain_limits(300, 5)


def metrics(requests: int | None, *progress: float) -> EngineMetrics:
    return EngineMetrics(requests=requests, progress=progress)


def engine(*looks: tuple[float, int | None, EngineMetrics | None]) -> Engine:
    seen = Engine(at=0)
    for at, health, read in looks:
        seen = observe(seen, at, health, read)
    return seen


def test_slowness_is_no_stall() -> None:
    slow = engine((0, 200, metrics(4, 1)), (500, None, None), (590, 200, metrics(4, 2)))
    assert find_stall(slow, 600 + 500) is None


def test_requests_that_do_not_move_for_ten_minutes_are_a_stall() -> None:
    stuck = engine((0, 200, metrics(4, 1)), (STALLED_SECONDS + 1, 200, metrics(4, 1)))
    failure = find_stall(stuck, STALLED_SECONDS + 1)
    assert failure is not None
    assert failure.reason is FailureReason.ENGINE_STALLED
    idle = engine((0, 200, metrics(0, 1)), (STALLED_SECONDS + 1, 200, metrics(0, 1)))
    assert find_stall(idle, STALLED_SECONDS + 1) is None


def test_a_dead_engine_is_not_ready_at_once_and_a_failure_if_the_server_stays() -> None:
    dead = engine((0, 200, metrics(0)), (1, 503, None))
    assert not is_healthy(dead, 1)
    assert find_stall(dead, 5) is None
    failure = find_stall(dead, 20)
    assert failure is not None
    assert failure.reason is FailureReason.ENGINE_DEAD


def test_one_missed_health_check_leaves_it_ready() -> None:
    busy = engine((0, 200, metrics(9, 1)), (5, None, None), (10, None, None))
    assert is_healthy(busy, 10)
    assert not is_healthy(busy, 60)


def test_a_silent_start_is_given_up_and_a_slow_one_is_not() -> None:
    assert find_silence(Stage.LOAD_WEIGHTS, 900) is None
    failure = find_silence(Stage.LOAD_WEIGHTS, 1300)
    assert failure is not None
    assert (failure.reason, failure.stage) == (FailureReason.START_STALLED, Stage.LOAD_WEIGHTS)


def test_a_drain_waits_for_routing_and_then_for_requests() -> None:
    busy = engine((1, 200, metrics(2)))
    idle = engine((1, 200, metrics(0)), (2, 200, metrics(0)))
    once = engine((1, 200, metrics(2)), (2, 200, metrics(0)))

    def step(seconds: float, seen: Engine | None, *, serving: bool = True) -> DrainStep:
        return decide_drain(LIMITS, seconds, None, seen, serving=serving)

    assert step(1, idle) is DrainStep.WAIT
    assert step(6, idle) is DrainStep.STOP
    assert step(6, once) is DrainStep.WAIT
    assert step(6, busy) is DrainStep.WAIT
    assert step(6, None) is DrainStep.WAIT
    assert step(6, engine(*[(at, 200, metrics(None)) for at in range(9)])) is DrainStep.WAIT
    assert step(LIMITS.stop_seconds, busy) is DrainStep.STOP
    assert step(0, None, serving=False) is DrainStep.STOP
    assert decide_drain(LIMITS, 9, 1, busy, serving=True) is DrainStep.WAIT
    assert decide_drain(LIMITS, 9, 6, busy, serving=True) is DrainStep.WAIT
    assert decide_drain(LIMITS, 9, 6, idle, serving=True) is DrainStep.KILL
    assert decide_drain(LIMITS, 99, LIMITS.kill_seconds, busy, serving=True) is DrainStep.KILL


@settings(deadline=None)
@given(st.floats(1, 3600), st.floats(0, 600))
def test_every_drain_ends_before_the_kubelet_kills(grace: float, propagation: float) -> None:
    limits = drain_limits(grace, propagation)
    assert limits.propagation_seconds <= limits.stop_seconds
    assert limits.shutdown_seconds < limits.kill_seconds
    if grace >= 15:
        assert limits.stop_seconds + limits.kill_seconds < grace
    for seen in (
        None,
        engine((1, 200, metrics(2))),
        engine(*[(at, 200, metrics(0)) for at in (1, 2)]),
    ):
        late = decide_drain(limits, grace, limits.kill_seconds, seen, serving=True)
        assert late is DrainStep.KILL


def test_the_pod_s_grace_leaves_most_of_it_to_requests() -> None:
    assert drain_limits(TERMINATION_GRACE_SECONDS, 5).stop_seconds >= 260


def test_vllm_s_metrics_are_summed_over_engines() -> None:
    read = read_engine_metrics(
        'vllm:num_requests_running{engine="0",model_name="a b"} 2.0\n'
        'vllm:num_requests_running{engine="1",model_name="a b"} 1.0\n'
        'vllm:num_requests_waiting{engine="0"} 4.0\n'
        'vllm:cache_config_info{kv_cache_size_tokens="128",kv_cache_memory_bytes="None"} 1.0\n'
        "vllm:generation_tokens_total nonsense\n"
    )
    assert (read.requests, read.kv_cache_tokens, read.kv_cache_bytes) == (7, 128, None)


@settings(deadline=None)
@given(st.text())
def test_any_text_of_metrics_is_read(text: str) -> None:
    assert read_engine_metrics(text).requests is None or "vllm:" in text


def sample(used: int, uuid: str = "GPU-0") -> Sample:
    return Sample(
        index=0,
        uuid=uuid,
        memory=Memory(total_bytes=24, used_bytes=used),
        utilization_ratio=None,
        temperature_celsius=61,
        power_watts=1.5,
        power_limit_watts=None,
        throttles=(Throttle.POWER_CAP,),
    )


def test_the_peak_is_of_the_time_since_readiness() -> None:
    status = add_samples(Status(), (sample(20),))
    status = add_samples(Status(state=State.SERVING), (sample(9),))
    for used in (12, 10):
        status = add_samples(status, (sample(used),))
    assert dict(status.peak_bytes) == {"GPU-0": 12}


def test_metrics_are_in_prometheus_text_and_leave_out_what_is_unknown() -> None:
    status = add_samples(Status(state=State.SERVING), (sample(9, 'GPU-"\\\n'),))
    text = write_metrics(add_error(add_error(status, 0, 79), 0, 79))
    assert 'qwen_gpu_xid_errors_total{gpu="0",xid="79"} 2.0' in text
    assert "qwen_gpu_utilization_ratio" not in text
    assert 'uuid="GPU-\\"\\\\\\n",reason="PowerCap"} 1.0' in text
    line = re.compile(r'^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="(\\.|[^"\\])*",?)+\})? [\d.e+-]+)$')
    assert all(line.match(each) for each in text.splitlines())


@pytest.mark.parametrize(
    ("path", "state", "expected"),
    [
        ("/startupz", State.STARTING, 503),
        ("/startupz", State.SERVING, 200),
        ("/readyz", State.WARMING_UP, 503),
        ("/readyz", State.SERVING, 200),
        ("/readyz", State.DRAINING, 503),
        ("/livez", State.STARTING, 200),
        ("/livez?verbose", State.DRAINING, 200),
        ("/livez", State.FAILED, 503),
        ("/report", State.STARTING, 200),
        ("/metrics", State.STARTING, 200),
        ("/", State.SERVING, 404),
    ],
)
def test_probes(path: str, state: State, expected: int) -> None:
    status = Status(state=state, engine=engine((0, 200, metrics(0))))
    assert answer(path, status, 1).status == expected


def test_a_failed_probe_says_why() -> None:
    failure = Failure(reason=FailureReason.ENGINE_DEAD, stage=Stage.SERVE, message="it died")
    assert answer("/livez", Status(failure=failure), 0).body == "it died\n"
