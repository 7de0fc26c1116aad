"""Whether the node's driver runs the CUDA that vLLM's image brings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from qwen_contract.failure import Failure, FailureReason, Stage

_OLDEST: Final[Mapping[str, tuple[int, str]]] = {
    # torch 2.14 in the image is built for CUDA 13, whose minor versions all run from branch 580 on.
    "0.33.0": (580, "13"),
}
"""vLLM version to oldest driver branch and CUDA version; of others nothing is known."""

_COMPATIBILITY = "VLLM_ENABLE_CUDA_COMPATIBILITY"


def check_driver(
    vllm_version: str, driver_version: str, environ: Mapping[str, str]
) -> Failure | None:
    """None when the driver is new enough, or when nobody can tell."""
    if vllm_version not in _OLDEST:
        return None
    branch, cuda = _OLDEST[vllm_version]
    major = driver_version.partition(".")[0]
    if not major.isdecimal() or int(major) >= branch:
        return None
    # NVIDIA's forward compatibility, for data-centre cards; the user has asked for it.
    if environ.get(_COMPATIBILITY, "0").strip().lower() in ("1", "true"):
        return None
    return Failure(
        reason=FailureReason.DRIVER_TOO_OLD,
        stage=Stage.CHECK,
        message=f"the node's NVIDIA driver is {driver_version}; vLLM {vllm_version} is built "
        f"for CUDA {cuda}, which needs {branch} or newer; install that, or on a data-centre card "
        f"set {_COMPATIBILITY}=1 in spec.engine.env",
    )
