"""The launcher as a process, with a model server in vLLM's place, from start to end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from qwen_contract.failure import FailureReason, Stage
from qwen_contract.fetched import Fetched, write_fetched
from qwen_contract.report import State
from tests.runtime.launcher.launchers import children, eventually, launched
from tests.runtime.launcher.recordings import recorded_lines


def test_it_is_ready_once_the_first_completion_is_answered(zipapp: Path, tmp_path: Path) -> None:
    cache = {"kv_cache_size_tokens": "32768", "kv_cache_memory_bytes": "16777216"}
    with launched(zipapp, tmp_path, {"log": recorded_lines("good"), "cache": cache}) as launcher:
        seen = []
        eventually(lambda: seen.append(launcher.status("/readyz")) or seen[-1] == 200, "ready")
        assert launcher.status("/startupz") == launcher.status("/livez") == 200
        report = launcher.report()
    assert set(seen) <= {None, 503, 200}
    assert '"model": "qwen3-4b"' in launcher.output()
    assert (report.state, report.card) == (State.SERVING, "CPU")
    assert report.measured.kv_cache_tokens == 32768
    assert report.measured.kv_cache_bytes == 16 << 20
    names = [phase.name for phase in report.phases]
    assert names[:3] == ["LauncherInterpreter", "LauncherImports", "LauncherPlan"]
    assert names[-3:] == ["LauncherHealth", "LauncherWarmUp", "LauncherReady"]
    assert {"Import", "LoadWeights", "AllocateKvCache"} < set(names)


def test_the_log_of_vllm_passes_through_unchanged(zipapp: Path, tmp_path: Path) -> None:
    lines = recorded_lines("good")
    with launched(zipapp, tmp_path, {"log": lines}) as launcher:
        launcher.await_ready()
    assert "\n".join(lines) in launcher.output()


def test_a_drain_finishes_open_streams_and_serves_late_requests(
    zipapp: Path, tmp_path: Path
) -> None:
    script = {"chunks": 8, "chunk_seconds": 0.1}
    with launched(zipapp, tmp_path, script, options=("--propagation-seconds", "0.5")) as launcher:
        launcher.await_ready()
        bodies: list[bytes] = []
        first = launcher.stream()
        reader = threading.Thread(target=lambda: bodies.append(first.read()))
        reader.start()
        launcher.terminate()
        eventually(lambda: launcher.status("/readyz") == 503, "not ready")
        assert launcher.report().state is State.DRAINING
        assert launcher.status("/livez") == launcher.status("/startupz") == 200
        launcher.terminate()
        late = launcher.stream()
        assert late.status == 200
        bodies.append(late.read())
        reader.join()
        assert launcher.wait() == 0
    assert [body.count(b"data: ") for body in bodies] == [9, 9]
    assert all(body.endswith(b"data: [DONE]\n\n") for body in bodies)
    assert not (tmp_path / "termination").exists()


def test_a_server_that_does_not_end_is_killed_before_the_kubelet_would(
    zipapp: Path, tmp_path: Path
) -> None:
    options = ("--propagation-seconds", "0.1", "--grace-seconds", "3")
    with launched(zipapp, tmp_path, {"on_sigterm": "ignore"}, options=options) as launcher:
        launcher.await_ready()
        (server,) = children(launcher.process.pid)
        launcher.terminate()
        assert launcher.wait() == 0
        assert not Path(f"/proc/{server}").exists()
    assert "killed" in launcher.output()


def test_an_engine_that_dies_while_serving_is_a_typed_failure(zipapp: Path, tmp_path: Path) -> None:
    script = {"last_words": recorded_lines("engine-core-killed")[-20:], "die": 0}
    with launched(zipapp, tmp_path, script) as launcher:
        launcher.await_ready()
        launcher.get("/die", launcher.http_port)
        assert launcher.wait() == 1
    failure = launcher.failure()
    assert (failure.reason, failure.stage) == (FailureReason.ENGINE_DEAD, Stage.SERVE)
    assert any("EngineDeadError" in line for line in failure.log)


def test_a_start_that_fails_ends_with_its_reason(zipapp: Path, tmp_path: Path) -> None:
    script = {"log": recorded_lines("shard-missing"), "exit": 1}
    with launched(zipapp, tmp_path, script) as launcher:
        assert launcher.wait() == 1
    failure = launcher.failure()
    assert (failure.reason, failure.stage) == (FailureReason.WEIGHTS_MISSING, Stage.LOAD_WEIGHTS)
    assert "WeightsMissing" in launcher.output().splitlines()[-1]


def test_a_first_completion_that_fails_is_a_failure(zipapp: Path, tmp_path: Path) -> None:
    with launched(zipapp, tmp_path, {"completion_status": 500}) as launcher:
        eventually(lambda: launcher.status("/livez") == 503, "not alive")
        assert launcher.status("/readyz") == 503
        assert launcher.wait() == 1
    assert launcher.failure().stage is Stage.WARM_UP


def test_a_model_that_refuses_the_first_completion_serves(zipapp: Path, tmp_path: Path) -> None:
    with launched(zipapp, tmp_path, {"completion_status": 400}) as launcher:
        launcher.await_ready()
    assert "refuses the warm-up" in launcher.output()


def test_orphans_are_reaped(zipapp: Path, tmp_path: Path) -> None:
    with launched(zipapp, tmp_path, {"orphans": 3}) as launcher:
        launcher.await_ready()
        eventually(lambda: len(children(launcher.process.pid)) == 1, "only the server is left")
        assert children(launcher.process.pid, "Z") == []


def test_process_one_of_a_namespace_hears_signals_and_reaps(zipapp: Path, tmp_path: Path) -> None:
    under = ("unshare", "--pid", "--fork", "--mount-proc")
    if shutil.which("unshare") is None or subprocess.run([*under, "true"], check=False).returncode:  # noqa: S603
        pytest.skip("no process namespaces here (they need root)")
    with launched(zipapp, tmp_path, {"orphans": 2}, under=under) as launcher:
        launcher.await_ready()
        assert "(Launcher pid=1) " in launcher.output()
        (one,) = children(launcher.process.pid)
        eventually(lambda: len(children(one)) == 1, "only the server is left")
        os.kill(one, signal.SIGTERM)
        assert launcher.wait() == 0


def test_a_request_to_end_before_readiness_ends_it_at_once(zipapp: Path, tmp_path: Path) -> None:
    script = {"log": ["Starting to load model"], "health": 500}
    with launched(zipapp, tmp_path, script) as launcher:
        eventually(lambda: "Starting to load model" in launcher.output(), "started")
        launcher.terminate()
        assert launcher.wait() == 0


def test_the_fetched_folder_is_served_under_the_model_s_name(zipapp: Path, tmp_path: Path) -> None:
    fetched = Fetched(
        folder="/var/cache/qwen/models/x",
        repository="Qwen/Qwen3-4B",
        commit="c" * 40,
        bytes=1,
        downloaded_bytes=0,
        seconds=0.1,
        verified="sha256",
    )
    (tmp_path / "model.json").write_text(write_fetched(fetched))
    with launched(zipapp, tmp_path) as launcher:
        launcher.await_ready()
        assert launcher.report().commit == "c" * 40
    assert "script.json /var/cache/qwen/models/x --served-model-name" in launcher.output()


def run(zipapp: Path, plan: Path, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    command = [python, str(zipapp), "--plan", str(plan), "--port", "0"]
    command += ["--termination-log", str(plan / "termination")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603


def test_a_plan_of_another_release_is_one_sentence(zipapp: Path, tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text(json.dumps({"format": 99, "cards": []}))
    ended = run(zipapp, tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == ""
    (line,) = ended.stdout.splitlines()
    assert "PlanUnreadable" in line
    assert "format 99" in line


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_zipapp_runs_on_any_python(
    zipapp: Path, tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = shutil.which(f"python{version}")
    # pyenv's commands run only the versions that are chosen.
    monkeypatch.setenv("PYENV_VERSION", version)
    if python is None or subprocess.run([python, "-V"], check=False).returncode:  # noqa: S603
        pytest.skip(f"no Python {version} on this machine")
    assert "PlanUnreadable" in run(zipapp, tmp_path, python).stdout
