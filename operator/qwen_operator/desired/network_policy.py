"""Who may talk to the model pods, and whom they may talk to."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from qwen_contract import pod
from qwen_operator import naming
from qwen_operator.api.v1alpha1 import Source
from qwen_operator.desired.metadata import Object, build_object, build_selector
from qwen_operator.desired.wanted import Wanted
from qwen_operator.errors import InvalidInput

_DNS_PORT: Final = 53
_SCHEME_PORTS: Final = {"http": 80, "https": 443}
_DEFAULT_FETCH_PORT: Final = 443


def build_network_policy(wanted: Wanted) -> Object | None:
    """Requests from the namespace, the launcher for operator and scraper, out only to fetch."""
    if not wanted.rows:
        return None
    return build_object(wanted, "networking.k8s.io/v1", "NetworkPolicy") | {
        "spec": {
            "podSelector": {"matchLabels": build_selector(wanted)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": _build_ingress(wanted.settings.operator_namespace),
            **_build_egress(wanted.spec.source),
        }
    }


def _build_ingress(operator_namespace: str) -> list[Object]:
    return [
        {
            "from": [{"podSelector": {}}, _namespaces_with(naming.CLIENT_LABEL, "true")],
            "ports": [_tcp(pod.HTTP_PORT)],
        },
        {
            "from": [
                _namespaces_with("kubernetes.io/metadata.name", operator_namespace)
                | {"podSelector": {"matchLabels": {naming.NAME_LABEL: naming.PRODUCT}}},
                _namespaces_with(naming.SCRAPER_LABEL, "true"),
            ],
            "ports": [_tcp(pod.LAUNCHER_PORT)],
        },
    ]


def _build_egress(source: Source) -> Object:
    """Nothing at all when the weights are there already: the API server drops an empty list."""
    ports = _fetch_ports(source)
    if not ports:
        return {}
    dns: list[Object] = [{"port": _DNS_PORT, "protocol": kind} for kind in ("UDP", "TCP")]
    return {
        "egress": [
            {"ports": dns},
            {"to": _build_anywhere(), "ports": [_tcp(port) for port in ports]},
        ]
    }


def _build_anywhere() -> list[Object]:
    return [
        # Link-local addresses give cloud credentials to whoever asks.
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
        {"ipBlock": {"cidr": "::/0", "except": ["fd00:ec2::254/128", "fe80::/10"]}},
        # Some network plug-ins match no pod by its address: a mirror in the cluster needs this.
        {"namespaceSelector": {}},
    ]


def _fetch_ports(source: Source) -> tuple[int, ...]:
    """Ports of hub and proxy. 443 stays open beside an own endpoint: hubs redirect to a store."""
    if source.persistent_volume_claim is not None or source.host_path is not None:
        return ()
    addresses = {
        "spec.source.huggingFace.endpoint": source.hugging_face and source.hugging_face.endpoint,
        "spec.source.modelScope.endpoint": source.model_scope and source.model_scope.endpoint,
        "spec.source.proxy.httpProxy": source.proxy and source.proxy.http_proxy,
        "spec.source.proxy.httpsProxy": source.proxy and source.proxy.https_proxy,
    }
    ports = {_port_of(field, address) for field, address in addresses.items() if address}
    return tuple(sorted(ports | {_DEFAULT_FETCH_PORT}))


def _port_of(field: str, address: str) -> int:
    try:
        parts = urlsplit(address)
        return parts.port or _SCHEME_PORTS[parts.scheme]
    except ValueError as error:
        raise InvalidInput(
            field, address, f"it is no address ({error})", "write it as in https://host:443"
        ) from None


def _tcp(port: int) -> Object:
    return {"port": port, "protocol": "TCP"}


def _namespaces_with(label: str, value: str) -> Object:
    return {"namespaceSelector": {"matchLabels": {label: value}}}
