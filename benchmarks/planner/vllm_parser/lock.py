"""Renews the locks after a pin in vllm_versions.py or a wheel file has changed.

    python -m benchmarks.planner.vllm_parser.lock

The bounds come from the requirements in each vLLM wheel, so that the parser meets the
libraries it was written for. Pins without hashes: sixty libraries with a wheel per platform
would make 200 KB of hashes a lock; the vLLM wheel itself is pinned by hash.
"""

import email
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from benchmarks.planner.vllm_parser.install import LOCKS, VERSIONS, download_wheel, lock_file

# PyPI has no such release (the newest was 2026.10.18 when 0.33.0 asked for 2026.10.19), and the
# parser opens no connection.
_UNUSABLE_BOUNDS = ("certifi",)


def bounds(wheel: Path) -> list[str]:
    """Return what ``wheel`` requires without extras, as constraints."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    required = (str(line) for line in metadata.get_all("Requires-Dist", []))
    return [
        re.sub(r"\[.*?\]", "", line, count=1)  # a constraint cannot carry an extra
        for line in required
        if "extra ==" not in line and not line.startswith(_UNUSABLE_BOUNDS)
    ]


def renew(version: str) -> None:
    """Resolve the dependencies of ``version`` afresh and write its lock."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(["uv", "venv", "--quiet", "--seed", str(folder / "pip")], check=True)
        wheel = download_wheel(version, folder / "pip" / "bin" / "python", folder)
        constraints = folder / "constraints.txt"
        constraints.write_text("\n".join(bounds(wheel)))
        subprocess.run(
            ["uv", "pip", "compile", "--quiet", "--upgrade", "--universal",
             "--python-version", "3.11", "--only-binary", ":all:", "--no-annotate",
             "--no-header", "-c", str(constraints), str(LOCKS / "dependencies.in"),
             "-o", str(lock_file(version))],
            check=True,
        )  # fmt: skip


def main() -> int:
    """Renew every lock."""
    for version in VERSIONS:
        renew(version)
        print(lock_file(version))
    return 0


if __name__ == "__main__":
    sys.exit(main())
