"""Measure the operator on a real API server with KWOK nodes.

``python -m benchmarks.control_plane [--few 100] [--many 1000] [--quiet-seconds 600]``

1. With FEW QwenDeployments present, more are applied one by one: seconds from the answer to the
   apply until the API server tells of the pod.
2. Nothing changes for a while: mutating requests of ours in the audit log.
3. MANY QwenDeployments of three replicas are applied at once: seconds until all are Ready, and
   the operator's memory.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from benchmarks.control_plane.scenario import (
    ADDED,
    REPLICAS,
    apply_many,
    converge,
    latencies,
    prepare,
    quiet_writes,
)
from e2e.cluster.api import connect
from e2e.cluster.local import LocalCluster
from e2e.cluster.progress import Silent
from e2e.operator_process import OperatorProcess


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure beside what was asked for."""

    what: str
    measured: str
    asked: str


def main() -> int:
    """Run all three, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--many", type=int, default=1000)
    parser.add_argument("--quiet-seconds", type=int, default=600)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qwen-benchmark-") as folder:
        cluster = LocalCluster(Path(folder) / "cluster", Silent(), die_with_us=True)
        try:
            plane = cluster.up(control_plane_only=True)
            log = Path(folder) / "operator.log"
            with OperatorProcess(cluster.kubeconfig, log) as operator:
                rows = asyncio.run(_measure(cluster.kubeconfig, plane.audit_log, operator, options))
        finally:
            cluster.down()
    width = max(len(row.what) for row in rows)
    for row in rows:
        print(f"{row.what:<{width}}  {row.measured:<24}  {row.asked}")
    return 0


async def _measure(
    kubeconfig: Path, audit_log: Path, operator: OperatorProcess, options: argparse.Namespace
) -> list[Row]:
    few, many, quiet = options.few, options.many, options.quiet_seconds
    async with connect(kubeconfig) as api:
        await prepare(api, few + ADDED + REPLICAS * many)
        await apply_many(api, "few", few, replicas=1)
        await converge(api, "few", few)
        _say(f"{few} are Ready")
        seconds = sorted(await latencies(api))
        _say("latencies measured")
        rows = [
            Row(
                what=f"apply to pod with {few} present: median, p99, worst of {len(seconds)}",
                measured=" ".join(f"{_quantile(seconds, q):.3f}" for q in (0.5, 0.99, 1.0)) + " s",
                asked="p99 < 0.3 s",
            ),
            Row(
                what=f"memory with {few + len(seconds)}",
                measured=f"{operator.resident_mib():.0f} MiB",
                asked="< 160 MiB",
            ),
        ]
        writes = await quiet_writes(audit_log, quiet)
        rows.append(Row(what=f"writes in {quiet} quiet s", measured=str(writes), asked="0"))
        _say("quiet time is over")
        begin = monotonic()
        await apply_many(api, "many", many, replicas=REPLICAS)
        applied = monotonic() - begin
        _say(f"{many} are applied after {applied:.0f} s")
        await converge(api, "many", many, progress=_say)
        rows += [
            Row(
                what=f"{many} of {REPLICAS} replicas: applied, all Ready",
                measured=f"{applied:.0f} s, {monotonic() - begin:.0f} s",
                asked="< 300 s",
            ),
            Row(
                what=f"memory with {few + len(seconds) + many}: now, most",
                measured=f"{operator.resident_mib():.0f}, {operator.peak_mib():.0f} MiB",
                asked="< 250 MiB",
            ),
        ]
        return rows


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
