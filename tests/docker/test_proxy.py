"""The proxy of compose.scale.yaml, for real, in front of a small server."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.docker.named import DOCKER

PATIENCE = 20.0
PIECE = b"x" * 2**16


class Api(BaseHTTPRequestHandler):
    """Notes what arrives, and answers a GET with two events, the second one when it is allowed."""

    protocol_version = "HTTP/1.1"
    arrived = threading.Event()
    allowed = threading.Event()

    def do_POST(self) -> None:
        self.rfile.read(len(PIECE))
        self.arrived.set()
        self.rfile.read(int(self.headers["Content-Length"]) - len(PIECE))
        self._answer(202, "application/json", b"{}")

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in (b"data: 1\n\n", b"data: 2\n\n", b""):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
            self.allowed.wait(PATIENCE)

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[HTTPConnection]:
    """A connection to the proxy, with the server's name and both ports changed to what is free here."""
    caddy = shutil.which("caddy")
    if not caddy:
        pytest.skip("There is no caddy here: apt-get install caddy.")
    Api.arrived.clear()
    Api.allowed.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        text = (DOCKER / "Caddyfile").read_text(encoding="utf-8")
        assert text.count(":8000 {") == text.count("dynamic a api 8000 {") == 1
        text = text.replace(":8000 {", f":{port} {{")
        text = text.replace("dynamic a api 8000 {", f"dynamic a localhost {server.server_port} {{")
        (tmp_path / "Caddyfile").write_text(text, encoding="utf-8")
        run = [caddy, "run", "--config", str(tmp_path / "Caddyfile"), "--adapter", "caddyfile"]
        home = {"HOME": str(tmp_path)}
        with subprocess.Popen(run, env=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                with closing(_connected(port)) as connection:
                    yield connection
            finally:
                Api.allowed.set()
                process.terminate()
                process.wait(PATIENCE)
                server.shutdown()


def _connected(port: int) -> HTTPConnection:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(ConnectionRefusedError):
            connection.connect()
            return connection
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_body_passes_as_it_arrives(proxy: HTTPConnection) -> None:
    proxy.putrequest("POST", "/v1/jobs")
    proxy.putheader("Content-Length", str(2 * len(PIECE)))
    proxy.endheaders(PIECE)
    assert Api.arrived.wait(PATIENCE)
    proxy.send(PIECE)
    assert proxy.getresponse().status == 202


def test_event_passes_as_it_arrives(proxy: HTTPConnection) -> None:
    proxy.request("GET", "/v1/jobs/1/events")
    answer = proxy.getresponse()
    assert answer.read1() == b"data: 1\n\n"
    Api.allowed.set()
    assert answer.read() == b"data: 2\n\n"


def test_metrics_of_one_of_them_are_not_shown(proxy: HTTPConnection) -> None:
    proxy.request("GET", "/metrics")
    assert proxy.getresponse().status == 404
