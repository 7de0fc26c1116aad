"""Where clients connect."""

from __future__ import annotations

from qwen_contract import pod
from qwen_operator.desired.metadata import Object, build_object, build_selector
from qwen_operator.desired.wanted import Wanted


def build_service(wanted: Wanted) -> Object | None:
    """The model pods under the name of the owner; it stays while there are no replicas."""
    if not wanted.rows:
        return None
    return build_object(wanted, "v1", "Service") | {
        "spec": {
            "type": "ClusterIP",
            "selector": build_selector(wanted),
            "ports": [
                {
                    "name": pod.HTTP_PORT_NAME,
                    "port": pod.SERVICE_PORT,
                    "targetPort": pod.HTTP_PORT_NAME,
                    "protocol": "TCP",
                }
            ],
        }
    }
