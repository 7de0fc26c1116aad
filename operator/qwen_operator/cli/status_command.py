"""``kubectl qwen status``: what a QwenDeployment does, why, and how it compares with its plan."""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from qwen_contract import pod
from qwen_contract.errors import Unreadable
from qwen_contract.report import Report, read_report
from qwen_operator import naming
from qwen_operator.cli import kubectl
from qwen_operator.cli.exit_codes import NOT_READY, OK
from qwen_operator.cli.kubectl import Kubectl, KubectlFailed, Object
from qwen_operator.cli.status_text import Replica, Seen, as_dict, is_ready, render

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[Any]

_EPILOG = """\
examples:
  kubectl qwen status qwen3-4b
  kubectl qwen status qwen3-4b -n models -o json

exit status: 0 when it is Ready, 3 when it is not (yet), 1 when it cannot be read
"""


def add_to(commands: Subparsers) -> None:
    """Add the sub-command and its options."""
    parser = commands.add_parser(
        "status",
        help="what a QwenDeployment does, why, and what it measured beside its plan",
        description="Show conditions with their reasons, the plan beside what replicas measured, "
        "how long the parts of each start took, and the last events.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", help="of the QwenDeployment")
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="default: text"
    )
    kubectl.add_to(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read and print. Raises `KubectlFailed`."""
    seen = _look(Kubectl(options), options.name)
    if options.output == "json":
        print(json.dumps(as_dict(seen), indent=2))
    else:
        print("\n".join(render(seen)))
    return OK if is_ready(seen) else NOT_READY


def _look(cluster: Kubectl, name: str) -> Seen:
    owner = cluster.get(naming.PLURAL, name)
    selector = f"{naming.PART_OF_LABEL}={naming.PRODUCT},{naming.INSTANCE_LABEL}={name}"
    pods = _listed(cluster, "pods", "--selector", selector)
    events = _listed(
        cluster,
        "events",
        "--field-selector",
        f"involvedObject.kind={naming.KIND},involvedObject.name={name}",
    )
    with ThreadPoolExecutor() as pool:
        reports = pool.map(lambda each: _report_of(cluster, each), pods)
    replicas = (Replica(pod=each, report=told) for each, told in zip(pods, reports, strict=True))
    return Seen(owner=owner, replicas=tuple(replicas), events=tuple(events))


def _listed(cluster: Kubectl, *what: str) -> list[Object]:
    """Nothing, and a word on it, where the user may read the QwenDeployment alone."""
    try:
        return list(cluster.get(*what)["items"])
    except KubectlFailed as error:
        print(f"without {what[0]}: {error}", file=sys.stderr)
        return []


def _report_of(cluster: Kubectl, replica: Object) -> Report | None:
    """What its launcher tells; None where it does not run yet, or may not be asked."""
    metadata = replica["metadata"]
    place = f"/api/v1/namespaces/{metadata['namespace']}/pods"
    path = f"{place}/{metadata['name']}:{pod.LAUNCHER_PORT}/proxy{pod.REPORT_PATH}"
    if (replica.get("status") or {}).get("phase") != "Running":
        return None
    try:
        return read_report(cluster.get_raw(path))
    except (KubectlFailed, Unreadable):
        return None
