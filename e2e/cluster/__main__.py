"""Commands: python -m e2e.cluster build | up | down | status | env."""

import argparse
import os
import shlex
import sys

from e2e.cluster import versions
from e2e.cluster.build import build_binaries
from e2e.cluster.errors import HarnessError
from e2e.cluster.existing import ExistingCluster
from e2e.cluster.images import build_archive
from e2e.cluster.local import LocalCluster
from e2e.cluster.paths import DEFAULT_STATE, LOCK, exclusive
from e2e.cluster.progress import Progress
from e2e.images.product import NVML, OPERATOR, RUNTIME, VLLM_CPU


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 is success, 1 a failure that was explained."""
    parsed = _parser().parse_args(arguments)
    try:
        existing = ExistingCluster.from_environment(DEFAULT_STATE)
        if existing is not None:
            return _use_existing(existing, parsed.command)
        return _run_local(parsed.command, control_plane_only=parsed.control_plane_only)
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m e2e.cluster",
        description="A Kubernetes cluster on this machine, or the one that KUBECONFIG names.",
    )
    parser.add_argument(
        "command",
        choices=("build", "up", "down", "status", "env"),
        help="build: have programs and images ready; up: start what is missing; "
        "down: remove every trace but the cache; status: what runs; env: lines for eval in a shell",
    )
    parser.add_argument(
        "--control-plane-only",
        action="store_true",
        help="up without a node that runs pods; fake nodes work (needs no root)",
    )
    return parser


def _run_local(command: str, *, control_plane_only: bool) -> int:
    progress = Progress()
    cluster = LocalCluster(DEFAULT_STATE, progress)
    if command == "build":
        _build(progress)
    elif command == "up":
        with exclusive(LOCK):
            cluster.up(control_plane_only=control_plane_only)
        progress.say('up; in your shell: eval "$(uv run python -m e2e.cluster env)"')
    elif command == "down":
        with exclusive(LOCK):
            cluster.down()
        progress.say("down")
    elif command == "status":
        print("\n".join(cluster.status()))
    else:
        path = f"{cluster.tools}{os.pathsep}"
        print(f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")
        print(f"export PATH={shlex.quote(path)}$PATH")
    return 0


def _build(progress: Progress) -> None:
    """Everything that takes long, with a word on how long: tests say nothing while they wait."""
    images = (OPERATOR, RUNTIME, VLLM_CPU, NVML) if os.geteuid() == 0 else ()
    binaries = versions.CONTROL_PLANE + versions.TOOLS + versions.NODE
    build_binaries(binaries, progress)
    for image in images:
        build_archive(image, progress)


def _use_existing(cluster: ExistingCluster, command: str) -> int:
    if command == "env":
        print(f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")
    elif command == "down":
        print(f"{cluster.kubeconfig} names a cluster of your own, which stays as it is")
    else:
        print(cluster.describe())
    return 0


if __name__ == "__main__":
    sys.exit(main())
