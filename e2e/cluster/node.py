"""A node that runs pods: containerd and kubelet in a sealed machine, kube-proxy, CNI and DNS."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from e2e.cluster import dns
from e2e.cluster.api import JSON_PATCH, MERGE_PATCH, Api, connect, eventually
from e2e.cluster.control_plane import ControlPlane
from e2e.cluster.debian import NODE_PACKAGES, unpack_packages
from e2e.cluster.errors import CommandFailed, HarnessError
from e2e.cluster.gpus import RESOURCE, Gpu
from e2e.cluster.health import when_answers
from e2e.cluster.image_archives import program_image
from e2e.cluster.kwok import is_ready
from e2e.cluster.network import (
    DNS_SERVICE,
    DOMAIN,
    NODE_ADDRESS,
    POD_RANGE,
    REAL_NODE_LABEL,
)
from e2e.cluster.paths import CACHE, write_if_changed
from e2e.cluster.processes import Processes, Program
from e2e.cluster.progress import Progress
from e2e.cluster.sealed import CGROUP, SealedMachine
from e2e.cluster.volumes import offer_volumes

NAME: Final = "qwen-e2e"
"""Name of the node in the cluster."""

STEPS: Final = 7

_VOLUMES: Final = "volumes"
_SOCKET: Final = "/run/containerd/containerd.sock"
_KUBELET_HEALTH: Final = 10248
_PROXY_HEALTH: Final = 10256


_NETWORK: Final[dict[str, Any]] = {
    "cniVersion": "0.4.0",
    "name": "qwen-e2e",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            # A pod that calls its own Service is answered by itself.
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": POD_RANGE}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}

_CONTAINERD: Final = """\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{sandbox_image}"
# Lowering oom_score_adj needs a capability that containers and small virtual machines lack.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{network}"
"""


class Node:
    """The one node of a local cluster."""

    def __init__(self, state: Path, processes: Processes) -> None:
        self._files = state / "node"
        self._processes = processes
        self._machine = SealedMachine(state, processes)
        self._images: dict[str, tuple[str, Path]] = {}
        self._binaries: Mapping[str, Path] = {}

    def is_up(self) -> bool:
        """Whether the machine that holds the node runs."""
        return self._machine.is_up()

    def prepare(self, binaries: Mapping[str, Path], progress: Progress) -> None:
        """Make the machine and its container runtime; needs no API server yet."""
        if os.geteuid() != 0:
            raise HarnessError(
                "a node needs root; without it use --control-plane-only, or set KUBECONFIG"
            )
        packages = unpack_packages(NODE_PACKAGES, progress)
        self._images = {
            name: program_image(name, binaries[name], command)
            for name, command in (("pause", ()), ("coredns", dns.ARGUMENTS))
        }
        self._binaries = binaries
        with progress.step("seal off a machine for the node"):
            self._machine.start(
                binaries["pause"],
                packages,
                {
                    self._files / "lib": "/var/lib",
                    self._files / "log": "/var/log",
                    # Images stay when the cluster goes.
                    CACHE / "containerd": "/var/lib/containerd",
                },
            )
        with progress.step("start containerd"):
            if self._processes.find("containerd") is None:
                self._processes.ensure(self._containerd())
                self._forget_old_containers()
        with progress.step("load the node's own images"):
            for reference, archive in self._images.values():
                self.load(reference, archive)

    async def start(self, control_plane: ControlPlane, progress: Progress) -> None:
        """Join the cluster, and return when pods run and find each other by name."""
        async with connect(control_plane.kubeconfig) as api:
            with progress.step("start kubelet"):
                self._processes.ensure(self._kubelet(control_plane))
                await eventually(lambda: is_ready(api, NAME), "the node is Ready", 60)
            with progress.step("offer persistent volumes"):
                lib = self._files / "lib"
                await offer_volumes(api, lib / _VOLUMES, f"/var/lib/{_VOLUMES}", NAME)
            with progress.step("start kube-proxy"):
                self._processes.ensure(self._proxy(control_plane))
            with progress.step("start cluster DNS"):
                await dns.start(api, self._images["coredns"][0])

    def load(self, reference: str, archive: Path) -> None:
        """Give containerd an image, unless it has it."""
        images = self._machine.run(["ctr", "--namespace=k8s.io", "images", "list", "--quiet"])
        if reference not in images.split():
            self._machine.run(["ctr", "--namespace=k8s.io", "images", "import", archive])

    def clean_up(self) -> None:
        """Once its processes have ended: remove what they leave on the machine."""
        self._machine.clean_up()

    def _containerd(self) -> Program:
        configuration = self._files / "containerd.toml"
        network = self._files / "cni"
        write_if_changed(network / "10-bridge.conflist", json.dumps(_NETWORK, indent=2))
        write_if_changed(
            configuration,
            _CONTAINERD.format(sandbox_image=self._images["pause"][0], network=network),
        )
        command = self._machine.inside(["containerd", "--config", configuration])
        return Program(
            name="containerd",
            command=command,
            ready=self._container_runtime_answers,
            inputs=(configuration,),
        )

    def _forget_old_containers(self) -> None:
        """Drop what a former cluster left in the store that outlives it; its processes are gone."""
        containers = ["ctr", "--namespace=k8s.io", "containers"]
        for container in self._machine.run([*containers, "list", "--quiet"]).split():
            self._machine.run([*containers, "delete", container])

    def _container_runtime_answers(self) -> bool:
        try:
            self._machine.run(["ctr", "--timeout=2s", "version"])
        except CommandFailed:
            return False
        return True

    def _kubelet(self, control_plane: ControlPlane) -> Program:
        kubeconfig = control_plane.kubeconfig_for("kubelet", f"system:node:{NAME}", "system:nodes")
        serving = control_plane.authority.issue(
            "kubelet-serving", f"system:node:{NAME}", "system:nodes", hosts=[NODE_ADDRESS, NAME]
        )
        upstream = self._files / "resolv.conf"
        # Pods with dnsPolicy Default get this; the machine's own resolver is out of their reach.
        write_if_changed(upstream, "")
        configuration = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": NODE_ADDRESS,
            "healthzBindAddress": NODE_ADDRESS,
            "healthzPort": _KUBELET_HEALTH,
            "tlsCertFile": str(serving.certificate),
            "tlsPrivateKeyFile": str(serving.key),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(control_plane.authority.files.certificate)},
            },
            "authorization": {"mode": "Webhook"},
            "containerRuntimeEndpoint": f"unix://{_SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{CGROUP}",
            "failCgroupV1": False,
            "featureGates": {"KubeletInUserNamespace": True},
            "enforceNodeAllocatable": [],
            "failSwapOn": False,
            "clusterDNS": [DNS_SERVICE],
            "clusterDomain": DOMAIN,
            "resolvConf": str(upstream),
            # The disk is shared with everything else on the machine, so its fill level is no
            # reason to evict pods, or to drop images that only the cache could bring back.
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "imagefs.available": "1%",
            },
            "imageGCHighThresholdPercent": 100,
        }
        file = self._files / "kubelet.yaml"
        write_if_changed(file, yaml.safe_dump(configuration))
        return Program(
            name="kubelet",
            command=self._machine.inside(
                [
                    self._binaries["kubelet"],
                    f"--config={file}",
                    f"--kubeconfig={kubeconfig}",
                    f"--hostname-override={NAME}",
                    f"--node-ip={NODE_ADDRESS}",
                    f"--node-labels={REAL_NODE_LABEL}=true",
                ]
            ),
            ready=when_answers(f"http://{NODE_ADDRESS}:{_KUBELET_HEALTH}/healthz"),
            inputs=(file, kubeconfig),
        )

    def _proxy(self, control_plane: ControlPlane) -> Program:
        kubeconfig = control_plane.kubeconfig_for("kube-proxy", "system:kube-proxy")
        configuration = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clientConnection": {"kubeconfig": str(kubeconfig)},
            "clusterCIDR": POD_RANGE,
            "hostnameOverride": NAME,
            "bindAddress": NODE_ADDRESS,
            "healthzBindAddress": f"{NODE_ADDRESS}:{_PROXY_HEALTH}",
            "metricsBindAddress": f"{NODE_ADDRESS}:10249",
            # Zero leaves the kernel's limits alone, which a namespace may not change.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
            # The default waits up to a second before new endpoints are seen.
            "iptables": {"minSyncPeriod": "0s"},
        }
        file = self._files / "kube-proxy.yaml"
        write_if_changed(file, yaml.safe_dump(configuration))
        return Program(
            name="kube-proxy",
            command=self._machine.inside([self._binaries["kube-proxy"], f"--config={file}"]),
            ready=when_answers(f"http://{NODE_ADDRESS}:{_PROXY_HEALTH}/healthz"),
            inputs=(file, kubeconfig),
        )


async def offer_gpus(api: Api, gpu: Gpu, count: int, node: str = NAME) -> None:
    """Make a real node look as if it held cards; a pod that asks for them gets no device.

    The kubelet keeps resources that it does not know, and derives what is allocatable from them;
    we write that too, because the kubelet takes up to ten seconds.
    """
    path = await api.path("v1", "Node", node, "")
    pointer = RESOURCE.replace("/", "~1")
    patch = [
        {"op": "add", "path": f"/status/{part}/{pointer}", "value": str(count)}
        for part in ("capacity", "allocatable")
    ]
    await api.request("PATCH", f"{path}/status", patch, content_type=JSON_PATCH)
    labels = {"metadata": {"labels": gpu.labels(count)}}
    await api.request("PATCH", path, labels, content_type=MERGE_PATCH)
