"""Persistent volumes of the node: folders of its own, found through a default StorageClass.

They are made beforehand, for every provisioner needs a registry to come from. What a claim left
behind is wiped, and its volume offered again, at the next `up`.
"""

import shutil
from pathlib import Path
from typing import Final

from e2e.cluster.api import MERGE_PATCH, Api, Object

STORAGE_CLASS: Final = "local"

_COUNT: Final = 32
_CAPACITY: Final = "1Ti"
"""Nothing is measured or reserved, so a claim of any size finds a volume."""
_MODE: Final = 0o770
"""Model pods run as some user of group 0."""


async def offer_volumes(api: Api, folder: Path, inside: str, node: str) -> None:
    """Have the class and its volumes: folders in `folder`, which the node sees at `inside`."""
    await api.apply(_build_class())
    found = {each["metadata"]["name"]: each for each in await api.list("v1", "PersistentVolume")}
    for number in range(_COUNT):
        name = f"{STORAGE_CLASS}-{number:02}"
        phase = found.get(name, {}).get("status", {}).get("phase")
        place = folder / name
        if phase == "Released":
            shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(_MODE)
        volume = _build_volume(name, f"{inside}/{name}", node)
        if phase is None:
            await api.apply(volume)
        elif phase == "Released":
            freed = {"spec": {"claimRef": None}}
            await api.request("PATCH", await api.path_of(volume), freed, content_type=MERGE_PATCH)


def _build_class() -> Object:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "reclaimPolicy": "Retain",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def _build_volume(name: str, path: str, node: str) -> Object:
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": STORAGE_CLASS,
            "capacity": {"storage": _CAPACITY},
            # On one node, many pods may share a folder.
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": path},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }
