"""Build the programs of a cluster from Go modules, once for each set of pins."""

from collections.abc import Iterable
from pathlib import Path

from e2e.cluster.commands import run
from e2e.cluster.go_toolchain import find_go
from e2e.cluster.paths import CACHE, GO_MODULES, hash_files, whole_or_nothing
from e2e.cluster.progress import Progress
from e2e.cluster.versions import BINARIES, Binary, kubernetes_version, sources

_SETTINGS = {
    "CGO_ENABLED": "0",
    # Another go.work or -mod from the environment would build something else than the pins say.
    "GOWORK": "off",
    "GOFLAGS": "-buildvcs=false",
}


def build_binaries(names: Iterable[str], progress: Progress) -> dict[str, Path]:
    """Paths of the named programs; those that the cache lacks are built."""
    wanted = set(names)
    binaries = [binary for binary in BINARIES if binary.name in wanted]
    go = find_go(progress)
    paths = _cached_paths(go, binaries)
    missing = [binary for binary in binaries if not paths[binary.name].exists()]
    progress.plan(len(missing))
    for binary in missing:
        with (
            progress.step(f"build {binary.name}", expected=f"{binary.expected} the first time"),
            whole_or_nothing(paths[binary.name]) as unfinished,
        ):
            run(
                [
                    *(go, "build", "-trimpath", f"-ldflags={_link_flags(binary)}"),
                    *("-o", unfinished, binary.package),
                ],
                folder=GO_MODULES / binary.module,
                environment=_SETTINGS,
            )
    return paths


def _cached_paths(go: str, binaries: Iterable[Binary]) -> dict[str, Path]:
    go_version = run([go, "env", "GOVERSION", "GOARCH"], folder=GO_MODULES / "pause")
    paths = {}
    for binary in binaries:
        key = hash_files(sources(binary.module), go_version, binary.package, _link_flags(binary))
        paths[binary.name] = CACHE / "bin" / key / binary.name
    return paths


def _link_flags(binary: Binary) -> str:
    """Linker flags: no symbols; for Kubernetes the version, or its parts refuse each other."""
    flags = "-s -w"
    if binary.package.startswith("k8s.io/kubernetes/"):
        version = kubernetes_version()
        major, minor, _ = version.removeprefix("v").split(".")
        for name, value in (("Version", version), ("Major", major), ("Minor", minor)):
            flags += f" -X k8s.io/component-base/version.git{name}={value}"
    return flags
