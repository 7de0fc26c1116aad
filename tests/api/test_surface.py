from __future__ import annotations

import subprocess
import sys

from qwen_operator import naming
from qwen_operator.api import v1alpha1


def test_every_exported_name_exists_and_is_sorted() -> None:
    assert v1alpha1.__all__ == sorted(v1alpha1.__all__)
    assert all(hasattr(v1alpha1, name) for name in v1alpha1.__all__)


def test_exported_names_are_the_public_types() -> None:
    public = {
        name
        for name, value in vars(v1alpha1).items()
        if isinstance(value, type) and value.__module__.startswith("qwen_operator.api")
    }
    assert public - {"ApiModel", "StatusModel"} == set(v1alpha1.__all__)


def test_import_is_light() -> None:
    heavy = "{'kopf', 'kubernetes', 'aiohttp', 'yaml', 'celpy'}"
    program = f"import sys, qwen_operator.api.parse; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_object_carries_the_names_of_the_product() -> None:
    fields = v1alpha1.QwenDeployment.model_fields
    assert fields["api_version"].default == naming.API_VERSION
    assert fields["kind"].default == naming.KIND
