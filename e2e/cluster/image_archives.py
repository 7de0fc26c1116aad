"""Images of a single program, for the node's own needs."""

from collections.abc import Sequence
from pathlib import Path

from e2e.cluster.oci import write_image, write_layer
from e2e.cluster.paths import CACHE, hash_files, whole_or_nothing

REPOSITORY = "localhost/qwen-e2e"
_NOBODY = "65534:65534"


def program_image(name: str, program: Path, arguments: Sequence[str]) -> tuple[str, Path]:
    """Reference and archive of an image that holds one static program and nothing else."""
    key = hash_files([program], *arguments)
    reference = f"{REPOSITORY}/{name}:{key}"
    archive = CACHE / "images" / f"{name}-{key}.tar"
    if not archive.exists():
        with whole_or_nothing(archive) as unfinished:
            layer = unfinished.with_name("layer.tar")
            write_layer(layer, {f"/{name}": program})
            settings = {"Entrypoint": [f"/{name}", *arguments], "User": _NOBODY}
            write_image(unfinished, reference, layer, settings)
    return reference, archive
