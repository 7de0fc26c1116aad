import subprocess
import sys
from pathlib import Path

import pytest

from e2e.models.tiny_qwen3 import write_tiny_qwen3
from qwen_contract.failure import FailureReason, Stage, read_failure
from qwen_contract.fetched import read_fetched
from qwen_runtime.__main__ import main

REPOSITORY = Path(__file__).parents[2]


def check(folder: Path, outputs: Path) -> int:
    arguments = ["check", "--folder", str(folder), "--record", str(outputs / "record")]
    return main([*arguments, "--termination-log", str(outputs / "termination")])


def test_check_writes_the_record(tmp_path: Path) -> None:
    write_tiny_qwen3(tmp_path / "model")
    assert check(tmp_path / "model", tmp_path) == 0
    assert read_fetched((tmp_path / "record").read_text()).folder == str(tmp_path / "model")


def test_check_tells_a_failure_in_the_termination_message_and_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(tmp_path / "none", tmp_path) == 1
    failure = read_failure((tmp_path / "termination").read_text())
    assert (failure.reason, failure.stage) == (FailureReason.WEIGHTS_MISSING, Stage.CHECK)
    assert capsys.readouterr().err == f"WeightsMissing: {failure.message}\n"
    assert not (tmp_path / "record").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--repository", "Qwen3-4B"),
        ("--revision", "../../main"),
        ("--endpoint", "huggingface.co"),
    ],
)
def test_what_is_no_name_is_refused_with_a_sentence(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--repository", "Qwen/Tiny", "--revision", "main", "--cache", "c", "--record", "r"]
    with pytest.raises(SystemExit) as caught:
        main(["fetch", *arguments, option, value])
    assert caught.value.code == 2
    assert f"argument {option}: '{value}' " in capsys.readouterr().err


def test_help_names_every_command_and_what_the_exit_status_means(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(word in text for word in ("install-launcher", "fetch", "check", "Exit status"))


def test_a_start_from_the_cache_imports_no_http_client() -> None:
    script = (
        "import sys, qwen_runtime.__main__, qwen_runtime.fetcher.hubs; "
        "print([name for name in ('huggingface_hub',) if name in sys.modules])"
    )
    printed = subprocess.run(  # noqa: S603 our own program
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    ).stdout
    assert printed.strip() == "[]"
