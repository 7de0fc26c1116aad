import pytest

from e2e.fixtures import control_plane, node

__all__ = ["control_plane", "node"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "control_plane: needs an API server (and Go to build it)")
    config.addinivalue_line("markers", "node: needs a node that runs pods (and root)")
