"""Whatever was started, and however far it came: `up` completes it, and `down` leaves no trace."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.commands import run
from e2e.cluster.debian import NODE_PACKAGES, mount_packages, unpack_packages
from e2e.cluster.errors import CommandFailed
from e2e.cluster.local import LocalCluster
from e2e.cluster.paths import CACHE, DEFAULT_STATE, exclusive
from e2e.cluster.progress import Silent

REPOSITORY = Path(__file__).parents[2]
SETTINGS = ("net/ipv4/ip_forward", "vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops")
PLACES = ("/run", "/run/netns", "/var/lib", "/var/log", "/etc", "/etc/cni", "/opt")


@pytest.fixture
def nothing_up() -> Iterator[None]:
    """Only where no cluster is up already: this test would take it down."""
    if LocalCluster(DEFAULT_STATE, Silent()).node.is_up():
        pytest.skip("a cluster is up, and this test would take it down")
    with exclusive(CACHE / "node-tests.lock"):
        yield


def cluster(verb: str) -> list[str]:
    return [sys.executable, "-m", "e2e.cluster", verb]


def start_and_kill(seconds: float) -> None:
    # On a fast machine it may be done before; that is one of the cases.
    with contextlib.suppress(CommandFailed):
        run(["timeout", "--signal=KILL", str(seconds), *cluster("up")], folder=REPOSITORY)


def traces() -> dict[str, object]:
    """Everything of the machine that a node could leave something in."""

    def lines(file: str) -> list[str]:
        return Path(file).read_text().splitlines()

    return {
        "mounts": sorted(line.split()[4] for line in lines("/proc/self/mountinfo")),
        "links": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "routes": sorted(lines("/proc/net/route")),
        "packet filter": rules_of_the_packet_filter(),
        "cgroups": sorted(str(path) for path in Path("/sys/fs/cgroup").glob("**/*qwen-e2e*")),
        "processes": sorted(our_processes()),
        "settings": {name: Path("/proc/sys", name).read_text() for name in SETTINGS},
        "places": {
            place: sorted(entry.name for entry in Path(place).iterdir())
            for place in PLACES
            if Path(place).is_dir()
        },
        "state": DEFAULT_STATE.exists(),
    }


def rules_of_the_packet_filter() -> list[str]:
    """Rules of the machine itself, asked with the node's program: the machine may have none."""
    mounts = mount_packages(unpack_packages(NODE_PACKAGES, Silent()))
    saved = run(["unshare", "--mount", "sh", "-ec", "\n".join([*mounts, "iptables-save"])])
    return [line for line in saved.splitlines() if line.startswith("-")]


def our_processes() -> Iterator[str]:
    """Every process that was started with this cluster's mark, and what containers run under.

    Tests beside this one may run control planes of their own, which are none of its business.
    """
    for folder in Path("/proc").iterdir():
        try:
            environment = (folder / "environ").read_bytes()
            program = str((folder / "exe").readlink())
        except OSError:
            continue
        marked = f"QWEN_E2E_STATE={DEFAULT_STATE}".encode() in environment
        if marked or "containerd-shim" in program:
            yield f"{folder.name} {program}"


@pytest.mark.node
@pytest.mark.parametrize("seconds", [1.0, 4.0, 7.0])
def test_up_goes_on_after_an_interruption_and_down_leaves_nothing(
    nothing_up: None, seconds: float
) -> None:
    before = traces()
    start_and_kill(seconds)
    run(cluster("up"), folder=REPOSITORY)
    during = traces()
    run(cluster("down"), folder=REPOSITORY)
    assert during != before
    assert traces() == before


@pytest.mark.node
def test_down_after_an_interruption_leaves_nothing(nothing_up: None) -> None:
    before = traces()
    start_and_kill(3)
    run(cluster("down"), folder=REPOSITORY)
    assert traces() == before
    run(cluster("down"), folder=REPOSITORY)


@pytest.mark.control_plane
def test_two_control_planes_are_strangers(tmp_path: Path) -> None:
    clusters = [LocalCluster(tmp_path / name, Silent(), die_with_us=True) for name in ("a", "b")]
    try:
        addresses = {one.up(control_plane_only=True).server for one in clusters}
        assert len(addresses) == 2
        assert all(one.status()[-1] == "the API server serves" for one in clusters)
        clusters[0].down()
        assert clusters[0].status() == ["nothing is running"]
        assert clusters[1].status()[-1] == "the API server serves"
    finally:
        for one in clusters:
            one.down()
