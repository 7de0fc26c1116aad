"""A stand-in for server-side apply: the object with defaults, and the record of who owns what."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from qwen_operator.desired.metadata import Object

_LIST_KEYS = (
    ("uid",),
    ("containerPort", "protocol"),
    ("mountPath",),
    ("topologyKey", "whenUnsatisfiable"),
    ("name",),
)
_ATOMIC = ("nodeSelectorTerms", "tolerations", "command", "args", "drop", "nodeSelector")


def apply(wanted: Object, manager: str = "qwen-operator") -> Object:
    """What the API server holds after ``wanted`` was applied to nothing."""
    live = deepcopy(wanted)
    pod = live["spec"]["template"]["spec"]
    pod |= {"dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "serviceAccount": "chat"}
    pod.setdefault("schedulerName", "default-scheduler")
    for container in (*pod["containers"], *pod["initContainers"]):
        container["terminationMessagePath"] = "/dev/termination-log"
        container.setdefault("imagePullPolicy", "IfNotPresent")
    live["metadata"] |= {"generation": 1, "resourceVersion": "7"}
    live["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "1"
    live["status"] = {"replicas": 1}
    fields = _fields({key: wanted[key] for key in ("metadata", "spec")})
    for identity in ("f:name", "f:namespace"):
        del fields["f:metadata"][identity]
    live["metadata"]["managedFields"] = [
        {"manager": manager, "operation": "Apply", "fieldsV1": fields},
        {
            "manager": "kube-controller-manager",
            "operation": "Update",
            "subresource": "status",
            "fieldsV1": {"f:status": {"f:replicas": {}}},
        },
    ]
    return live


def edit(live: Object, path: tuple[Any, ...], field: str, value: Any) -> Object:
    """What it holds after somebody has edited a field that we own: it is not ours any more."""
    edited = deepcopy(live)
    target: Any = edited
    fields: Any = edited["metadata"]["managedFields"][0]["fieldsV1"]
    for part in path:
        key = _key_of(target[part]) if isinstance(part, int) else f"f:{part}"
        fields = fields[key]
        target = target[part]
    target[field] = value
    del fields[f"f:{field}"]
    return edited


def _key_of(item: Object) -> str:
    keys = next(keys for keys in _LIST_KEYS if all(key in item for key in keys))
    return "k:" + json.dumps({key: item[key] for key in keys}, separators=(",", ":"))


def _fields(value: Any, name: str = "") -> Object:
    if name in _ATOMIC:
        return {}
    if isinstance(value, dict):
        return {f"f:{key}": _fields(each, key) for key, each in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return {_key_of(item): {".": {}, **_fields(item)} for item in value}
    return {}
