"""What reviewers read: every child of a few QwenDeployments, as YAML.

UPDATE_GOLDEN=1 writes the files anew.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from qwen_operator.desired.children import build_children
from qwen_operator.desired.wanted import ExistingClaim, Wanted
from tests.desired.examples import wanted

GOLDEN = Path(__file__).parent / "golden"

EVERYTHING: dict[str, Any] = {
    "model": "Qwen/Qwen3-8B",
    "servedModelName": "chat",
    "revision": "main",
    "precision": "int4",
    "contextLength": 32768,
    "accelerators": [{"name": "L4"}, {"name": "A10G", "reservedMemoryMib": 512}],
    "replicas": 3,
    "source": {
        "modelScope": {
            "endpoint": "http://mirror.example.com:8080",
            "tokenSecretRef": {"name": "hub"},
        },
        "proxy": {"httpsProxy": "http://proxy.example.com:3128", "noProxy": ".cluster.local"},
        "caBundle": {"configMap": "company"},
    },
    "cache": {"type": "EmptyDir", "size": "61440Mi"},
    "image": "registry.example.com/vllm:1",
    "imagePullPolicy": "Always",
    "imagePullSecrets": [{"name": "registry"}],
    "resources": {"cpu": "4000m", "memory": "24Gi", "sharedMemory": "2Gi"},
    "engine": {"env": [{"name": "VLLM_LOGGING_LEVEL", "value": "DEBUG"}]},
    "podTemplate": {
        "metadata": {"labels": {"team": "search"}, "annotations": {"owner": "a@example.com"}},
        "spec": {
            "nodeSelector": {"pool": "gpu"},
            "tolerations": [{"key": "dedicated", "value": "inference", "effect": "NoSchedule"}],
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {"matchExpressions": [{"key": "zone", "operator": "In", "values": [z]}]}
                            for z in ("a", "b")
                        ]
                    }
                }
            },
            "priorityClassName": "production",
            "schedulerName": "volcano",
            "runtimeClassName": "nvidia",
            "topologySpreadConstraints": [{"topologyKey": "topology.kubernetes.io/zone"}],
        },
    },
}

CASES: dict[str, dict[str, Any]] = {
    "bare": {},
    "everything": EVERYTHING,
    "cpu": {
        "model": "Qwen/Qwen3-0.6B",
        "accelerators": [{"name": "CPU"}],
        "cache": {"claimName": "shared-cache"},
    },
    "two-cards-suspended": {
        "tensorParallelSize": 2,
        "suspend": True,
        "replicas": 2,
        "accelerators": [{"name": "RTX4090"}],
        "source": {"persistentVolumeClaim": {"claimName": "weights", "path": "qwen3-4b"}},
        "cache": {"type": "HostPath", "path": "/var/cache/qwen"},
    },
}


def case(name: str) -> Wanted:
    """The case with fixed rows: what the planner computes is tested, and calibrated, elsewhere."""
    given = wanted(CASES[name])
    assert given.rows, name
    args = ("--max-model-len", "8192", "--kv-cache-memory-bytes", "12000000000")
    rows = tuple(
        replace(
            row,
            args=args,
            env=(("OMP_NUM_THREADS", "1"),),
            kv_cache_bytes=12_000_000_000,
            budget=replace(row.budget, requested_bytes=20_000_000_000, card_bytes=24_000_000_000),
        )
        for row in given.rows
    )
    return replace(given, rows=rows)


class _Dumper(yaml.SafeDumper):
    """Shows texts of several lines as such."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


def check(name: str, given: Wanted) -> None:
    text = yaml.dump_all(
        build_children(given), Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True
    )
    assert "&id" not in text, "two children share one object"
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text(), "if this is what you want: UPDATE_GOLDEN=1 and review"


@pytest.mark.parametrize("name", CASES)
def test_the_children_are_what_the_golden_file_says(name: str) -> None:
    check(name, case(name))


def test_where_nothing_fits_only_the_account_and_the_weights_stay() -> None:
    claim = ExistingClaim(requested_bytes=60 << 30, access_modes=("ReadWriteMany",))
    check("does-not-fit", replace(case("bare"), rows=(), existing_claim=claim))
