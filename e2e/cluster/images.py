"""Build images from our Dockerfiles, once for each content.

Without an engine and a registry, buildah builds them on a base of our own and the result goes to
containerd. For a cluster of the user's own, the user's engine builds on the public base and pushes.
"""

import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from e2e.cluster.commands import run
from e2e.cluster.debian import IMAGE_PACKAGES, mount_packages, unpack_packages
from e2e.cluster.errors import MissingTool
from e2e.cluster.oci import write_image
from e2e.cluster.paths import CACHE, REPOSITORY, exclusive, hash_files, whole_or_nothing
from e2e.cluster.progress import Progress

LOCAL_NAMES: Final = "localhost/qwen-e2e"

_ENGINES: Final = ("docker", "podman", "buildah")

_SUITE: Final = "bookworm"
_MIRROR: Final = "http://deb.debian.org/debian"
_BASE_CONTENT: Final = ("ca-certificates", "python3", "python3-venv")
"""What our base shares with the public Python image: an interpreter that can install packages."""

_LOCK: Final = CACHE / "images.lock"
_AUTHORITIES: Final = "/etc/ssl/certs/ca-certificates.crt"

_IGNORED: Final = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


@dataclass(frozen=True)
class Image:
    """An image of this repository. Its Dockerfile takes the base image as the argument BASE."""

    name: str
    dockerfile: Path
    content: tuple[str, ...]
    """Files and folders that the Dockerfile copies, from the top of the repository."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    expected: str = ""
    """How long a build takes, when that is long."""

    def key(self, base: str) -> str:
        """Changes with anything that goes into the image."""
        extra = [base, *(f"{name}={value}" for name, value in sorted(self.arguments.items()))]
        with self.context() as folder:
            files = [file for file in folder.rglob("*") if file.is_file()]
            extra += sorted(str(file.relative_to(folder)) for file in files)
            return hash_files(files, *extra)

    @contextmanager
    def context(self) -> Iterator[Path]:
        """A folder with the Dockerfile and its content, and nothing else that could slip in."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            shutil.copyfile(self.dockerfile, folder / "Dockerfile")
            for name in self.content:
                source, target = REPOSITORY / name, folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if source.is_dir():
                    shutil.copytree(source, target, ignore=_IGNORED)
                else:
                    shutil.copy(source, target)
            yield folder


ECHO: Final = Image(
    "echo", REPOSITORY / "e2e/images/echo/Dockerfile", ("e2e/images/echo/server.py",)
)


def build_archive(image: Image, progress: Progress) -> tuple[str, Path]:
    """Reference and archive of the image, built on a base of our own."""
    base = _build_base(progress)
    key = image.key(base[0])
    reference = f"{LOCAL_NAMES}/{image.name}:{key}"
    archive = CACHE / "images" / f"{image.name}-{key}.tar"
    if not archive.exists():
        # Whoever waits finds the archive: two builds at a time would each take twice as long.
        with exclusive(_LOCK):
            if not archive.exists():
                _build(image, reference, archive, base, progress)
    return reference, archive


def _build(
    image: Image, reference: str, archive: Path, base: tuple[str, Path], progress: Progress
) -> None:
    progress.plan(1)
    with (
        progress.step(f"build image {image.name}", expected=image.expected),
        image.context() as context,
        whole_or_nothing(archive) as unfinished,
        _buildah_storage() as buildah,
    ):
        arguments = {**image.arguments, "BASE": base[0]}
        build = [*buildah, "build", "--isolation", "chroot", "--tag", reference]
        # Package registries may be behind a proxy whose authority only this machine trusts.
        if Path(_AUTHORITIES).exists():
            build += ["--volume", f"{_AUTHORITIES}:{_AUTHORITIES}:ro"]
        for name, value in arguments.items():
            build += ["--build-arg", f"{name}={value}"]
        _run_with_packages(
            [
                [*buildah, "pull", "--quiet", f"docker-archive:{base[1]}"],
                [*build, str(context)],
                [
                    *(*buildah, "push", "--quiet", reference),
                    f"docker-archive:{unfinished}:{reference}",
                ],
            ],
            progress,
        )


def build_and_push(image: Image, registry: str, progress: Progress) -> str:
    """Build with the user's engine on the public base, push, and return the reference."""
    engine = next(filter(None, map(shutil.which, _ENGINES)), None)
    if engine is None:
        raise MissingTool(f"none of {', '.join(_ENGINES)} is installed to build images with")
    reference = f"{registry}/{image.name}:{image.key('public')}"
    arguments = [
        word
        for name, value in image.arguments.items()
        for word in ("--build-arg", f"{name}={value}")
    ]
    progress.plan(1)
    with progress.step(f"build and push {reference}"), image.context() as context:
        run([engine, "build", "--tag", reference, *arguments, context])
        run([engine, "push", reference])
    return reference


def _build_base(progress: Progress) -> tuple[str, Path]:
    """A Debian with Python, which stands in for the public Python image."""
    key = hash_files([], _SUITE, _MIRROR, *_BASE_CONTENT)
    reference = f"{LOCAL_NAMES}/base:{key}"
    archive = CACHE / "images" / f"base-{key}.tar"
    if archive.exists():
        return reference, archive
    progress.plan(1)
    with (
        progress.step("build the base image", expected="1 min"),
        whole_or_nothing(archive) as unfinished,
    ):
        root = unfinished.with_name("root")
        layer = unfinished.with_name("layer.tar")
        _run_with_packages(
            [
                [
                    *("debootstrap", "--variant=minbase"),
                    *(f"--include={','.join(_BASE_CONTENT)}", _SUITE, str(root), _MIRROR),
                ],
                ["rm", "-rf", f"{root}/var/cache/apt", f"{root}/var/lib/apt/lists"],
                [
                    *("tar", "--create", "--numeric-owner", "--one-file-system"),
                    *("--file", str(layer), "--directory", str(root), "."),
                ],
            ],
            progress,
        )
        settings = {"Cmd": ["python3"], "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]}
        write_image(unfinished, reference, layer, settings)
    return reference, archive


@contextmanager
def _buildah_storage() -> Iterator[list[str]]:
    """Command line of buildah with storage that is gone afterwards; the archive is what counts."""
    CACHE.mkdir(parents=True, exist_ok=True)
    # Not below /tmp, which may be held in memory, and images are large.
    with tempfile.TemporaryDirectory(prefix="buildah-", dir=CACHE) as scratch:
        yield [
            "buildah",
            *("--root", f"{scratch}/root", "--runroot", f"{scratch}/run"),
            *("--storage-driver", "overlay"),
        ]


def _run_with_packages(commands: Sequence[Sequence[str]], progress: Progress) -> None:
    """Run commands one after the other where buildah and debootstrap are to be found."""
    mounts = mount_packages(unpack_packages(IMAGE_PACKAGES, progress))
    script = "\n".join(["set -e", *mounts, *map(shlex.join, commands)])
    with tempfile.NamedTemporaryFile("w", prefix="qwen-e2e-", suffix=".sh") as file:
        # A file, so that the message about a failure shows what failed and not all that was to do.
        file.write(script)
        file.flush()
        # Mounts that a build leaves go with its namespace.
        run(["unshare", "--mount", "sh", file.name])
