"""Images of the product, built from the Dockerfiles that a release uses."""

from typing import Final

from e2e.cluster.images import Image
from e2e.cluster.paths import REPOSITORY

OPERATOR: Final = Image(
    "operator",
    REPOSITORY / "operator" / "Dockerfile",
    ("operator/requirements.txt", "operator/qwen_operator", "runtime/qwen_contract"),
)
