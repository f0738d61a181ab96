"""Health checks as commands: of an API over HTTP, of a worker by the time of its last look."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pipelines.errors import OutputError
from service.cli import main
from service.observability import health
from service.settings import Settings


class _Api(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/health/live" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(_Api, "status", 200)
    server = HTTPServer(("127.0.0.1", 0), _Api)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_an_api_that_answers(host: str, port: int) -> None:
    assert health.check_api(Settings(host=host, port=port)) == f"The API answers on port {port}."


def test_an_api_that_answers_something_else(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Api, "status", 503)
    with pytest.raises(OutputError, match="answers 503"):
        health.check_api(Settings(port=port))


def test_a_port_on_which_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health", "--port", "1"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "No API answers on port 1 (" in said.err


def test_a_worker_is_at_work_while_it_looks_around(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No worker"):
        health.check_worker(tmp_path)
    for executor in ("a", "b"):
        health.note_worker(tmp_path, executor)
    assert health.check_worker(tmp_path) == "A worker is running."
    health.forget_worker(tmp_path, "a")
    health.forget_worker(tmp_path, "a")
    long_ago = time.time() - 10 * health.SWEEP_SECONDS
    os.utime(tmp_path / "b.alive", (long_ago, long_ago))
    with pytest.raises(OutputError):
        health.check_worker(tmp_path)
    health.note_worker(tmp_path, "c")
    health.forget_gone(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["c.alive"]


def test_the_command_looks_into_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TURNWISE_DATA_DIR", str(tmp_path))
    (tmp_path / "executors").mkdir()
    assert main(["health", "--worker"]) == 1
    assert "No worker is running" in capsys.readouterr().err
    health.note_worker(tmp_path / "executors", "a")
    assert main(["health", "--worker"]) == 0
    assert capsys.readouterr().out == "A worker is running.\n"
