"""Write an image of one layer without an engine: a tar file with a layer and two documents."""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def write_image(target: Path, reference: str, layer: Path, settings: Mapping[str, Any]) -> None:
    """Write a docker archive, which containerd and buildah both read.

    `settings` are the image's Entrypoint, Env, User and the like.
    """
    digest = _sha256(layer)
    document = {
        "architecture": _ARCHITECTURES[platform.machine()],
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": dict(settings),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": "1970-01-01T00:00:00Z"}],
    }
    config = json.dumps(document).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [reference], "Layers": ["layer.tar"]}]
    with tarfile.open(target, "w") as archive:
        _add(archive, "manifest.json", json.dumps(manifest).encode())
        _add(archive, config_name, config)
        archive.add(layer, "layer.tar")


def write_layer(target: Path, files: Mapping[str, Path]) -> None:
    """Write a layer that holds programs, by their path in the image."""
    with tarfile.open(target, "w") as layer:
        for name, source in files.items():
            entry = layer.gettarinfo(source, name.lstrip("/"))
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = "root"
            entry.mode = 0o755
            with source.open("rb") as content:
                layer.addfile(entry, content)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
