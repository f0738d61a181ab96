"""A server on this machine that speaks what a pull needs of the Hugging Face hub's HTTP, and fails on demand.

    GET  /api/models/<repository>[/revision/<commit>]?blobs=true   what it holds
    HEAD /<repository>/resolve/<commit>/<path>                     may I? and where is it?
    GET  /<repository>/resolve/<commit>/<path>                     small files; for those in LFS a redirect to
    GET  /blobs/<repository>/<path>                                another host, which must not see the token
    GET  /<path>                                                   plain files, as OpenAI serves its own

The other host is this server under another name: 127.0.0.1 instead of localhost.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast
from urllib.parse import unquote, urlsplit

GATED = {"X-Error-Code": "GatedRepo"}
UNKNOWN_TOKEN = {"X-Error-Message": "Invalid credentials in Authorization header"}


@dataclass
class Fault:
    """What goes wrong with one answer."""

    status: int = 0  # instead of the file
    cut_bytes: int = -1  # the connection breaks after so many
    hold: threading.Event | None = None  # after `cut_bytes`, wait for this and then go on
    flip: bool = False  # another first byte
    whole: bool = False  # ignores Range
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Holding:
    """One repository."""

    files: dict[str, bytes]
    commit: str = "c" * 40
    gated: bool = False
    members: set[str] = field(default_factory=set)  # tokens of those who accepted the terms
    large: tuple[str, ...] = (".bin", ".npz")  # endings of the files kept in LFS
    claims: dict[str, bytes] = field(default_factory=dict)  # what it says it holds, where that is not so


@dataclass
class Asked:
    method: str
    host: str
    path: str
    token: str
    range: str


class HubServer(ThreadingHTTPServer):
    """Answers until closed; remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Holding] = {}
        self.renamed: dict[str, str] = {}  # repositories, as the hub redirects them
        self.files: dict[str, bytes] = {}
        self.tokens: set[str] = set()
        self.faults: dict[str, list[Fault]] = {}
        self.asked: list[Asked] = []

    @property
    def address(self) -> str:
        return f"http://localhost:{self.server_port}"

    @property
    def other_address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def fail(self, path: str, *faults: Fault) -> None:
        """The next GETs of a path go wrong in this way, one after the other."""
        self.faults.setdefault(path, []).extend(faults)

    def ranges(self, ending: str) -> list[str]:
        """The ranges asked for in the GETs of a file, in order."""
        gets = (each for each in self.asked if each.method == "GET" and each.path.endswith(ending))
        return [each.range for each in gets]


@contextmanager
def serve() -> Iterator[HubServer]:
    server = HubServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def blob_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    @property
    def hub(self) -> HubServer:
        return cast(HubServer, self.server)

    @property
    def token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def do_HEAD(self) -> None:
        self._route()

    def do_GET(self) -> None:
        self._route()

    def _route(self) -> None:
        path = unquote(urlsplit(self.path).path)
        host = self.headers.get("Host", "").partition(":")[0]
        self.hub.asked.append(Asked(self.command, host, path, self.token, self.headers.get("Range", "")))
        moved = next((name for name in self.hub.renamed if f"/{name}/" in f"{path}/"), "")
        if moved:
            self._refuse(307, {"Location": self.path.replace(moved, self.hub.renamed[moved])})
        elif path.startswith("/api/models/"):
            self._describe(path.removeprefix("/api/models/"))
        elif "/resolve/" in path:
            self._resolve(path)
        elif path in self.hub.files:
            self._send(path, self.hub.files[path])
        else:
            self._refuse(404)

    def _describe(self, rest: str) -> None:
        name, _, commit = rest.partition("/revision/")
        fault = self._fault(f"/api/models/{name}")
        holding = self.hub.repositories.get(name)
        if fault.status:
            self._refuse(fault.status, fault.headers)
        elif self.token and self.token not in self.hub.tokens:
            self._refuse(401, UNKNOWN_TOKEN)
        elif holding is None:
            self._refuse(401, {"X-Error-Code": "RepoNotFound"})
        elif commit not in {"", "main", holding.commit}:
            self._refuse(404, {"X-Error-Code": "RevisionNotFound"})
        else:
            siblings = [_sibling(holding, path) for path in holding.files]
            self._answer(200, json.dumps({"id": name, "sha": holding.commit, "siblings": siblings}).encode())

    def _resolve(self, path: str) -> None:
        name, _, rest = path[1:].partition("/resolve/")
        commit, _, file = rest.partition("/")
        holding = self.hub.repositories[name]
        assert commit == holding.commit
        if holding.gated and self.token not in holding.members:
            known = self.token in self.hub.tokens
            self._refuse(403 if known else 401, GATED if known or not self.token else UNKNOWN_TOKEN)
            return
        data = holding.claims.get(file, holding.files[file])
        headers = {"X-Repo-Commit": commit, "ETag": f'"{blob_sha1(data)}"'}
        if file.endswith(holding.large):
            place = f"/blobs/{name}/{file}"
            self.hub.files[place] = holding.files[file]
            linked = {
                "X-Linked-Size": str(len(data)),
                "X-Linked-ETag": f'"{hashlib.sha256(data).hexdigest()}"',
            }
            self._answer(302, b"", headers | linked | {"Location": f"{self.hub.other_address}{place}"})
        else:
            self._send(path, holding.files[file], headers)

    def _send(self, path: str, data: bytes, headers: dict[str, str] | None = None) -> None:
        fault = self._fault(path) if self.command == "GET" else Fault()
        if fault.status:
            self._refuse(fault.status, fault.headers)
            return
        wanted = "" if fault.whole else self.headers.get("Range", "")
        start = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        if start and start >= len(data):
            self._refuse(416)
            return
        body = (bytes([data[0] ^ 1]) + data[1:] if fault.flip else data)[start:]
        extra = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if wanted else {}
        self._answer(206 if wanted else 200, body, (headers or {}) | extra, fault)

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, fault: Fault | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self._write(body, fault or Fault())

    def _write(self, body: bytes, fault: Fault) -> None:
        try:
            self.wfile.write(body if fault.cut_bytes < 0 else body[: fault.cut_bytes])
            if fault.hold is not None:
                fault.hold.wait()
                self.wfile.write(body[fault.cut_bytes :])
            elif fault.cut_bytes >= 0:
                self.close_connection = True
        except OSError:  # whoever asked has gone
            self.close_connection = True

    def _refuse(self, status: int, headers: dict[str, str] | None = None) -> None:
        self._answer(status, b"", headers)

    def _fault(self, path: str) -> Fault:
        waiting = self.hub.faults.get(path)
        return waiting.pop(0) if waiting else Fault()


def _sibling(holding: Holding, path: str) -> dict[str, object]:
    data = holding.claims.get(path, holding.files[path])
    described: dict[str, object] = {"rfilename": path, "size": len(data), "blobId": blob_sha1(data)}
    if path.endswith(holding.large):
        described["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return described
