"""etcd, API server, controller manager and scheduler: everything but a node that runs pods."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from e2e.cluster import audit
from e2e.cluster.api import connect, eventually
from e2e.cluster.certificates import Authority, KeyPair
from e2e.cluster.health import answers, free_port, when_answers
from e2e.cluster.kubeconfig import write_kubeconfig
from e2e.cluster.network import ALONE, API_SERVICE, DOMAIN, LOOPBACK, SERVICE_RANGE, Placement
from e2e.cluster.paths import write_if_changed
from e2e.cluster.processes import Processes, Program
from e2e.cluster.progress import Progress

_GO_GARBAGE_PERCENT: Final = "400"
"""Of the memory in use, before Go collects again: at its default of 100 the API server, with a
thousand objects on two cores, would hide our own figures."""
_CLIENT_QPS: Final = 1000
"""Rate limit of the controllers' clients. Kubernetes's own (20 and 50) would hide our figures."""
_CLIENT_BURST: Final = 2000

_PORTS: Final = ("etcd", "etcd-peer", "api", "controller-manager", "scheduler", "kwok")

STEPS: Final = 4


class ControlPlane:
    """A control plane whose files lie in one state folder."""

    def __init__(
        self,
        state: Path,
        binaries: Mapping[str, Path],
        processes: Processes,
        placement: Placement = ALONE,
    ) -> None:
        self._state = state.resolve()
        self._binaries = binaries
        self._processes = processes
        self._placement = placement
        self._authority = Authority(self._state / "tls")
        self.ports = _remembered_ports(self._state / "ports.json")

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of an administrator."""
        return self._state / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """Mutating requests, as `audit.read_writes` reads them."""
        return self._state / "audit.log"

    @property
    def authority(self) -> Authority:
        """Signs the certificates of everything in the cluster."""
        return self._authority

    @property
    def server(self) -> str:
        """Address of the API server."""
        return f"https://{self._placement.address}:{self.ports['api']}"

    def kubeconfig_for(self, name: str, user: str, group: str = "") -> Path:
        """Kubeconfig of a component, with an identity of its own."""
        identity = self._authority.issue(name, user, group)
        file = self._state / "kubeconfigs" / name
        return write_kubeconfig(file, self.server, self._authority.files.certificate, identity)

    async def start(self, progress: Progress) -> None:
        """Start what does not run yet, and return when a pod could be created."""
        authority = self._authority.files.certificate
        administrator = self._authority.issue("admin", "qwen-e2e-admin", "system:masters")
        write_kubeconfig(self.kubeconfig, self.server, authority, administrator)
        with progress.step("start etcd"):
            self._processes.ensure(self._etcd())
        with progress.step("start kube-apiserver"):
            self._processes.ensure(self._api_server(administrator))
        controllers = (self._controller_manager(), self._scheduler())
        with progress.step("start kube-controller-manager and kube-scheduler"):
            async with connect(self.kubeconfig) as api:
                # They end at once when they cannot read this, which the API server writes late.
                await eventually(
                    lambda: api.get(
                        "v1", "ConfigMap", "extension-apiserver-authentication", "kube-system"
                    ),
                    "the API server publishes its authorities",
                )
            started = [(program, self._processes.start(program)) for program in controllers]
            for program, pid in started:
                self._processes.wait(program, pid)
        with progress.step("wait for the default service account"):
            async with connect(self.kubeconfig) as api:
                # Until it exists, the API server refuses every pod.
                await eventually(
                    lambda: api.get("v1", "ServiceAccount", "default", "default"),
                    "the controller manager made the default service account",
                )

    def _etcd(self) -> Program:
        pair = self._authority.issue("etcd", "etcd", hosts=[LOOPBACK])
        authority = self._authority.files.certificate
        client = f"https://{LOOPBACK}:{self.ports['etcd']}"
        peer = f"http://{LOOPBACK}:{self.ports['etcd-peer']}"
        return Program(
            name="etcd",
            command=(
                self._binaries["etcd"],
                f"--data-dir={self._state / 'etcd'}",
                # The data need not outlive the machine, and disks differ.
                "--unsafe-no-fsync",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                f"--cert-file={pair.certificate}",
                f"--key-file={pair.key}",
                f"--trusted-ca-file={authority}",
                "--client-cert-auth",
                "--log-level=warn",
            ),
            ready=when_answers(f"{client}/health", authority, pair),
        )

    def _api_server(self, administrator: KeyPair) -> Program:
        address = self._placement.address
        hosts = [
            LOOPBACK,
            address,
            API_SERVICE,
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            f"kubernetes.default.svc.{DOMAIN}",
        ]
        serving = self._authority.issue("kube-apiserver", "kube-apiserver", hosts=hosts)
        etcd_client = self._authority.issue("etcd-client", "kube-apiserver")
        authority = self._authority.files.certificate
        tokens = self._authority.signing_key("service-accounts")
        policy = self._state / "audit-policy.yaml"
        write_if_changed(policy, yaml.safe_dump(audit.POLICY))
        return Program(
            name="kube-apiserver",
            command=(
                self._binaries["kube-apiserver"],
                f"--bind-address={address}",
                f"--advertise-address={address}",
                f"--secure-port={self.ports['api']}",
                "--endpoint-reconciler-type="
                + ("lease" if self._placement.reachable_by_pods else "none"),
                f"--etcd-servers=https://{LOOPBACK}:{self.ports['etcd']}",
                f"--etcd-cafile={authority}",
                f"--etcd-certfile={etcd_client.certificate}",
                f"--etcd-keyfile={etcd_client.key}",
                f"--tls-cert-file={serving.certificate}",
                f"--tls-private-key-file={serving.key}",
                f"--client-ca-file={authority}",
                # The identity it shows to kubelets, for logs and exec.
                f"--kubelet-client-certificate={administrator.certificate}",
                f"--kubelet-client-key={administrator.key}",
                f"--kubelet-certificate-authority={authority}",
                "--kubelet-preferred-address-types=InternalIP",
                f"--service-cluster-ip-range={SERVICE_RANGE}",
                f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}",
                f"--service-account-key-file={tokens}",
                f"--service-account-signing-key-file={tokens}",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                "--allow-privileged=true",
                "--profiling=false",
                f"--audit-policy-file={policy}",
                f"--audit-log-path={self.audit_log}",
                # Rotated logs would have to be read too; a long run writes about 1 GB.
                "--audit-log-maxsize=16384",
            ),
            environment={"GOGC": _GO_GARBAGE_PERCENT},
            ready=when_answers(f"{self.server}/readyz", authority, administrator),
            inputs=(policy, serving.certificate),
        )

    def _controller_manager(self) -> Program:
        file = self.kubeconfig_for("kube-controller-manager", "system:kube-controller-manager")
        port = self.ports["controller-manager"]
        return Program(
            name="kube-controller-manager",
            command=(
                self._binaries["kube-controller-manager"],
                f"--kubeconfig={file}",
                f"--authentication-kubeconfig={file}",
                f"--authorization-kubeconfig={file}",
                f"--bind-address={LOOPBACK}",
                f"--secure-port={port}",
                f"--cert-dir={self._state / 'tls'}",
                f"--root-ca-file={self._authority.files.certificate}",
                "--service-account-private-key-file="
                f"{self._authority.signing_key('service-accounts')}",
                "--use-service-account-credentials=true",
                "--leader-elect=false",
                f"--kube-api-qps={_CLIENT_QPS}",
                f"--kube-api-burst={_CLIENT_BURST}",
                "--profiling=false",
            ),
            ready=lambda: answers(f"https://{LOOPBACK}:{port}/healthz"),
            inputs=(file,),
        )

    def _scheduler(self) -> Program:
        file = self.kubeconfig_for("kube-scheduler", "system:kube-scheduler")
        port = self.ports["scheduler"]
        configuration: dict[str, Any] = {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": {
                "kubeconfig": str(file),
                "qps": _CLIENT_QPS,
                "burst": _CLIENT_BURST,
            },
            "leaderElection": {"leaderElect": False},
        }
        configuration_file = self._state / "kube-scheduler.yaml"
        write_if_changed(configuration_file, yaml.safe_dump(configuration))
        return Program(
            name="kube-scheduler",
            command=(
                self._binaries["kube-scheduler"],
                f"--config={configuration_file}",
                f"--authentication-kubeconfig={file}",
                f"--authorization-kubeconfig={file}",
                f"--bind-address={LOOPBACK}",
                f"--secure-port={port}",
                f"--cert-dir={self._state / 'tls'}",
            ),
            ready=lambda: answers(f"https://{LOOPBACK}:{port}/healthz"),
            inputs=(file, configuration_file),
        )


def _remembered_ports(file: Path) -> dict[str, int]:
    """Free ports, the same ones on every start, so that a running cluster is recognised."""
    if file.exists():
        return {name: int(port) for name, port in json.loads(file.read_text()).items()}
    ports = {name: free_port() for name in _PORTS}
    file.write_text(json.dumps(ports))
    return ports
