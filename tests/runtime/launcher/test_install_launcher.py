"""The zipapp that every pod gets."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from qwen_runtime.install_launcher import install_launcher


def test_it_is_complete_executable_and_alone(zipapp: Path) -> None:
    assert stat.S_IMODE(zipapp.stat().st_mode) == 0o755
    names = zipfile.ZipFile(zipapp).namelist()
    assert {"__main__.py", "pynvml.py", "qwen_contract/plan.py"} <= set(names)
    packages = {name.rpartition("/")[0] for name in names}
    assert packages == {"", "qwen_contract", "qwen_runtime", "qwen_runtime/launcher"}


def test_installing_again_changes_nothing_and_leaves_nothing(zipapp: Path, tmp_path: Path) -> None:
    target = tmp_path / "launcher.pyz"
    for _ in range(2):
        install_launcher(target)
        assert target.read_bytes() == zipapp.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["launcher.pyz"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        install_launcher(tmp_path / "missing" / "launcher.pyz")
