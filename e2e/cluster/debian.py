"""Debian packages, unpacked into the cache and mounted over /usr and /etc where they are needed.

Nothing is installed: the machine's package database, services and alternatives stay as they are.
"""

import platform
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from e2e.cluster.commands import need, run
from e2e.cluster.paths import CACHE, hash_files, whole_or_nothing
from e2e.cluster.progress import Progress

NODE_PACKAGES: Final = (
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iptables",
    "conntrack",
)
IMAGE_PACKAGES: Final = ("buildah", "debootstrap")

_MERGED: Final = ("bin", "sbin", "lib", "lib64")
_ALTERNATIVES: Final = ("iptables", "ip6tables")


def unpack_packages(names: Iterable[str], progress: Progress) -> Path:
    """Folder with the files of the packages, and of those they need that the machine lacks."""
    wanted = sorted(names)
    os_release = Path("/etc/os-release")
    key = hash_files([os_release], platform.machine(), *wanted)
    target = CACHE / "debian" / key
    if target.exists():
        return target
    progress.plan(1)
    apt_get = need("apt-get", "a node needs Debian or Ubuntu; elsewhere set KUBECONFIG")
    with (
        progress.step(f"fetch Debian packages {' '.join(wanted)}"),
        whole_or_nothing(target) as unfinished,
    ):
        archives = unfinished.with_name("archives")
        (archives / "partial").mkdir(parents=True)
        run(
            [
                *(apt_get, "install", "--yes", "--no-install-recommends", "--download-only"),
                *("--option", f"Dir::Cache::archives={archives}", *wanted),
            ]
        )
        _unpack(sorted(archives.glob("*.deb")), unfinished)
    return target


def mount_packages(folder: Path) -> list[str]:
    """Shell commands that show the packages' files in a private mount namespace."""
    return [
        shlex.join(
            [
                *("mount", "-t", "overlay", "-o", f"ro,lowerdir={folder / part}:/{part}"),
                *("packages", f"/{part}"),
            ]
        )
        for part in ("usr", "etc")
    ]


def _unpack(archives: Iterable[Path], target: Path) -> None:
    for name in _MERGED:
        (target / "usr" / name).mkdir(parents=True)
        (target / name).symlink_to(f"usr/{name}")
    (target / "etc").mkdir()
    for archive in archives:
        # dpkg-deb -x would replace the links of a merged /usr by folders.
        unpack = 'dpkg-deb --fsys-tarfile "$1" | tar --extract --keep-directory-symlink -C "$2"'
        run(["sh", "-c", unpack, "sh", archive, target])
    # The packages' own scripts, which do not run here, would choose the variant.
    for name in _ALTERNATIVES:
        for action in ("", "-save", "-restore"):
            program = target / "usr" / "sbin" / f"{name}{action}"
            if (target / "usr" / "sbin" / "xtables-nft-multi").exists():
                program.symlink_to("xtables-nft-multi")
