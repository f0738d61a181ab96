"""Connections of people without a key cannot take a server down: few descriptors, many halves of requests."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.acceptance.server import recording, service, submit, wait_for

pytestmark = pytest.mark.acceptance

FEW = ("sh", "-c", 'ulimit -n 256; exec "$@"', "sh")
HALF = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Half: "
BODY = (
    b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    b"Content-Length: 1000\r\n\r\n--x\r\n"
)
HELD = 300


def test_half_requests_hold_nobody_up(tmp_path: Path) -> None:
    with service(tmp_path / "data") as running, ExitStack() as held:
        running.prefix = FEW
        program = running.serve()
        address = httpx.URL(running.url)
        for _ in range(HELD):
            half = held.enter_context(socket.create_connection((address.host, address.port or 0)))
            half.sendall(HALF)
        for _ in range(20):
            assert httpx.get(f"{running.url}/health/live", timeout=5).status_code == 200
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
    with service(tmp_path / "data") as running, ExitStack() as held:
        running.prefix = FEW
        running.serve()
        address = httpx.URL(running.url)
        for _ in range(HELD):
            half = held.enter_context(socket.create_connection((address.host, address.port or 0)))
            half.sendall(BODY)
        for _ in range(20):
            assert httpx.get(f"{running.url}/health/live", timeout=5).status_code == 200
