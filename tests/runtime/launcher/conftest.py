from pathlib import Path

import pytest

from e2e import nvml
from qwen_runtime.install_launcher import install_launcher


@pytest.fixture(scope="session")
def zipapp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("launcher") / "launcher.pyz"
    install_launcher(target)
    return target


@pytest.fixture(scope="session")
def nvml_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if nvml.compiler() is None:
        pytest.skip("no C compiler, so no NVML to stand in for the driver's")
    folder = tmp_path_factory.mktemp("nvml")
    nvml.build(folder)
    return folder
