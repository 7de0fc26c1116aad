"""NVML without a GPU, for tests and test images: `nvml.c`, compiled, and the file it answers from.

The launcher's own NVML code runs against it: put the library's folder into LD_LIBRARY_PATH and the
file's path into QWEN_NVML_FILE.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LIBRARY: Final = "libnvidia-ml.so.1"
FILE_VARIABLE: Final = "QWEN_NVML_FILE"

_SOURCE: Final = Path(__file__).with_name("nvml.c")
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeCard:
    """What NVML tells of one card; a 4090 unless told otherwise."""

    name: str = "NVIDIA GeForce RTX 4090"
    uuid: str = "GPU-00000000-0000-0000-0000-000000000000"
    compute_capability: str = "8.9"
    total_mib: int = 24564
    reserved_mib: int = 480
    used_mib: int = 1
    utilization: int = 0
    temperature: int = 40
    power_milliwatts: int = 20_000
    power_limit_milliwatts: int = 450_000
    width: int = 16
    max_width: int = 16
    throttle: int = 0
    """Bits, as NVML's clocks event reasons."""
    mig: int = 0
    lost: bool = False
    processes: tuple[tuple[int, int, str], ...] = ()
    """Process id, MiB, name; no name for a process that the pod cannot see."""
    xids: tuple[int, ...] = ()


def compiler() -> str | None:
    """A C compiler of this machine."""
    return shutil.which("cc") or shutil.which("gcc")


def build(folder: Path) -> Path:
    """Compile the library into a folder. Raises CalledProcessError; needs a `compiler`."""
    library = folder / LIBRARY
    command = [str(compiler()), "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*command, "-o", str(library), str(_SOURCE), "-lpthread"], check=True)  # noqa: S603
    return library


def write(file: Path, *cards: FakeCard, driver: str = "580.95.05") -> None:
    """The machine as it is from now on: replaced at once, for launchers that are reading."""
    lines = [f"driver={driver}"]
    for card in cards:
        lines += [
            "[card]",
            f"name={card.name}",
            f"uuid={card.uuid}",
            f"compute_capability={card.compute_capability}",
            f"total={card.total_mib * _MIB}",
            f"reserved={card.reserved_mib * _MIB}",
            f"used={card.used_mib * _MIB}",
            f"utilization={card.utilization}",
            f"temperature={card.temperature}",
            f"power={card.power_milliwatts}",
            f"power_limit={card.power_limit_milliwatts}",
            f"width={card.width}",
            f"max_width={card.max_width}",
            "generation=4",
            "max_generation=4",
            f"throttle={card.throttle}",
            f"mig={card.mig}",
            f"lost={int(card.lost)}",
            *(f"process={pid} {mib * _MIB} {name}".rstrip() for pid, mib, name in card.processes),
            *(f"xid={xid}" for xid in card.xids),
        ]
    temporary = file.with_suffix(".new")
    temporary.write_text("\n".join(lines) + "\n")
    temporary.replace(file)
