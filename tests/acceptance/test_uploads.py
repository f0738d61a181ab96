"""Resumable uploads to a running service that is killed, left and stopped in the middle of them."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import httpx
import pytest

from tests.acceptance.server import PATIENCE, Program, Service, service

pytestmark = pytest.mark.acceptance

KILLS = int(os.environ.get("TURNWISE_TEST_KILLS", "5"))
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = TUS | {"Content-Type": "application/offset+octet-stream"}
CHUNK_BYTES = 50_000


def begin(client: httpx.Client, content: bytes) -> str:
    sha256 = b64encode(hashlib.sha256(content).hexdigest().encode()).decode()
    headers = TUS | {"Upload-Length": str(len(content)), "Upload-Metadata": f"sha256 {sha256}"}
    answer = client.post("/v1/uploads", headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def offset_bytes(client: httpx.Client, url: str) -> int:
    answer = client.head(url, headers=TUS)
    assert answer.status_code == 200
    return int(answer.headers["upload-offset"])


def send(client: httpx.Client, url: str, begin: int, content: Iterator[bytes] | bytes) -> httpx.Response:
    return client.patch(url, headers=PIECE | {"Upload-Offset": str(begin)}, content=content)


def check_recording(client: httpx.Client, url: str, content: bytes) -> None:
    """A job takes the upload, and its recording is what was sent."""
    job = client.post("/v1/jobs", files={"upload": (None, url[-32:])})
    assert job.status_code == 202, job.text
    recording = client.get(f"/v1/jobs/{job.json()['id']}/audio").content
    assert hashlib.sha256(recording).digest() == hashlib.sha256(content).digest()


def deadly(content: bytes, begin: int, program: Program, data: Path, enough: int) -> Iterator[bytes]:
    """The content from `begin`, and the end of the server once it has written so much of it."""
    for start in range(begin, len(content) - CHUNK_BYTES, CHUNK_BYTES):
        if data.stat().st_size >= enough:
            program.process.kill()
        yield content[start : start + CHUNK_BYTES]
    while data.stat().st_size < enough:
        time.sleep(0.001)
    program.process.kill()


def test_no_kill_of_the_server_spoils_an_upload(tmp_path: Path) -> None:
    """kill -9 in the middle of requests; more often with TURNWISE_TEST_KILLS=200."""
    random = Random(4)
    content = random.randbytes((KILLS + 2) * 2**21)
    with service(tmp_path / "data") as running:
        program = running.serve("--no-worker")
        with running.client() as client:
            url = begin(client, content)
        data = running.data / "uploads" / url[-32:] / "data"
        kept = 0
        for _ in range(KILLS):
            pieces = deadly(content, kept, program, data, kept + random.randrange(1, 2**21))
            with running.client() as client, pytest.raises(httpx.TransportError):
                send(client, url, kept, pieces)
            program.process.wait()
            assert data.read_bytes() == content[: data.stat().st_size]
            program = running.serve("--no-worker")
            with running.client() as client:
                before, kept = kept, offset_bytes(client, url)
            assert before < kept < len(content)
        with running.client() as client:
            assert send(client, url, kept, content[kept:]).status_code == 204
            check_recording(client, url, content)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("uploads") / "data") as running:
        running.serve("--no-worker")
        yield running


@pytest.mark.parametrize("sent_bytes", [300_000, 2**20 + 17])
def test_what_arrived_before_the_connection_broke_is_kept(running: Service, sent_bytes: int) -> None:
    content = Random(sent_bytes).randbytes(2**21)
    with running.client() as client:
        url = begin(client, content)
        with unfinished(running.url, url, content, sent_bytes):
            pass
        deadline = time.monotonic() + PATIENCE
        while (kept := offset_bytes(client, url)) < sent_bytes:
            assert time.monotonic() < deadline, kept
            time.sleep(0.05)
        while (answer := send(client, url, kept, content[kept:])).status_code == 409:
            assert time.monotonic() < deadline, answer.text  # its connection is just being closed
            time.sleep(0.05)
        assert answer.status_code == 204
        check_recording(client, url, content)


@contextmanager
def unfinished(server: str, url: str, content: bytes, sent_bytes: int) -> Iterator[socket.socket]:
    """The connection of a request of which so many bytes of the body were sent."""
    address = urlsplit(server)
    assert address.hostname
    assert address.port
    head = {**PIECE, "Host": address.netloc, "Upload-Offset": "0", "Content-Length": str(len(content))}
    lines = [f"PATCH {url} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
    with socket.create_connection((address.hostname, address.port), PATIENCE) as connection:
        connection.sendall("\r\n".join(lines).encode() + content[:sent_bytes])
        yield connection


def test_a_server_that_is_stopped_keeps_what_arrived(tmp_path: Path) -> None:
    content = Random(5).randbytes(2**21)
    with service(tmp_path / "data") as running:
        program = running.serve("--no-worker")
        with running.client() as client:
            url = begin(client, content)
        data = running.data / "uploads" / url[-32:] / "data"
        with unfinished(running.url, url, content, 2**20 + 2**19) as connection:
            while data.stat().st_size < 2**20:
                time.sleep(0.01)
            assert program.stop() == 0
            answer = b"".join(iter(lambda: connection.recv(2**16), b""))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b'"code":"unavailable"' in answer
        running.serve("--no-worker")
        with running.client() as client:
            kept = offset_bytes(client, url)
            assert kept >= 2**20
            assert send(client, url, kept, content[kept:]).status_code == 204
            check_recording(client, url, content)
