"""The stand-in's library, and a file for each machine that tests want to be on."""

import sys
from pathlib import Path

from nvml import FakeCard, build, write  # type: ignore[import-not-found]

L4 = {"name": "NVIDIA L4", "total_mib": 23034, "reserved_mib": 470}

folder = Path(sys.argv[1])
folder.mkdir(parents=True)
build(folder)
write(folder / "free.conf", FakeCard(**L4))
write(
    folder / "busy.conf",
    FakeCard(**L4, used_mib=15000, processes=((4711, 15000, "/usr/bin/python3"),)),
)
write(folder / "other.conf", FakeCard(name="NVIDIA GeForce RTX 3080"))
write(folder / "old-driver.conf", FakeCard(**L4), driver="535.104.05")
