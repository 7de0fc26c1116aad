"""The hubs by name."""

from __future__ import annotations

import os
from typing import Final

from qwen_runtime.fetcher.failures import Wanted
from qwen_runtime.fetcher.hub import Hub

HUGGING_FACE: Final = "huggingface"
MODEL_SCOPE: Final = "modelscope"

DEFAULT_ENDPOINTS: Final = {
    HUGGING_FACE: "https://huggingface.co",
    MODEL_SCOPE: "https://modelscope.cn",
}
FIELDS: Final = {
    HUGGING_FACE: "spec.source.huggingFace",
    MODEL_SCOPE: "spec.source.modelScope",
}
"""Of the QwenDeployment."""


def connect(hub: str, wanted: Wanted, token: str | None) -> Hub:
    """The client of a hub; imported late, for a start from the cache needs none."""
    if hub == MODEL_SCOPE:
        from qwen_runtime.fetcher.model_scope import ModelScope

        return ModelScope(wanted.endpoint, token, wanted.revision)
    # Read when the library is imported: it asks nobody but the endpoint, and reads no token file.
    os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
    from qwen_runtime.fetcher.hugging_face import HuggingFace

    return HuggingFace(wanted.endpoint, token)
