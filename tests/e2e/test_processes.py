import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.commands import run
from e2e.cluster.errors import CommandFailed, NotReady
from e2e.cluster.processes import Processes, Program

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    started = Processes(tmp_path)
    yield started
    started.kill_all()


def shell(script: str, timeout_seconds: float = 10) -> Program:
    return Program("component", ("sh", "-c", script), lambda: False, timeout_seconds)


def test_a_component_that_ends_shows_the_end_of_its_log(processes: Processes) -> None:
    with pytest.raises(NotReady, match=r"(?s)component ended while starting.*no such flag"):
        processes.ensure(shell("echo no such flag; exit 3"))


def test_a_component_that_never_serves_shows_the_end_of_its_log(processes: Processes) -> None:
    with pytest.raises(NotReady, match=r"(?s)not ready after 0 s.*still thinking"):
        processes.ensure(shell("echo still thinking; sleep 60", timeout_seconds=0.3))


def test_the_same_program_is_started_once(processes: Processes) -> None:
    sleeping = Program("component", ("sleep", "60"))
    assert processes.ensure(sleeping) == processes.ensure(sleeping)
    assert [running.name for running in processes.running()] == ["component"]


def test_a_changed_command_or_input_restarts_it(processes: Processes, tmp_path: Path) -> None:
    settings = tmp_path / "settings"
    settings.write_text("one")
    first = processes.ensure(Program("component", ("sleep", "60"), inputs=(settings,)))
    settings.write_text("two")
    second = processes.ensure(Program("component", ("sleep", "60"), inputs=(settings,)))
    third = processes.ensure(Program("component", ("sleep", "61"), inputs=(settings,)))
    assert len({first, second, third}) == 3
    assert [running.pid for running in processes.running()] == [third]


def test_what_ignores_the_request_to_stop_is_killed(processes: Processes) -> None:
    processes.ensure(Program("stubborn", ("sh", "-c", "trap '' TERM; while :; do sleep 1; done")))
    processes.stop(["stubborn"])
    assert processes.running() == []


def test_processes_of_another_folder_are_not_touched(processes: Processes, tmp_path: Path) -> None:
    other = Processes(tmp_path / "other")
    pid = other.ensure(Program("component", ("sleep", "60")))
    processes.kill_all()
    assert [running.pid for running in other.running()] == [pid]
    other.kill_all()
    assert other.running() == []


def test_a_killed_test_run_takes_its_processes_along(tmp_path: Path) -> None:
    start_and_die = (
        "import os, signal, sys; from pathlib import Path;"
        "from e2e.cluster.processes import Processes, Program;"
        "state = Path(sys.argv[1]); serves = state / 'serves';"
        "command = ('sh', '-c', f'touch {serves}; sleep 60');"
        "started = Processes(state, die_with_us=True);"
        "started.ensure(Program('component', command, serves.exists));"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    with pytest.raises(CommandFailed, match="ended with -9"):
        run([sys.executable, "-c", start_and_die, tmp_path], folder=REPOSITORY)
    left = Processes(tmp_path)
    deadline = time.monotonic() + 5
    while left.running() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert left.running() == []
