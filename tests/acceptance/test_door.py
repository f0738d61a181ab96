"""Connections of people without a key cannot take a server down: few descriptors, many halves of requests."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.acceptance.server import Program, Service, recording, service, submit, wait_for

pytestmark = pytest.mark.acceptance

FEW = ("sh", "-c", 'ulimit -n 256; exec "$@"', "sh")
HALF = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Half: "
BODY = (
    b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    b"Content-Length: 1000\r\n\r\n--x\r\n"
)
HELD = 300


@contextmanager
def beset(data: Path, half: bytes) -> Iterator[tuple[Service, Program]]:
    """A server that answers at once, although many send it half a request and wait."""
    with service(data) as running, ExitStack() as held:
        running.prefix = FEW
        program = running.serve()
        address = httpx.URL(running.url)
        for _ in range(HELD):
            connection = held.enter_context(socket.create_connection((address.host, address.port or 0)))
            connection.sendall(half)
        for _ in range(20):
            assert httpx.get(f"{running.url}/health/live", timeout=5).status_code == 200
        yield running, program


def test_half_requests_hold_nobody_up(tmp_path: Path) -> None:
    with beset(tmp_path / "data", HALF) as (running, program):
        began = time.time()
        with running.client() as client:
            job = submit(client, recording(tmp_path))["id"]
            assert wait_for(client, job)["state"] == "succeeded"
        notes = list((running.data / "executors").iterdir())
        assert max(note.stat().st_mtime for note in notes) >= began  # the sweep goes on
        log = program.log.read_text()
        assert log.count("too many connections") == 1
        assert "system resource" not in log
        assert len(log.splitlines()) < 200


def test_half_bodies_hold_nobody_up(tmp_path: Path) -> None:
    with beset(tmp_path / "data", BODY) as (running, _), running.client() as client:
        assert client.get("/v1/jobs").json()["jobs"] == []
