"""Builds the environments in which vLLM's own argument parsers run.

    python -m benchmarks.planner.vllm_parser.install [VERSION ...]

One environment per pinned version, `.cache/vllm-parser-<version>-<hash>/`: the locked
dependencies and the Python files of the vLLM wheel. Nothing native of vLLM's and no torch is
kept: the parser runs neither (stand_ins.py). The hash covers the locks, so a changed pin gets
a new environment and an unchanged one is built once.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from qwen_operator.catalog.vllm_versions import CPU_VLLM_VERSION, GPU_VLLM_VERSION

REPOSITORY = Path(__file__).resolve().parents[3]
"""The root of the checkout: the worker imports this package from there."""

CACHE = REPOSITORY / ".cache"
"""Where the environments lie; git ignores it."""

LOCKS = Path(__file__).resolve().parent / "locks"
"""Per version: the pins of the dependencies, and the wheel with its hash."""

VERSIONS = (CPU_VLLM_VERSION, GPU_VLLM_VERSION)
"""The versions that have locks."""

WORKER = "benchmarks.planner.vllm_parser.worker"
"""The module that an environment's interpreter runs."""

# Raise it when this file comes to build something else from the same locks.
_LAYOUT = "1"
_STEP_SECONDS = 900
_KEPT_SUFFIXES = (".py", ".json")


class InstallError(Exception):
    """An environment cannot be built; the sentence says which step failed and what to do."""


def lock_file(version: str) -> Path:
    """Name the file with the exact pins of the dependencies for ``version``."""
    return LOCKS / f"vllm-{version}.lock"


def wheel_file(version: str) -> Path:
    """Name the file with the wheel, pinned by hash, whose Python files are used."""
    return LOCKS / f"vllm-{version}.wheel.txt"


def environment_path(version: str) -> Path:
    """Say where the environment for ``version`` lies, built or not."""
    if version not in VERSIONS:
        raise InstallError(
            f"there is no lock for vLLM {version!r}; the versions are {', '.join(VERSIONS)}"
        )
    for needed in (lock_file(version), wheel_file(version)):
        if not needed.is_file():
            raise InstallError(
                f"{needed.relative_to(REPOSITORY)} is missing: write the wheel file with the new "
                "pin's hash, then run `python -m benchmarks.planner.vllm_parser.lock`"
            )
    # An environment belongs to one Python minor version: its site-packages carry the number.
    content = [_LAYOUT, f"{sys.version_info.major}.{sys.version_info.minor}"]
    content += [lock_file(version).read_text(), wheel_file(version).read_text()]
    digest = hashlib.sha256("\0".join(content).encode()).hexdigest()
    return CACHE / f"vllm-parser-{version}-{digest[:12]}"


def interpreter(environment: Path) -> Path:
    """Name the Python of ``environment``."""
    return environment / "bin" / "python"


def worker_variables() -> dict[str, str]:
    """Return the process environment of the worker: the same on every machine.

    No variable of the caller's may change what vLLM says, so only what a process needs to run
    is handed on. HF_HUB_OFFLINE stays unset: with it, EngineArgs looks the model up in a cache.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | {
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONUTF8": "1",
        # Without it vLLM looks for a GPU driver and ends with an unspecified device.
        "VLLM_TARGET_DEVICE": "cpu",
        "VLLM_PLUGINS": "",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
    }


def install(version: str) -> Path:
    """Return the environment for ``version``, building it first if it is not there."""
    environment = environment_path(version)
    if environment.is_dir():
        return environment
    with _one_builder(version):
        if environment.is_dir():  # another process was building it
            return environment
        # Whole or absent: it is built under another name, asked one question, then renamed.
        partial = environment.with_name(f".{environment.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        _build(version, partial)
        partial.rename(environment)
    _say(f"vLLM {version}: ready in {environment.relative_to(REPOSITORY)}")
    return environment


def _build(version: str, target: Path) -> None:
    uv = shutil.which("uv")
    if uv is None:
        raise InstallError(
            "uv is not on PATH, and it installs the dependencies; see https://docs.astral.sh/uv/"
        )
    with _step(f"vLLM {version}: dependencies"):
        _run([uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(target)])
        # The lock is complete, so nothing is left to resolve, and torch cannot slip in.
        _run([uv, "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:",
              "--python", str(interpreter(target)), "-r", str(lock_file(version))])  # fmt: skip
    with tempfile.TemporaryDirectory(dir=target) as folder:
        with _step(f"vLLM {version}: wheel"):
            wheel = download_wheel(version, interpreter(target), Path(folder))
        with _step(f"vLLM {version}: its Python files"):
            _unpack(wheel, next((target / "lib").glob("python*/site-packages")))
    with _step(f"vLLM {version}: the parser accepts an empty list"):
        _run([str(interpreter(target)), "-m", WORKER], given="[]\n", variables=worker_variables())


def download_wheel(version: str, python: Path, folder: Path) -> Path:
    """Download the pinned wheel of ``version`` into ``folder`` with the pip of ``python``."""
    # --no-cache-dir: 336 MB for 12 MB of use; the environment itself is the cache.
    # --platform: only its Python files are wanted, so any machine may take the x86-64 wheel.
    _run([str(python), "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
          "--no-cache-dir", "--no-deps", "--only-binary", ":all:",
          "--platform", "manylinux_2_28_x86_64", "--require-hashes",
          "-r", str(wheel_file(version)), "-d", str(folder)])  # fmt: skip
    return next(folder.glob("*.whl"))


def _unpack(wheel: Path, site_packages: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            # METADATA, since importlib.metadata is asked for vLLM's version.
            if name.endswith(_KEPT_SUFFIXES) or name.endswith(".dist-info/METADATA"):
                archive.extract(name, site_packages)


def _run(command: list[str], given: str = "", variables: dict[str, str] | None = None) -> None:
    try:
        ended = subprocess.run(
            command,
            input=given,
            env=variables,
            capture_output=True,
            text=True,
            timeout=_STEP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise InstallError(
            f"`{' '.join(command)}` had not ended after {_STEP_SECONDS} s; run it again"
        ) from late
    if ended.returncode != 0:
        last = "\n".join((ended.stderr or ended.stdout).strip().splitlines()[-15:])
        raise InstallError(f"`{' '.join(command)}` ended with {ended.returncode}:\n{last}")


@contextlib.contextmanager
def _one_builder(version: str) -> Iterator[None]:
    """Hold the other processes that want ``version`` back: pytest-xdist starts several."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"vllm-parser-{version}.building").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _step(what: str) -> Iterator[None]:
    _say(f"{what} ...")
    began = time.monotonic()
    yield
    _say(f"{what}: {time.monotonic() - began:.1f} s")


def _say(line: str) -> None:
    # stderr: stdout belongs to the answers of `check`, which may have to install first.
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Build the environments named on the command line, or all of them."""
    parser = argparse.ArgumentParser(prog="install", description=__doc__.splitlines()[0])
    parser.add_argument("versions", nargs="*", default=VERSIONS, metavar="VERSION")
    try:
        for version in parser.parse_args().versions:
            print(install(version))
    except InstallError as error:
        print(f"install: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
