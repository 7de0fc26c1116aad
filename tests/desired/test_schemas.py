"""Every child holds only fields that Kubernetes has, of the type that it wants."""

from __future__ import annotations

from typing import Any

import pytest

from qwen_operator.desired.children import build_children
from tests.desired.examples import wanted
from tests.desired.test_golden import CASES

kubernetes_validate: Any = pytest.importorskip("kubernetes_validate")


@pytest.mark.parametrize("name", CASES)
def test_kubernetes_knows_every_field(name: str) -> None:
    for child in build_children(wanted(CASES[name])):
        kubernetes_validate.validate(child, kubernetes_validate.latest_version(), strict=True)
