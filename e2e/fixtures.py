"""Clusters for tests. `control_plane` is ready in seconds; `node` runs real pods.

With KUBECONFIG set to a cluster of the user's own, both are that cluster.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.cluster.api import Api, connect
from e2e.cluster.existing import ExistingCluster
from e2e.cluster.images import Image
from e2e.cluster.local import LocalCluster
from e2e.cluster.paths import CACHE, DEFAULT_STATE, LOCK, exclusive
from e2e.cluster.progress import Silent


@dataclass(frozen=True)
class Cluster:
    """What a test needs to know of a cluster."""

    kubeconfig: Path
    load: Callable[[Image], str]
    """Build an image, make it known to the cluster's nodes, and return its reference."""
    audit_log: Path | None
    """For `e2e.cluster.audit`; None in a cluster of the user's own, which keeps none for us."""

    def connect(self) -> AbstractAsyncContextManager[Api]:
        """Connection of an administrator."""
        return connect(self.kubeconfig)

    def need_fake_nodes(self) -> None:
        """Skip the test on a cluster of the user's own, where KWOK does not run."""
        if self.audit_log is None:
            pytest.skip("the cluster that KUBECONFIG names has no fake nodes")


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """API server, controllers, scheduler and KWOK, for this test session alone; no real node."""
    existing = _existing()
    if existing is not None:
        yield existing
        return
    cluster = LocalCluster(tmp_path_factory.mktemp("control-plane"), Silent(), die_with_us=True)
    try:
        plane = cluster.up(control_plane_only=True)
        yield Cluster(cluster.kubeconfig, cluster.load, plane.audit_log)
    finally:
        cluster.down()


@pytest.fixture(scope="session")
def node() -> Iterator[Cluster]:
    """A whole cluster with a node that runs pods."""
    with whole_cluster() as cluster:
        yield cluster


@contextmanager
def whole_cluster() -> Iterator[Cluster]:
    """One that is up already is used, and stays up."""
    existing = _existing()
    if existing is not None:
        yield existing
        return
    cluster = LocalCluster(DEFAULT_STATE, Silent())
    # A machine has room for one node, and another process may be using it.
    with exclusive(CACHE / "node-tests.lock"):
        was_up = cluster.node.is_up()
        try:
            with exclusive(LOCK):
                plane = cluster.up(control_plane_only=False)
            yield Cluster(cluster.kubeconfig, cluster.load, plane.audit_log)
        finally:
            if not was_up:
                cluster.down()


def _existing() -> Cluster | None:
    existing = ExistingCluster.from_environment(DEFAULT_STATE)
    if existing is None:
        return None
    return Cluster(existing.kubeconfig, lambda image: existing.load(image, Silent()), None)
