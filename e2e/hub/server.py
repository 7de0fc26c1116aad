"""The hub as an HTTP server.

Speaks what huggingface_hub 2 asks for: revision, tree, paths-info, and resolve with its headers and
the redirect of LFS files to a content server, ranges included.
"""

import hashlib
import json
import re
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from e2e.hub.faults import Fault, Faults
from e2e.hub.repository import BRANCH, Commit, HubFile, Repositories

_CHUNK_BYTES: Final = 64 << 10
_API: Final = re.compile(
    r"/api/models/(?P<repository>[^/]+/[^/]+)"
    r"(?:/(?P<what>revision|tree|paths-info)/(?P<revision>[^/]+)(?:/(?P<folder>.*))?)?"
)
_MODEL_SCOPE: Final = re.compile(
    r"/api/v1/models/(?P<repository>[^/]+/[^/]+)/repo(?P<files>/files)?"
)
_RESOLVE: Final = re.compile(
    r"/(?P<repository>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)"
)
_CONTENT: Final = re.compile(r"/content/(?P<repository>[^/]+/[^/]+)/(?P<file>.+)")
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request that was answered."""

    method: str
    path: str
    host: str
    authorized: bool
    """Whether it carried a token."""
    first_byte: int
    """Where its range begins; 0 without a range."""


class Hub:
    """Serves ``<folder>/<organisation>/<name>/…`` until it is closed.

    ``gated`` maps a repository to the token that opens it. ``content_host`` is the host that LFS
    files are redirected to; default the one that was asked.
    """

    def __init__(
        self,
        folder: Path,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        gated: Mapping[str, str] | None = None,
        content_host: str | None = None,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self.repositories = Repositories(folder)
        self.gated = dict(gated or {})
        self.content_host = content_host
        self.faults = Faults()
        self.requests: list[Request] = []
        self._scheme = "https" if certificate else "http"
        self._address = address
        handler = type("HubHandler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer((address, port), handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def port(self) -> int:
        """That it listens on."""
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        """What a client takes for the endpoint."""
        return f"{self._scheme}://{self._address}:{self.port}"

    @property
    def scheme(self) -> str:
        """Http or https."""
        return self._scheme

    def downloads(self, file: str = "") -> list[Request]:
        """Requests for the content of files whose path contains ``file``."""
        return [
            each
            for each in self.requests
            if each.method == "GET"
            and file in each.path
            and ("/content/" in each.path or "/resolve/" in each.path)
        ]

    def serve(self) -> None:
        """Answer requests until `close`."""
        self._server.serve_forever(poll_interval=0.02)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    hub: ClassVar[Hub]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(send_body=True)

    def do_HEAD(self) -> None:
        self._answer(send_body=False)

    def do_POST(self) -> None:
        self._answer(send_body=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing; `Hub.requests` has it all."""

    def _answer(self, *, send_body: bool) -> None:
        self._send_body = send_body
        if self.path.startswith("http"):  # asked as a proxy, for a hub of another name
            self.path = "/" + self.path.split("/", 3)[3]
        path, _, query = self.path.partition("?")
        self._query = dict(urllib.parse.parse_qsl(query))
        path = urllib.parse.unquote(path)
        received = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.requests.append(
            Request(
                method=self.command,
                path=path,
                host=self.headers.get("Host", ""),
                authorized="Authorization" in self.headers,
                first_byte=self._range()[0],
            )
        )
        self._fault = self.hub.faults.strike(self.command, path)
        if self._fault is not None and self._fault.status is not None:
            self._fail(self._fault.status, "", "a fault that was asked for")
        elif match := _CONTENT.fullmatch(path):
            self._send_content(match["repository"], match["file"])
        # The revision stays quoted until its place is known: refs/pr/1 is one segment.
        elif match := _API.fullmatch(self.path.partition("?")[0]):
            self._answer_api(match, received)
        elif match := _MODEL_SCOPE.fullmatch(path):
            self._answer_model_scope(match)
        elif match := _RESOLVE.fullmatch(self.path.partition("?")[0]):
            self._resolve(match)
        else:
            self._fail(HTTPStatus.NOT_FOUND, "", "no such page")

    def _open(self, repository: str, revision: str) -> Commit | None:
        """The commit, or None after an answer that says why not."""
        token = self.hub.gated.get(repository)
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token is not None and token != given:
            status = HTTPStatus.FORBIDDEN if given else HTTPStatus.UNAUTHORIZED
            self._fail(status, "GatedRepo", f"Access to model {repository} is restricted.")
            return None
        commit = self.hub.repositories.commit(repository)
        if commit is None:
            # As the hub does: who shows no token is not told whether it exists.
            if given:
                self._fail(HTTPStatus.NOT_FOUND, "RepoNotFound", "Repository not found")
            else:
                self._fail(HTTPStatus.UNAUTHORIZED, "", "Invalid username or password.")
            return None
        if revision not in (BRANCH, commit.sha):
            self._fail(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return commit

    def _answer_api(self, match: re.Match[str], received: bytes) -> None:
        repository = match["repository"]
        commit = self._open(repository, urllib.parse.unquote(match["revision"] or BRANCH))
        if commit is None:
            return
        files = commit.files.values()
        if match["what"] in (None, "revision"):
            self._send_json(
                {
                    "_id": commit.sha[:24],
                    "id": repository,
                    "modelId": repository,
                    "sha": commit.sha,
                    "private": False,
                    "gated": "manual" if repository in self.hub.gated else False,
                    "disabled": False,
                    "tags": [],
                    "downloads": 0,
                    "likes": 0,
                    "siblings": [
                        file.as_sibling(with_hashes="blobs" in self._query) for file in files
                    ],
                }
            )
        elif match["what"] == "tree":
            self._send_json([file.as_tree_entry() for file in files])
        else:
            wanted = _paths(received, self.headers.get("Content-Type", ""))
            self._send_json([file.as_tree_entry() for file in files if file.path in wanted])

    def _answer_model_scope(self, match: re.Match[str]) -> None:
        """The same folder by ModelScope's API: a list with SHA-256 of every file, and content."""
        commit = self._open(match["repository"], self._query.get("Revision", BRANCH))
        if commit is None:
            return
        if match["files"]:
            listed = [
                {
                    "Name": file.path.rpartition("/")[2],
                    "Path": file.path,
                    "Revision": commit.sha,
                    "Sha256": hashlib.sha256(file.source.read_bytes()).hexdigest(),
                    "Size": file.size,
                    "Type": "blob",
                }
                for file in commit.files.values()
            ]
            self._send_json({"Code": 200, "Data": {"Files": listed}, "Success": True})
        elif (file := commit.files.get(self._query.get("FilePath", ""))) is not None:
            self._send_file(file, {})
        else:
            self._fail(HTTPStatus.NOT_FOUND, "", "no such file")

    def _resolve(self, match: re.Match[str]) -> None:
        repository, path = match["repository"], urllib.parse.unquote(match["file"])
        commit = self._open(repository, urllib.parse.unquote(match["revision"]))
        if commit is None:
            return
        file = commit.files.get(path)
        headers = {"X-Repo-Commit": commit.sha}
        if file is None:
            self._fail(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found", headers)
        elif file.sha256 is None:
            self._send_file(file, headers)
        else:
            # An address of our own: the port that the client used may be forwarded to ours.
            host = self.headers.get("Host", "")
            if self.hub.content_host is not None:
                host = f"{self.hub.content_host}:{self.hub.port}"
            headers |= {
                "X-Linked-Size": str(file.size),
                "X-Linked-Etag": f'"{file.sha256}"',
                "Location": f"{self.hub.scheme}://{host}/content/{repository}/{path}",
            }
            self._send(HTTPStatus.FOUND, b"", "text/plain", headers)

    def _send_content(self, repository: str, path: str) -> None:
        commit = self.hub.repositories.commit(repository)
        file = commit.files.get(path) if commit else None
        if commit is None or file is None:
            self._fail(HTTPStatus.NOT_FOUND, "", "no such content")
        else:
            # The library follows a redirect to the same host and looks for the commit there.
            self._send_file(file, {"X-Repo-Commit": commit.sha})

    def _send_file(self, file: HubFile, headers: dict[str, str]) -> None:
        first, last = self._range()
        last = min(file.size - 1, file.size - 1 if last is None else last)
        ranged = "Range" in self.headers
        if ranged and first >= file.size:
            headers |= {"Content-Range": f"bytes */{file.size}"}
            self._send(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"", "text/plain", headers)
            return
        self.send_response(HTTPStatus.PARTIAL_CONTENT if ranged else HTTPStatus.OK)
        if ranged:
            self.send_header("Content-Range", f"bytes {first}-{last}/{file.size}")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("ETag", f'"{file.etag}"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        if self._send_body:
            try:
                self._send_chunks(file.source, first, last + 1)
            except OSError:
                self.close_connection = True  # the client has gone

    def _send_chunks(self, source: Path, begin: int, end: int) -> None:
        fault = self._fault or Fault()
        stop = end if fault.break_after_bytes is None else min(end, begin + fault.break_after_bytes)
        for position, chunk in _read(source, begin, stop, _chunk_bytes(fault)):
            if fault.corrupt and position + len(chunk) == end:
                chunk = chunk[:-1] + bytes([chunk[-1] ^ 1])  # noqa: PLW2901 one byte is wrong
            self.wfile.write(chunk)
            if fault.bytes_per_second is not None:
                time.sleep(len(chunk) / fault.bytes_per_second)
        if stop < end:
            self.close_connection = True

    def _range(self) -> tuple[int, int | None]:
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if match is None:
            return 0, None
        return int(match[1]), int(match[2]) if match[2] else None

    def _fail(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        described = {**(headers or {}), "X-Error-Message": message}
        if code:
            described["X-Error-Code"] = code
        if self._fault is not None and self._fault.retry_after_seconds is not None:
            described["Retry-After"] = str(self._fault.retry_after_seconds)
        body = json.dumps({"error": message}).encode()
        self._send(status, body, "application/json", described)

    def _send_json(self, value: object) -> None:
        self._send(HTTPStatus.OK, json.dumps(value).encode(), "application/json", {})

    def _send(self, status: int, body: bytes, kind: str, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self._send_body:
            self.wfile.write(body)


def _chunk_bytes(fault: Fault) -> int:
    """Slow sending goes in small steps, twenty a second."""
    if fault.bytes_per_second is None:
        return _CHUNK_BYTES
    return max(1, min(_CHUNK_BYTES, fault.bytes_per_second // 20))


def _read(source: Path, begin: int, end: int, chunk_bytes: int) -> Iterator[tuple[int, bytes]]:
    with source.open("rb") as stream:
        stream.seek(begin)
        while begin < end:
            chunk = stream.read(min(chunk_bytes, end - begin))
            yield begin, chunk
            begin += len(chunk)


def _paths(received: bytes, content_type: str) -> set[str]:
    """The body of paths-info, which clients send as a form or as JSON."""
    if "json" in content_type:
        return set(json.loads(received)["paths"])
    return set(urllib.parse.parse_qs(received.decode()).get("paths", []))
