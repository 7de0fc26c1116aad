"""Operator and pod programs read what the other has written, and say so when they cannot."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_contract.errors import Unreadable
from qwen_contract.failure import (
    LONGEST_BYTES,
    Failure,
    FailureReason,
    Stage,
    read_failure,
    write_failure,
)
from qwen_contract.fetched import Fetched, read_fetched, write_fetched
from qwen_contract.plan import PlannedCard, PlanRow, read_plan, write_plan
from qwen_contract.report import Measured, Phase, Report, State, read_report, write_report

ROW = PlanRow(
    card=PlannedCard(
        name="L4",
        product_labels=("NVIDIA-L4",),
        memory_bytes=23_000_000_000,
        compute_capability="8.9",
    ),
    vllm_version="0.33.0",
    tensor_parallel_size=1,
    model="Qwen/Qwen3-4B",
    needed_bytes=21_000_000_000,
    kv_cache_bytes=12_000_000_000,
    args=("--max-model-len", "8192"),
    env={"A": "1"},
)
REPORT = Report(
    state=State.SERVING,
    card="L4",
    vllm_version="0.33.0",
    phases=(Phase(name="Import", seconds=4.5),),
    measured=Measured(kv_cache_tokens=1024),
    warnings=("NUMA balancing is on",),
)
FETCHED = Fetched(
    folder="/var/cache/qwen/x",
    repository="Qwen/Qwen3-4B",
    commit="c" * 40,
    bytes=5,
    downloaded_bytes=5,
    seconds=0.5,
    verified="sha256",
)


def test_a_plan_is_read_back() -> None:
    assert read_plan(write_plan((ROW,))) == (ROW,)


@pytest.mark.parametrize("files", [{}, {"index.json": "["}, {"index.json": "{}"}])
def test_a_damaged_plan_is_one_sentence(files: dict[str, str]) -> None:
    with pytest.raises(Unreadable, match="the plan is damaged"):
        read_plan(files)


def test_a_plan_of_another_format_names_the_way_out() -> None:
    later = {"index.json": json.dumps({"format": 9, "cards": []})}
    with pytest.raises(Unreadable, match=r"format 9.*neighbouring releases"):
        read_plan(later)


@given(
    st.builds(
        Failure,
        reason=st.sampled_from(FailureReason),
        stage=st.sampled_from(Stage),
        message=st.text(max_size=300),
        log=st.lists(st.text(max_size=2000), max_size=40).map(tuple),
    )
)
def test_a_failure_fits_the_termination_message_and_keeps_its_last_lines(given: Failure) -> None:
    text = write_failure(given)
    assert len(text.encode()) <= LONGEST_BYTES
    read = read_failure(text)
    assert (read.reason, read.stage, read.message) == (given.reason, given.stage, given.message)
    assert not read.log or given.log[-len(read.log) :] == read.log


def test_a_failure_of_a_later_release_is_unknown_but_told() -> None:
    document = json.loads(
        write_failure(Failure(reason=FailureReason.GPU_BUSY, stage=Stage.START, message="told"))
    )
    read = read_failure(json.dumps(document | {"reason": "Novel", "stage": "Novel"}))
    assert (read.reason, read.message) == (FailureReason.UNKNOWN, "told")


@pytest.mark.parametrize("text", ["", "Traceback (most recent call last)", "[]", "{}"])
def test_the_end_of_a_log_is_no_failure_of_ours(text: str) -> None:
    with pytest.raises(Unreadable):
        read_failure(text)


def test_a_report_is_read_back_and_a_later_one_too() -> None:
    text = write_report(REPORT)
    assert read_report(text) == REPORT
    later = json.loads(text) | {"novel": 1}
    later["measured"]["novel"] = 2
    assert read_report(json.dumps(later)) == REPORT


def spoilt(**changes: object) -> str:
    return json.dumps(json.loads(write_report(REPORT)) | changes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"state": "Odd"}',
        spoilt(phases=[{"name": "Import", "seconds": float("nan")}]),
        spoilt(phases=[{"name": "Import", "seconds": -1}]),
        spoilt(measured={"kv_cache_tokens": -5}),
        spoilt(measured={"kv_cache_tokens": float("inf")}),
        "[" * 100_000,
    ],
)
def test_a_damaged_report_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable, match="report is damaged"):
        read_report(text)


def test_a_record_of_the_weights_is_read_back() -> None:
    assert read_fetched(write_fetched(FETCHED)) == FETCHED


@pytest.mark.parametrize("text", ["", "{}", '{"format": 9}', '{"format": 1, "novel": 1}'])
def test_a_damaged_record_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        read_fetched(text)
