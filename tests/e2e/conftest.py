import pytest

from e2e.fixtures import control_plane, node
from tests.e2e.fake_gpus import operator

__all__ = ["control_plane", "node", "operator"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "control_plane: needs an API server (and Go to build it)")
    config.addinivalue_line("markers", "node: needs a node that runs pods (and root)")
