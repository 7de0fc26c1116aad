"""The API server's audit log: who changed what. Benchmarks count writes from it."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

POLICY: Final[dict[str, Any]] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    # One line for a request, when it is answered.
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "verbs": ["get", "list", "watch"]},
        # Whether somebody may do something is asked by POST, but changes nothing.
        {
            "level": "None",
            "resources": [
                {"group": "authentication.k8s.io", "resources": ["tokenreviews"]},
                {"group": "authorization.k8s.io"},
            ],
        },
        {"level": "Metadata"},
    ],
}


@dataclass(frozen=True)
class Write:
    """One request that was meant to change something."""

    user_agent: str
    verb: str
    resource: str
    """Plural, with the subresource after a slash, such as pods/status."""
    namespace: str
    name: str
    status: int


def read_writes(log: Path) -> Iterator[Write]:
    """Mutating requests in the order in which they were answered."""
    if not log.exists():
        return
    with log.open() as lines:
        for line in lines:
            if not line.endswith("\n"):
                return  # the server is still writing it
            event = json.loads(line)
            target = event.get("objectRef", {})
            resource = "/".join(
                part for part in (target.get("resource"), target.get("subresource")) if part
            )
            yield Write(
                user_agent=event.get("userAgent", ""),
                verb=event["verb"],
                resource=resource,
                namespace=target.get("namespace", ""),
                name=target.get("name", ""),
                status=event.get("responseStatus", {}).get("code", 0),
            )


def count_writes(log: Path) -> Counter[tuple[str, str, str]]:
    """How many writes there were by program, verb and resource.

    The program is the first word of the user agent, without its version and platform.
    """
    return Counter(
        (write.user_agent.split("/")[0], write.verb, write.resource) for write in read_writes(log)
    )
