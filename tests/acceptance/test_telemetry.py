"""Traces reach a collector, where one is set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.acceptance.server import recording, service, submit, wait_for

pytestmark = pytest.mark.acceptance


@contextmanager
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Its address, and all that it was sent."""
    received: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


def test_requests_and_stages_are_traced_and_nothing_of_the_user_with_them(tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.sdk")
    with collector() as (url, received), service(tmp_path / "data", otlp_endpoint=url) as running:
        program = running.serve()
        with running.client() as client:
            job = submit(client, recording(tmp_path), text="What nobody else may read.", name="secret.wav")
            wait_for(client, job["id"])
        assert program.stop() == 0
    assert {path for path, _ in received} == {"/v1/traces"}
    sent = b"".join(body for _, body in received)
    for expected in ("stage transcribe", "stage store", "POST /v1/jobs", job["id"]):
        assert expected.encode() in sent
    for private in ("nobody else", "secret.wav"):
        assert private.encode() not in sent
