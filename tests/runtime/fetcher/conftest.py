from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.hub.server import Hub
from e2e.models.tiny_qwen3 import write_tiny_qwen3
from tests.runtime.fetcher.running import REPOSITORY


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Folder of the model that the hub serves."""
    folder = tmp_path / "hub" / REPOSITORY
    write_tiny_qwen3(folder)
    return folder


@pytest.fixture
def hub(model: Path) -> Iterator[Hub]:
    with Hub(model.parents[1]) as hub:
        yield hub


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"
