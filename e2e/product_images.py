"""The images that the operator's pods run, as the harness builds them."""

from typing import Final

from e2e.cluster.images import Image
from e2e.cluster.paths import REPOSITORY

RUNTIME: Final = Image(
    "runtime",
    REPOSITORY / "runtime/Dockerfile",
    ("runtime/requirements.txt", "runtime/qwen_contract", "runtime/qwen_runtime"),
)
