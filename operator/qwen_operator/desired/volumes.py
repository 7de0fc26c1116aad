"""The volumes of a model pod, and where each is mounted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from qwen_contract import pod
from qwen_operator import naming
from qwen_operator.api.v1alpha1 import CacheType, Source
from qwen_operator.desired.metadata import Object
from qwen_operator.desired.plan_config_map import plan_config_map_name
from qwen_operator.desired.quantities import canonical_quantity, format_bytes_quantity
from qwen_operator.desired.volume_claim import plan_cache_bytes
from qwen_operator.desired.wanted import Wanted
from qwen_operator.units import GIB

LAUNCHER_VOLUME: Final = "launcher"
PLAN_VOLUME: Final = "plan"
_TMP_VOLUME: Final = "tmp"
_CACHE_VOLUME: Final = "cache"
_SOURCE_VOLUME: Final = "source"

_LAUNCHER_BYTES: Final = 64 << 20
_SCRATCH_BYTES: Final = 4 * GIB
"""Sockets, images of requests, scratch files of compilers. A pod that needs more is evicted before
it fills its node."""
_READ_ONLY_FILE: Final = 0o444


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One volume and its place in the model container."""

    name: str
    path: str
    source: Object
    read_only: bool = False

    def as_volume(self) -> Object:
        """The entry in the pod's list of volumes."""
        return {"name": self.name, **self.source}

    def as_mount(self) -> Object:
        """The entry in the container's list of mounts."""
        mount: Object = {"name": self.name, "mountPath": self.path}
        return mount | {"readOnly": True} if self.read_only else mount


def build_mounts(wanted: Wanted, shared_memory: str) -> tuple[Mount, ...]:
    """Every volume; ``shared_memory`` is a quantity and counts as memory of the container."""
    config_map = {"name": plan_config_map_name(wanted), "defaultMode": _READ_ONLY_FILE}
    return (
        Mount(
            name=LAUNCHER_VOLUME,
            path=pod.LAUNCHER_FOLDER,
            source=_empty_dir(format_bytes_quantity(_LAUNCHER_BYTES)),
            read_only=True,
        ),
        Mount(
            name=PLAN_VOLUME,
            path=pod.PLAN_FOLDER,
            source={"configMap": config_map},
            read_only=True,
        ),
        Mount(
            name="shm",
            path="/dev/shm",  # noqa: S108 where NCCL and vLLM's workers look for it
            source={"emptyDir": {"medium": "Memory", "sizeLimit": shared_memory}},
        ),
        Mount(
            name=_TMP_VOLUME,
            path="/tmp",  # noqa: S108 the pod's own
            source=_empty_dir(format_bytes_quantity(_SCRATCH_BYTES)),
        ),
        Mount(name=_CACHE_VOLUME, path=pod.CACHE_FOLDER, source=_build_cache(wanted)),
        *_build_source(wanted),
    )


def build_weights_mounts(mounts: tuple[Mount, ...], wanted: Wanted) -> tuple[Mount, ...]:
    """Those of a pod's volumes that the weights' init container works on."""
    used = (_TMP_VOLUME, _CACHE_VOLUME, _SOURCE_VOLUME)
    return (
        *(replace(mount, read_only=False) for mount in mounts if mount.name == LAUNCHER_VOLUME),
        *(mount for mount in mounts if mount.name in used),
        *build_ca_bundle(wanted),
    )


def build_ca_bundle(wanted: Wanted) -> tuple[Mount, ...]:
    """Certificate authorities of the user's own, which only the fetch step trusts."""
    bundle = wanted.spec.source.ca_bundle
    if bundle is None:
        return ()
    source = {"configMap": {"name": bundle.config_map, "defaultMode": _READ_ONLY_FILE}}
    return (Mount(name="ca", path=pod.CA_BUNDLE_FOLDER, source=source, read_only=True),)


def ca_bundle_file(source: Source) -> str | None:
    """Path of those authorities in the container."""
    bundle = source.ca_bundle
    return None if bundle is None else f"{pod.CA_BUNDLE_FOLDER}/{bundle.key}"


def _build_cache(wanted: Wanted) -> Object:
    cache = wanted.spec.cache
    match cache.type:
        case CacheType.PERSISTENT_VOLUME_CLAIM:
            claim = cache.claim_name or naming.cache_claim_name(wanted.name)
            return {"persistentVolumeClaim": {"claimName": claim}}
        case CacheType.EMPTY_DIR:
            return _empty_dir(
                canonical_quantity(cache.size)
                if cache.size is not None
                else format_bytes_quantity(plan_cache_bytes(wanted.rows))
            )
        case CacheType.HOST_PATH:
            # Not DirectoryOrCreate: the kubelet makes a folder that only root may write to.
            return {"hostPath": {"path": cache.path, "type": "Directory"}}


def _build_source(wanted: Wanted) -> tuple[Mount, ...]:
    """Weights that lie somewhere already. The whole claim is mounted, for the folder of a model in
    a Hugging Face cache holds links that lead out of it."""
    source = wanted.spec.source
    if (claim := source.persistent_volume_claim) is not None:
        volume: Object = {
            "persistentVolumeClaim": {"claimName": claim.claim_name, "readOnly": True}
        }
    elif (folder := source.host_path) is not None:
        volume = {"hostPath": {"path": folder.path, "type": "Directory"}}
    else:
        return ()
    return (Mount(name=_SOURCE_VOLUME, path=pod.SOURCE_FOLDER, source=volume, read_only=True),)


def _empty_dir(size: str) -> Object:
    return {"emptyDir": {"sizeLimit": size}}
