"""The cluster that the harness makes itself: up, down, and what is running."""

import asyncio
import shutil
from collections.abc import Iterable
from pathlib import Path

from e2e.cluster import control_plane, kwok, node, versions
from e2e.cluster.api import Refused, connect
from e2e.cluster.build import build_binaries
from e2e.cluster.control_plane import ControlPlane
from e2e.cluster.errors import Unreachable
from e2e.cluster.images import Image, build_archive
from e2e.cluster.network import ALONE, WITH_NODE, Placement
from e2e.cluster.node import Node
from e2e.cluster.processes import Processes
from e2e.cluster.progress import Progress


class LocalCluster:
    """A cluster whose files and processes belong to one state folder."""

    def __init__(self, state: Path, progress: Progress, *, die_with_us: bool = False) -> None:
        self.state = state.resolve()
        self._processes = Processes(self.state, die_with_us=die_with_us)
        self.node = Node(self.state, self._processes)
        self._progress = progress

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of an administrator; it exists once the control plane has been started."""
        return self.state / "kubeconfig"

    @property
    def tools(self) -> Path:
        """Folder with kubectl and helm, for PATH."""
        return self.state / "bin"

    def up(self, *, control_plane_only: bool) -> ControlPlane:
        """Bring up whatever is missing; a node that runs already stays."""
        with_node = not control_plane_only or self.node.is_up()
        wanted = versions.CONTROL_PLANE + versions.TOOLS + (versions.NODE if with_node else ())
        self._progress.plan(control_plane.STEPS + kwok.STEPS + (node.STEPS if with_node else 0))
        binaries = build_binaries(wanted, self._progress)
        self.state.mkdir(parents=True, exist_ok=True)
        self._link_tools([binaries["kubectl"], binaries["helm"]])
        if with_node:
            # The API server listens on the link to the node, so that comes first.
            self.node.prepare(binaries, self._progress)
        started = self._start_control_plane(binaries, WITH_NODE if with_node else ALONE)
        if with_node:
            asyncio.run(self.node.start(started, self._progress))
        return started

    def load(self, image: Image) -> str:
        """Build the image, give it to the node, and return its reference."""
        reference, archive = build_archive(image, self._progress)
        self.node.load(reference, archive)
        return reference

    def down(self) -> None:
        """End every process and remove every trace but the cache; no error if nothing is up."""
        self._processes.kill_all()
        self.node.clean_up()
        if self.state.exists():
            shutil.rmtree(self.state)

    def status(self) -> list[str]:
        """A line for each process, and one for the API server."""
        processes = self._processes.running()
        if not processes:
            return ["nothing is running"]
        serves = self.kubeconfig.exists() and asyncio.run(self._serves())
        return [
            *(f"{process.name}: pid {process.pid}" for process in processes),
            f"the API server {'serves' if serves else 'does not answer'}",
        ]

    async def _serves(self) -> bool:
        try:
            async with connect(self.kubeconfig) as api:
                await api.request("GET", "/readyz")
        except (Refused, Unreachable):
            return False
        return True

    def _start_control_plane(self, binaries: dict[str, Path], placement: Placement) -> ControlPlane:
        plane = ControlPlane(self.state, binaries, self._processes, placement)
        asyncio.run(plane.start(self._progress))
        kwok.start_kwok(binaries["kwok"], plane, self._processes, self._progress)
        return plane

    def _link_tools(self, programs: Iterable[Path]) -> None:
        self.tools.mkdir(exist_ok=True)
        for program in programs:
            link = self.tools / program.name
            link.unlink(missing_ok=True)
            link.symlink_to(program)
