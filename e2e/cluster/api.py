"""A small client of the API server for the harness and its scenarios: plain dicts in and out."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from aiohttp import ClientError
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config

from e2e.cluster.errors import NotReady, Unreachable

Object = dict[str, Any]
T = TypeVar("T")

FIELD_MANAGER: Final = "qwen-e2e"
USER_AGENT: Final = "qwen-e2e"
"""Ours in the audit log, apart from an operator that uses the same library."""
APPLY: Final = "application/apply-patch+yaml"
MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"

_POLL_SECONDS: Final = 0.1
_WATCH_SECONDS: Final = 3600


class Refused(Exception):
    """The API server answered with an error; `message` is its own sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class Api:
    """One connection; get it from `connect`."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._resources: dict[tuple[str, str], tuple[str, bool]] = {}

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Object:
        """Send one request to a path of the API server; raise Refused or Unreachable."""
        serialised = self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = await self._client.call_api(*await serialised)
            text = str((await response.read()).decode())  # type: ignore[no-untyped-call]
        except (ClientError, TimeoutError) as error:
            raise Unreachable(f"the API server does not answer: {error}") from error
        if response.status >= 400:
            raise Refused(response.status, _sentence(text))
        parsed = json.loads(text) if text.startswith("{") else {"text": text}
        return dict(parsed)

    async def watch(self, path: str, **query: str) -> AsyncIterator[Object]:
        """Events of a collection, as the API server sends them, until nobody listens."""
        serialised = await self._client.param_serialize(
            "GET",
            path,
            query_params=[("watch", "true"), *query.items()],
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        response = await self._client.call_api(*serialised, _request_timeout=_WATCH_SECONDS)
        async for line in response.response.content:
            yield dict(json.loads(line))

    async def lines(self, path: str, body: object) -> AsyncIterator[str]:
        """Send a POST and yield the lines of the answer as they come; raise like `request`."""
        serialised = self._client.param_serialize(
            "POST",
            path,
            header_params={"Accept": "*/*", "Content-Type": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = (await self._client.call_api(*await serialised)).response
            if answer.status >= 400:
                raise Refused(answer.status, _sentence(await answer.text()))
            async for line in answer.content:
                yield line.decode(errors="replace").rstrip("\r\n")
        except (ClientError, TimeoutError) as error:
            raise Unreachable(f"the API server does not answer: {error}") from error

    async def apply(self, wanted: Mapping[str, Any]) -> Object:
        """Server-side apply."""
        return await self.request(
            "PATCH",
            await self.path_of(wanted),
            dict(wanted),
            content_type=APPLY,
            query={"fieldManager": FIELD_MANAGER, "force": "true"},
        )

    async def create(self, wanted: Mapping[str, Any]) -> Object:
        """Create an object that must not exist yet."""
        path = await self.path_of(wanted)
        return await self.request("POST", path.rpartition("/")[0], dict(wanted))

    async def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object:
        """Read one object."""
        return await self.request("GET", await self.path(api_version, kind, name, namespace))

    async def list(
        self, api_version: str, kind: str, namespace: str = "", **query: str
    ) -> list[Object]:
        """Read the objects of a kind, in one namespace or all; `query` such as labelSelector."""
        path = await self.path(api_version, kind, "", namespace)
        return list((await self.request("GET", path, query=query))["items"])

    async def delete(self, api_version: str, kind: str, name: str, namespace: str = "") -> None:
        """Delete one object; it is no error that it does not exist."""
        try:
            await self.request("DELETE", await self.path(api_version, kind, name, namespace))
        except Refused as refused:
            if refused.status != 404:
                raise

    async def path_of(self, wanted: Mapping[str, Any]) -> str:
        """Address of an object; one without a namespace is in `default`."""
        metadata = wanted["metadata"]
        namespace = metadata.get("namespace", "default")
        return await self.path(wanted["apiVersion"], wanted["kind"], metadata["name"], namespace)

    async def path(self, api_version: str, kind: str, name: str, namespace: str) -> str:
        """Address of an object, or of its collection when the name is empty."""
        prefix = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        if (api_version, kind) not in self._resources:
            await self._discover(api_version, prefix)
        plural, namespaced = self._resources[api_version, kind]
        within = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{prefix}{within}/{plural}" + (f"/{name}" if name else "")

    async def _discover(self, api_version: str, prefix: str) -> None:
        for resource in (await self.request("GET", prefix))["resources"]:
            if "/" not in resource["name"]:
                self._resources[api_version, resource["kind"]] = (
                    resource["name"],
                    resource["namespaced"],
                )


@asynccontextmanager
async def connect(kubeconfig: Path) -> AsyncIterator[Api]:
    """Connect as the kubeconfig says."""
    configuration = Configuration()
    await load_kube_config(  # type: ignore[no-untyped-call]
        config_file=str(kubeconfig), client_configuration=configuration, persist_config=False
    )
    async with ApiClient(configuration) as client:
        client.user_agent = USER_AGENT
        yield Api(client)


async def eventually(
    question: Callable[[], Awaitable[T | None]], what: str, timeout_seconds: float = 30
) -> T:
    """Ask until the answer is truthy, and return it; raise NotReady with the last answer."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            answer = await question()
        except (Refused, Unreachable) as error:
            last = str(error)
        else:
            if answer:
                return answer
            last = repr(answer)
        if time.monotonic() > deadline:
            raise NotReady(f"{what}: not so after {timeout_seconds:.0f} s; last answer: {last}")
        await asyncio.sleep(_POLL_SECONDS)


def has_condition(found: Object, wanted: str) -> bool:
    """Whether the object's status says that a condition is True."""
    conditions = found.get("status", {}).get("conditions") or []
    return any(entry["type"] == wanted and entry["status"] == "True" for entry in conditions)


def _sentence(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text
