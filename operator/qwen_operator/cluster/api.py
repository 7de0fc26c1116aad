"""The API server, plain dictionaries in and out."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientError
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from qwen_operator import __version__, naming

APPLY_PATCH = "application/apply-patch+yaml"
USER_AGENT = f"qwen-operator/{__version__}"
"""What the API server's audit log calls our requests."""
_REQUEST_TIMEOUT_SECONDS = 30
_FORBIDDEN, _NOT_FOUND, _CONFLICT = 403, 404, 409
_REFUSALS = {400, _FORBIDDEN, 422}
_NAMESPACE_ENDS = "NamespaceTerminating"

Object = dict[str, Any]
CountCall = Callable[[str, int], None]


class ApiError(Exception):
    """The API server refused, or did not answer; the sentence is its own."""

    def __init__(self, status: int, message: str, causes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status; 0 where there was no answer."""
        self._causes = causes

    @property
    def is_missing(self) -> bool:
        """Whether the object is not there."""
        return self.status == _NOT_FOUND

    @property
    def is_conflict(self) -> bool:
        """Whether somebody else was faster."""
        return self.status == _CONFLICT

    @property
    def is_refusal(self) -> bool:
        """Whether it was understood and will not be done: a right, a quota, a rule."""
        return self.status in _REFUSALS

    @property
    def is_ending_namespace(self) -> bool:
        """Whether the namespace is being deleted, so that nothing can be made in it."""
        return _NAMESPACE_ENDS in self._causes


class Api:
    """One connection; get it from `connect`."""

    def __init__(self, client: ApiClient, count_call: CountCall) -> None:
        self._client = client
        self._count_call = count_call

    @property
    def client(self) -> ApiClient:
        """The library's own, for what it does well."""
        return self._client

    async def get(self, path: str) -> Object | None:
        """One object; None where there is none."""
        try:
            return await self._request("GET", path)
        except ApiError as error:
            if error.is_missing:
                return None
            raise

    async def list(self, path: str, **query: str) -> list[Object]:
        """Objects of a kind, with their type, which lists leave out."""
        answer = await self._request("GET", path, query=query)
        kind = str(answer["kind"]).removesuffix("List")
        return [
            {"apiVersion": answer["apiVersion"], "kind": kind, **item} for item in answer["items"]
        ]

    async def apply(
        self, path: str, wanted: Mapping[str, Any], *, manager: str = naming.FIELD_MANAGER
    ) -> Object:
        """Server-side apply; fields that others hold become ours."""
        query = {"fieldManager": manager, "force": "true"}
        return await self._request("PATCH", path, wanted, content_type=APPLY_PATCH, query=query)

    async def delete(self, path: str, *, uid: str, resource_version: str) -> None:
        """Delete the object that was seen, and no namesake; it is no error that it is gone."""
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        body = {"propagationPolicy": "Background", "preconditions": preconditions}
        try:
            await self._request("DELETE", path, body)
        except ApiError as error:
            if not error.is_missing:
                raise

    async def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Object:
        serialised = await self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            body=None if body is None else dict(body),
            auth_settings=["BearerToken"],
        )
        try:
            response = await self._client.call_api(
                *serialised, _request_timeout=_REQUEST_TIMEOUT_SECONDS
            )
            text = str((await response.read()).decode())  # type: ignore[no-untyped-call]
        except (ClientError, TimeoutError) as error:
            self._count_call(method, 0)
            said = str(error) or type(error).__name__
            raise ApiError(0, f"the API server does not answer: {said}") from error
        self._count_call(method, response.status)
        answer: Object = json.loads(text) if text.startswith("{") else {"message": text}
        if response.status >= 400:
            causes = (answer.get("details") or {}).get("causes") or ()
            raise ApiError(
                response.status,
                explain_refusal(response.status, answer, text),
                tuple(str(cause.get("reason")) for cause in causes),
            )
        return dict(answer)


def explain_refusal(status: int, answer: Mapping[str, Any], text: str = "") -> str:
    """The API server's sentence; what it forbids names verb, resource and account, not the cure."""
    said = str(answer.get("message") or text).strip()
    if status != _FORBIDDEN or "cannot" not in said:
        return said
    return f"{said}; whoever administers the cluster must grant it, as the chart's roles do"


@asynccontextmanager
async def connect(count_call: CountCall = lambda _method, _status: None) -> AsyncIterator[Api]:
    """Connect as the pod's service account, or as KUBECONFIG says; `ApiError` without either."""
    configuration = Configuration()
    try:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except ConfigException:
        await _load_kube_config(configuration)
    async with ApiClient(configuration) as client:
        client.user_agent = USER_AGENT
        yield Api(client, count_call)


async def _load_kube_config(configuration: Configuration) -> None:
    # The library reads the variable when it is imported, which is too early for tests.
    file = os.environ.get("KUBECONFIG")
    try:
        await load_kube_config(  # type: ignore[no-untyped-call]
            config_file=file, client_configuration=configuration, persist_config=False
        )
    except ConfigException as error:
        raise ApiError(
            0,
            f"no cluster: there is no service account, and KUBECONFIG ({file or 'not set'}) is no "
            f"kubeconfig with a current context: {error}",
        ) from error


def object_path(api_version: str, plural: str, namespace: str, name: str = "") -> str:
    """Address of an object, or of its collection where the name is empty."""
    prefix = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    within = f"/namespaces/{namespace}" if namespace else ""
    return f"{prefix}{within}/{plural}" + (f"/{name}" if name else "")


def owner_path(namespace: str, name: str = "") -> str:
    """Address of a QwenDeployment, or of all of a namespace."""
    return object_path(naming.API_VERSION, naming.PLURAL, namespace, name)
