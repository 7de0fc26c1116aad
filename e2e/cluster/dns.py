"""Cluster DNS: CoreDNS as a Deployment, found at the address that every pod is told."""

from typing import Any, Final

from e2e.cluster.api import Api, Object, eventually
from e2e.cluster.network import DNS_SERVICE, DOMAIN, REAL_NODE_LABEL

ARGUMENTS: Final = ("-conf", "/etc/coredns/Corefile")

_NAMESPACE: Final = "kube-system"
_NAME: Final = "coredns"
_LABELS: Final = {"k8s-app": "kube-dns"}
"""What NetworkPolicies everywhere select DNS by."""
_PORT: Final = 1053
"""Above 1023, so that the server needs no capability."""

# Names change while tests watch, so answers are kept only as long as a burst of questions lasts.
_COREFILE: Final = f""".:{_PORT} {{
    errors
    health
    ready
    kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
        pods insecure
        ttl 2
    }}
    cache 2
}}
"""


async def start(api: Api, image: str) -> None:
    """Apply the Deployment and what it needs, and return when it serves."""
    for wanted in _build_objects(image):
        await api.apply(wanted)

    async def available() -> bool:
        deployment = await api.get("apps/v1", "Deployment", _NAME, _NAMESPACE)
        status = deployment.get("status", {})
        return bool(
            status.get("observedGeneration") == deployment["metadata"]["generation"]
            and status.get("availableReplicas") == 1
            and status.get("updatedReplicas") == 1
        )

    await eventually(available, "cluster DNS is available", 60)


def _build_objects(image: str) -> list[Object]:
    def metadata(name: str, **more: Any) -> Object:
        return {"name": name, "namespace": _NAMESPACE, "labels": _LABELS, **more}

    role = "qwen-e2e:coredns"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(_NAME)},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": role},
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["services", "pods", "namespaces"],
                    "verbs": ["list", "watch"],
                },
                {
                    "apiGroups": ["discovery.k8s.io"],
                    "resources": ["endpointslices"],
                    "verbs": ["list", "watch"],
                },
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": role},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": role,
            },
            "subjects": [{"kind": "ServiceAccount", "name": _NAME, "namespace": _NAMESPACE}],
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata(_NAME),
            "data": {"Corefile": _COREFILE},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata("kube-dns"),
            "spec": {
                "clusterIP": DNS_SERVICE,
                "selector": _LABELS,
                "ports": [
                    {
                        "name": protocol.lower(),
                        "protocol": protocol,
                        "port": 53,
                        "targetPort": _PORT,
                    }
                    for protocol in ("UDP", "TCP")
                ],
            },
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata(_NAME),
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": _LABELS},
                "template": {
                    "metadata": {"labels": _LABELS},
                    "spec": _build_pod(image),
                },
            },
        },
    ]


def _build_pod(image: str) -> Object:
    return {
        "serviceAccountName": _NAME,
        "priorityClassName": "system-cluster-critical",
        # Otherwise its own questions would come back to it.
        "dnsPolicy": "Default",
        # A fake node would report it as healthy without running it.
        "nodeSelector": {REAL_NODE_LABEL: "true"},
        "containers": [
            {
                "name": _NAME,
                "image": image,
                "imagePullPolicy": "Never",
                "ports": [
                    {"name": "dns", "containerPort": _PORT, "protocol": "UDP"},
                    {"name": "dns-tcp", "containerPort": _PORT, "protocol": "TCP"},
                ],
                "readinessProbe": {
                    "httpGet": {"path": "/ready", "port": 8181},
                    "periodSeconds": 1,
                },
                "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                    "runAsNonRoot": True,
                },
                "volumeMounts": [
                    {"name": "configuration", "mountPath": "/etc/coredns", "readOnly": True}
                ],
            }
        ],
        "volumes": [{"name": "configuration", "configMap": {"name": _NAME}}],
    }
