"""Addresses of the cluster."""

from dataclasses import dataclass
from typing import Final

SERVICE_RANGE: Final = "10.96.0.0/16"
API_SERVICE: Final = "10.96.0.1"
DNS_SERVICE: Final = "10.96.0.10"
POD_RANGE: Final = "10.88.0.0/16"
FAKE_POD_RANGE: Final = "10.128.0.0/14"
"""Addresses that KWOK gives to pods on fake nodes; nothing answers there."""
DOMAIN: Final = "cluster.local"

MACHINE_ADDRESS: Final = "10.87.0.1"
"""The machine's end of its link to the node."""
NODE_ADDRESS: Final = "10.87.0.2"
"""The node's end."""
LINK_PREFIX: Final = 30
LINK: Final = "qwen-e2e"
"""Name of the machine's end of the link."""

LOOPBACK: Final = "127.0.0.1"

REAL_NODE_LABEL: Final = "qwen-e2e/runs-pods"
"""Label of the node that runs containers, for pods that must not land on a fake one."""


@dataclass(frozen=True)
class Placement:
    """Where the API server listens."""

    address: str

    @property
    def reachable_by_pods(self) -> bool:
        """A loopback address is useless to pods, and Kubernetes refuses to advertise it."""
        return self.address != LOOPBACK


ALONE: Final = Placement(LOOPBACK)
"""No node: several control planes may run side by side."""
WITH_NODE: Final = Placement(MACHINE_ADDRESS)
