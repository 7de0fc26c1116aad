"""The images that the operator and its pods run, as the harness builds them."""

from typing import Final

from e2e.cluster.images import Image
from e2e.cluster.paths import REPOSITORY

OPERATOR: Final = Image(
    "operator",
    REPOSITORY / "operator" / "Dockerfile",
    ("operator/requirements.txt", "operator/qwen_operator", "runtime/qwen_contract"),
)
RUNTIME: Final = Image(
    "runtime",
    REPOSITORY / "runtime" / "Dockerfile",
    ("runtime/requirements.txt", "runtime/qwen_contract", "runtime/qwen_runtime"),
)
VLLM_CPU: Final = Image(
    "vllm-cpu",
    REPOSITORY / "e2e" / "images" / "vllm-cpu" / "Dockerfile",
    tuple(
        f"e2e/images/vllm-cpu/{name}" for name in ("requirements.lock", "stub_cuda.py", "finish.py")
    ),
    expected="5 min",
)
"""vLLM's CPU build, which is not ours, but has no public image that these machines could pull."""
NVML: Final = Image(
    "nvml",
    REPOSITORY / "e2e" / "images" / "nvml" / "Dockerfile",
    ("e2e/nvml", "e2e/images/nvml/write.py"),
)
"""A stand-in for a GPU node's driver, in which the launcher's own NVML code runs."""
