"""Take the CUDA half out of PyPI's torch, which is a CUDA build and needs it only to be loaded.

The CUDA kernels and the wrappers around NVIDIA's libraries go: half of torch, and all that needs
2 GB of nvidia wheels. What is left asks the linker for some hundred symbols of theirs. They come
from libraries of the same names made here; a function in them says its name and aborts, and none
is called on a machine without a GPU. Usage: stub_cuda.py, with the interpreter that has torch;
needs gcc.
"""

import re
import subprocess
import sysconfig
import tempfile
from pathlib import Path

CUDA_ONLY = (
    "libtorch_cuda.so",
    "libtorch_cuda_linalg.so",
    "libtorch_nvshmem.so",
    "libcaffe2_nvrtc.so",
)
HOST = "libtorch_cuda.so"
"""Every missing symbol goes here: where the linker finds it does not matter."""
SLOT_GETTERS = ("_ZN4c10d15get_gil_checkerEv",)
"""Called while torch is imported: each returns a place to write a function's address to."""
OPTIONS = "_ZN4c10d16ProcessGroupNCCL7OptionsC1Eb"
"""A constructor that is called then too, for a default argument: pybind11 asks for the type."""
OPTIONS_TYPE = "_ZTIN4c10d16ProcessGroupNCCL7OptionsE"
TYPE_INFO = "_ZTI"
VIRTUAL_TABLE = "_ZTV"
DIE = """\
int dprintf(int, const char *, ...);
void abort(void);
static void die(const char *name) { dprintf(2, "no CUDA here: %s\\n", name); abort(); }
extern const void *const _ZTVN10__cxxabiv117__class_type_infoE[];
"""


def run(*command: str | Path) -> str:
    """Output of a program that must succeed."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    return done.stdout


def needed(library: Path) -> set[str]:
    """Names of the libraries that the linker loads for this one."""
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-dW", library)))


def symbols(library: Path) -> tuple[set[str], set[str]]:
    """What a library defines, and what must be defined when it is loaded."""
    defined: set[str] = set()
    undefined: set[str] = set()
    for line in run("nm", "--dynamic", library).splitlines():
        kind, name = line.split()[-2:]
        (undefined if kind == "U" else defined).add(name.partition("@")[0])
    return defined, undefined


def on_the_system() -> dict[str, Path]:
    """Libraries that the linker finds by itself."""
    lines = (line.partition(" => ") for line in run("/sbin/ldconfig", "-p").splitlines())
    return {name.split()[0]: Path(path) for name, _, path in lines if path}


def stub(symbol: str) -> str:
    """C code of one symbol."""
    if symbol.startswith(TYPE_INFO):
        # pybind11 registers classes by the name in their type information.
        name = symbol.removeprefix(TYPE_INFO)
        table = "_ZTVN10__cxxabiv117__class_type_infoE + 2"
        return f'const void *const {symbol}[] = {{{table}, "{name}"}};'
    if symbol in SLOT_GETTERS:
        return f"void *{symbol}(void) {{ static void *slot; return &slot; }}"
    if symbol == OPTIONS:
        methods = ", ".join(8 * ["nothing"])
        return f"""\
extern const void *const {OPTIONS_TYPE}[];
static void nothing(void) {{}}
static const void *const table[] = {{0, {OPTIONS_TYPE}, {methods}}};
void {symbol}(const void **self) {{ self[0] = table + 2; self[1] = 0; }}"""
    if symbol.startswith(VIRTUAL_TABLE):
        return f"const void *const {symbol}[64] = {{0}};"
    return f'void {symbol}(void) {{ die("{symbol}"); }}'


def link(target: Path, code: str) -> None:
    """Compile a library."""
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "stub.c")
        source.write_text(code)
        options = ["-shared", "-fPIC", "-O1", "-w", "-fno-builtin", f"-Wl,-soname,{target.name}"]
        run("gcc", *options, "-o", target, source)


def main(site: Path) -> None:
    """Replace CUDA in torch of these site-packages."""
    folder = site / "torch" / "lib"
    for name in CUDA_ONLY:
        (folder / name).unlink()
    ours = [*folder.glob("lib*.so*"), *(site / "torch").glob("_C.*.so")]
    beside = {file.name: file for file in [*ours, *site.glob("nvidia/*/lib/lib*.so*")]}
    system = on_the_system()
    wanted = set().union(*map(needed, ours))
    missing = {name for name in wanted if name not in beside and name not in system}
    present = {*beside.values(), *(system[name] for name in wanted if name in system)}
    defined: set[str] = set()
    undefined: set[str] = set()
    for library in present:
        defined |= symbols(library)[0]
    for library in ours:
        undefined |= symbols(library)[1]
    # The interpreter itself defines these.
    absent = sorted(name for name in undefined - defined if not name.startswith(("Py", "_Py")))
    for name in sorted(missing):
        link(folder / name, DIE + "\n".join(map(stub, absent)) if name == HOST else "")
    print(f"{len(absent)} symbols in {HOST}; empty: {' '.join(sorted(missing - {HOST}))}")


if __name__ == "__main__":
    main(Path(sysconfig.get_path("platlib")))
