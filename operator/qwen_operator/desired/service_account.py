"""The identity of the model pods, which may do nothing."""

from __future__ import annotations

from qwen_operator.desired.metadata import Object, build_object
from qwen_operator.desired.wanted import Wanted


def build_service_account(wanted: Wanted) -> Object:
    """An account of its own, so that no right given to the namespace's default one reaches pods."""
    return build_object(wanted, "v1", "ServiceAccount") | {"automountServiceAccountToken": False}
