"""A receiver of webhooks on this machine that remembers what it was sent and answers as told."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

TLS = Path(__file__).resolve().parents[1] / "data" / "tls"
"""A certificate for hooks.example.org that vouches for itself, made for these tests and good until 2120."""


@dataclass
class Answer:
    """What the receiver says to one request."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body_blocks: int = 0  # of 64 KiB
    hold: threading.Event | None = None  # wait for this before answering


@dataclass
class Delivery:
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, secure: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scheme = "https" if secure else "http"
        self.answers: list[Answer] = []
        self.deliveries: list[Delivery] = []
        self.blocks_sent = 0
        self.closed_early = threading.Event()
        if secure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def url(self, host: str = "127.0.0.1", path: str = "/hook") -> str:
        return f"{self.scheme}://{host}:{self.server_port}{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: clients that turn away are what the tests are about."""


@contextmanager
def receive(secure: bool = False) -> Iterator[Receiver]:
    server = Receiver(secure)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        server = cast(Receiver, self.server)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        server.deliveries.append(Delivery(self.path, headers, body))
        answer = server.answers.pop(0) if server.answers else Answer()
        if answer.hold:
            answer.hold.wait()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for _ in range(answer.body_blocks):
                self.wfile.write(b"x" * 65536)
                server.blocks_sent += 1
        except OSError:
            server.closed_early.set()
