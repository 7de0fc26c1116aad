import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
EXPORT = (
    *("export", "--frozen", "--offline", "--quiet", "--extra", "runtime", "--no-dev"),
    *("--no-emit-project", "--no-annotate", "--no-header"),
    *("--prune", "hf-xet", "--prune", "pydantic"),
)


def test_the_image_installs_what_the_lock_says() -> None:
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("there is no uv to export the lock with")
    exported = subprocess.run(  # noqa: S603 all of it is written here
        [uv, *EXPORT], cwd=REPOSITORY, capture_output=True, check=True, text=True
    ).stdout
    written = (REPOSITORY / "runtime/requirements.txt").read_text()
    lines = [line for line in written.splitlines() if not line.startswith("#")]
    assert lines == exported.splitlines()
