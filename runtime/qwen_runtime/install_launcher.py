"""Put the launcher, one file that any Python from 3.11 on runs, where vLLM's image finds it."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from qwen_contract import pod

_RUNTIME: Final = Path(__file__).parents[1]
_PACKAGES: Final = ("qwen_contract", "qwen_runtime/launcher")
_MODULES: Final = ("qwen_runtime/__init__.py",)
_NVML: Final = "pynvml"
_MAIN: Final = "from qwen_runtime.launcher.__main__ import main_and_end\nmain_and_end()\n"
_SHEBANG: Final = b"#!/usr/bin/env python3\n"
_EPOCH: Final = (2020, 1, 1, 0, 0, 0)
_MODE: Final = 0o755


def install_launcher(target: Path) -> None:
    """Write the zipapp to ``target``, mode 0755, all of it or nothing; equal bytes each time.

    Raises OSError.
    """
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_SHEBANG)
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for path, data in sorted(_collect().items()):
                    archive.writestr(zipfile.ZipInfo(path, _EPOCH), data, zipfile.ZIP_DEFLATED)
        temporary.chmod(_MODE)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _collect() -> dict[str, bytes]:
    files = [file for package in _PACKAGES for file in (_RUNTIME / package).rglob("*.py")]
    files += [_RUNTIME / module for module in _MODULES]
    found = {str(file.relative_to(_RUNTIME)): file.read_bytes() for file in files}
    found["__main__.py"] = _MAIN.encode()
    found[f"{_NVML}.py"] = _nvml().read_bytes()
    return found


def _nvml() -> Path:
    spec = importlib.util.find_spec(_NVML)
    if spec is None or spec.origin is None:
        raise OSError("nvidia-ml-py is not installed beside this program")
    return Path(spec.origin)


def main() -> None:
    """``python -m qwen_runtime.install_launcher [TARGET]``."""
    install_launcher(Path(sys.argv[1] if len(sys.argv) > 1 else pod.LAUNCHER_PATH))


if __name__ == "__main__":
    main()
