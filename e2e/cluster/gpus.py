"""What a node with graphics cards shows to Kubernetes.

Labels are spelt as GPU feature discovery writes them, and typed in here rather than taken from
the operator's catalogue: a test that took both sides from one table would agree with its mistakes.
"""

from dataclasses import dataclass
from typing import Final

RESOURCE: Final = "nvidia.com/gpu"


@dataclass(frozen=True)
class Gpu:
    """A kind of card, as its node's labels describe it."""

    product: str
    memory_mib: int
    """As nvidia-smi reports it, which is more than CUDA gives."""
    compute_major: int
    compute_minor: int
    family: str

    def labels(self, count: int) -> dict[str, str]:
        """Labels of a node that holds `count` of these cards, none of them shared."""
        return {
            "nvidia.com/gpu.present": "true",
            "nvidia.com/gpu.product": self.product,
            "nvidia.com/gpu.memory": str(self.memory_mib),
            "nvidia.com/gpu.count": str(count),
            "nvidia.com/gpu.replicas": "1",
            "nvidia.com/gpu.sharing-strategy": "none",
            "nvidia.com/gpu.family": self.family,
            "nvidia.com/gpu.compute.major": str(self.compute_major),
            "nvidia.com/gpu.compute.minor": str(self.compute_minor),
            "nvidia.com/mig.capable": "false",
            "nvidia.com/mig.strategy": "none",
        }


L4: Final = Gpu("NVIDIA-L4", 23034, 8, 9, "ada-lovelace")
A10G: Final = Gpu("NVIDIA-A10G", 23028, 8, 6, "ampere")
RTX4090: Final = Gpu("NVIDIA-GeForce-RTX-4090", 24564, 8, 9, "ada-lovelace")
RTX4090D: Final = Gpu("NVIDIA-GeForce-RTX-4090-D", 24564, 8, 9, "ada-lovelace")
