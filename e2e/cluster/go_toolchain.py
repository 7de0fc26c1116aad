"""The Go that builds the programs: the machine's own, or a pinned one from Go's module proxy."""

import hashlib
import platform
import shutil
import urllib.request
import zipfile
from pathlib import Path
from typing import Final

from e2e.cluster.commands import run
from e2e.cluster.errors import CommandFailed, HarnessError
from e2e.cluster.paths import CACHE, GO_MODULES, whole_or_nothing
from e2e.cluster.progress import Progress

_VERSION: Final = "1.26.8"
_SHA256: Final = {
    "x86_64": ("amd64", "30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7"),
    "aarch64": ("arm64", "02b36b6787b3ac767668f630e2998df45a3b1f9ffee08d1bf3ef6487cd658d99"),
}
_URL: Final = "https://proxy.golang.org/golang.org/toolchain/@v/{module}.zip"
_ADVICE: Final = "install Go 1.26 or newer from https://go.dev/dl, or set KUBECONFIG"


def find_go(progress: Progress) -> str:
    """Path of a go that takes our modules; from 1.21 on, it fetches a newer one by itself."""
    found = shutil.which("go")
    if found is not None and _takes_our_modules(found):
        return found
    target = CACHE / "go" / _VERSION
    if not target.exists():
        progress.plan(1)
        with progress.step(f"fetch Go {_VERSION}", expected="20 s"):
            _fetch(target)
    return str(target / "bin" / "go")


def _takes_our_modules(go: str) -> bool:
    try:
        run([go, "env", "GOVERSION"], folder=GO_MODULES / "pause")
    except CommandFailed:
        return False
    return True


def _fetch(target: Path) -> None:
    """Go's own archive, as its module proxy keeps it; raise HarnessError if it is another."""
    if platform.machine() not in _SHA256:
        raise HarnessError(f"Go is not installed; {_ADVICE}")
    architecture, sha256 = _SHA256[platform.machine()]
    module = f"v0.0.1-go{_VERSION}.linux-{architecture}"
    with whole_or_nothing(target) as unfinished:
        archive = unfinished.with_name("go.zip")
        try:
            urllib.request.urlretrieve(_URL.format(module=module), archive)  # noqa: S310 a constant
        except OSError as error:
            raise HarnessError(f"Go cannot be downloaded ({error}); {_ADVICE}") from error
        with archive.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != sha256:
                raise HarnessError(f"the download of Go {_VERSION} is damaged; {_ADVICE}")
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(unfinished.with_name("unpacked"))
        unfinished.with_name("unpacked").joinpath(f"golang.org/toolchain@{module}").rename(
            unfinished
        )
        for folder in ("bin", "pkg/tool"):
            for program in (unfinished / folder).rglob("*"):
                if program.is_file():
                    program.chmod(0o755)  # zipfile drops the modes
