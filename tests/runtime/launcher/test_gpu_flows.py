"""The launcher on a machine with cards: its NVML code against a library that answers as told."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e import nvml
from e2e.nvml import FakeCard
from qwen_contract.failure import FailureReason
from qwen_contract.report import State
from tests.runtime.launcher.launchers import (
    L4,
    RTX4090,
    Launcher,
    eventually,
    launched,
    plan_row,
)

ROWS = (plan_row(RTX4090), plan_row(L4))
BUSY = FakeCard(used_mib=9000, processes=((812, 8800, "/usr/bin/python3"), (900, 100, "")))


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    return tmp_path / "machine"


@pytest.fixture
def env(nvml_folder: Path, machine: Path) -> dict[str, str]:
    return {"LD_LIBRARY_PATH": str(nvml_folder), nvml.FILE_VARIABLE: str(machine)}


def test_the_row_of_the_card_is_started_and_the_card_is_watched(
    zipapp: Path, tmp_path: Path, machine: Path, env: dict[str, str]
) -> None:
    card = FakeCard(uuid="GPU-7", width=8, throttle=0x40)
    nvml.write(machine, card)
    with launched(zipapp, tmp_path, rows=ROWS, env=env) as launcher:
        launcher.await_ready()
        nvml.write(machine, FakeCard(uuid="GPU-7", used_mib=21000, utilization=87, xids=(79,)))
        eventually(lambda: launcher.report().measured.device_bytes_peak == 21000 << 20, "peak")
        eventually(lambda: 'xid="79"} 1.0' in metrics(launcher), "the driver's error")
        report = launcher.report()
        text = metrics(launcher)
    assert (report.card, report.state) == ("RTX4090", State.SERVING)
    assert report.measured.device_bytes_ready == 1 << 20
    assert report.measured.device_bytes_total == 24084 << 20
    assert any("8 of 16 PCIe lanes" in warning for warning in report.warnings)
    assert any("Thermal" in warning for warning in report.warnings)
    labels = 'gpu="0",uuid="GPU-7"'
    assert f"qwen_gpu_memory_used_bytes{{{labels}}} {21000 << 20}" in text
    assert f"qwen_gpu_utilization_ratio{{{labels}}} 0.87" in text
    assert f"qwen_gpu_power_limit_watts{{{labels}}} 450.0" in text
    assert f'qwen_gpu_throttled{{{labels},reason="Thermal"}} 0.0' in text


def test_a_busy_card_is_a_failure_that_names_who_has_it(
    zipapp: Path, tmp_path: Path, machine: Path, env: dict[str, str]
) -> None:
    nvml.write(machine, BUSY)
    options = ("--busy-seconds", "0")
    with launched(zipapp, tmp_path, rows=ROWS, env=env, options=options) as launcher:
        assert launcher.wait() == 1
    failure = launcher.failure()
    assert failure.reason is FailureReason.GPU_BUSY
    assert "14.73 GiB free of 23.52 GiB and the plan needs 20.00 GiB" in failure.message
    assert "process 812 (python3) with 8.59 GiB, process 900 with 0.10 GiB" in failure.message
    assert "reservedMemoryMib" in failure.message


def test_it_waits_for_the_replica_before_to_let_go_of_the_card(
    zipapp: Path, tmp_path: Path, machine: Path, env: dict[str, str]
) -> None:
    nvml.write(machine, BUSY)
    with launched(zipapp, tmp_path, rows=ROWS, env=env) as launcher:
        eventually(lambda: "waiting up to 60 s" in launcher.output(), "it waits")
        assert launcher.status("/readyz") == 503
        assert launcher.status("/livez") == 200
        nvml.write(machine, FakeCard())
        launcher.await_ready()


def test_a_request_to_end_is_heard_while_it_waits_for_the_card(
    zipapp: Path, tmp_path: Path, machine: Path, env: dict[str, str]
) -> None:
    nvml.write(machine, BUSY)
    with launched(zipapp, tmp_path, rows=ROWS, env=env) as launcher:
        eventually(lambda: "waiting up to 60 s" in launcher.output(), "it waits")
        launcher.terminate()
        assert launcher.wait() == 0


def test_no_driver_is_a_failure_that_says_what_the_node_needs(
    zipapp: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    with launched(zipapp, tmp_path, rows=ROWS, env=env) as launcher:
        assert launcher.wait() == 1
    failure = launcher.failure()
    assert failure.reason is FailureReason.GPU_MISSING
    assert "Driver Not Loaded" in failure.message


def test_an_old_driver_is_a_failure_with_both_versions(
    zipapp: Path, tmp_path: Path, machine: Path, env: dict[str, str]
) -> None:
    nvml.write(machine, FakeCard(), driver="550.144.03")
    with launched(zipapp, tmp_path, rows=ROWS, env=env) as launcher:
        assert launcher.wait() == 1
    failure = launcher.failure()
    assert failure.reason is FailureReason.DRIVER_TOO_OLD
    assert "550.144.03" in failure.message
    assert "580" in failure.message


def test_a_card_that_falls_off_the_bus_leaves_the_launcher_running(
    zipapp: Path, tmp_path: Path, machine: Path, env: dict[str, str]
) -> None:
    nvml.write(machine, FakeCard())
    with launched(zipapp, tmp_path, rows=ROWS, env=env) as launcher:
        launcher.await_ready()
        nvml.write(machine, FakeCard(lost=True))
        eventually(lambda: "qwen_gpu_memory_used_bytes" not in metrics(launcher), "no samples")
        assert launcher.status("/livez") == 200


def metrics(launcher: Launcher) -> str:
    answer = launcher.get("/metrics")
    return "" if answer is None else answer.body
