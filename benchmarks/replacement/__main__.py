"""Requests lost while pods are drained and replaced.

``python -m benchmarks.replacement [--times 10] [--requests 1000]``

A node of the harness (root), the product by Helm, two replicas of a tiny model on the CPU. Prints
how many requests were answered whole, refused, or cut; exit status 1 if any was not whole.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from time import monotonic

from benchmarks.replacement.scenario import replace_pods
from e2e.fixtures import whole_cluster
from e2e.product import installed


def main() -> int:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--requests", type=int, default=1000)
    options = parser.parse_args()
    begin = monotonic()
    with (
        whole_cluster() as cluster,
        tempfile.TemporaryDirectory() as folder,
        installed(cluster, Path(folder)) as product,
    ):
        traffic = asyncio.run(
            replace_pods(
                product,
                times=options.times,
                requests=options.requests,
                say=lambda text: print(text, file=sys.stderr, flush=True),
            )
        )
    print(f"pods drained and replaced   {options.times}")
    print(f"requests                    {traffic.answered}")
    print(f"answered whole              {traffic.complete}")
    print(f"refused, failed or cut      {traffic.faults.total()}  {dict(traffic.faults) or ''}")
    print(f"longest request             {traffic.longest_seconds:.1f} s")
    print(f"together                    {monotonic() - begin:.0f} s")
    return 1 if traffic.faults else 0


if __name__ == "__main__":
    sys.exit(main())
