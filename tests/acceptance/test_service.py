"""The service as a user meets it: send, watch, fetch; stop it and start it again."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pipelines import formats
from pipelines.cli import main
from tests.acceptance.server import DEMO, PATIENCE, Service, recording, service, submit, wait_for

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("service") / "data") as running:
        running.serve()
        yield running


@pytest.fixture
def client(running: Service) -> Iterator[httpx.Client]:
    with running.client() as client:
        yield client


def test_a_job_from_beginning_to_end(client: httpx.Client, tmp_path: Path) -> None:
    job = submit(client, recording(tmp_path), text="The talks went on all night.")
    ended = wait_for(client, job["id"])
    assert ended["state"] == "succeeded", ended
    assert ended["fraction"] == 1.0
    assert all(stage["state"] == "succeeded" for stage in ended["stages"])
    result = client.get(f"/v1/jobs/{job['id']}/result").json()
    assert [token["text"] for token in result["tokens"]] == ["The", "talks", "went", "on", "all", "night."]
    for name in formats.FORMATS:
        answer = client.get(f"/v1/jobs/{job['id']}/export/{name}")
        assert answer.content
        assert f'filename="talk.{name}"' in answer.headers["Content-Disposition"]
    for part, file in (("audio", "talk.wav"), ("heard", "heard.json"), ("diarization", "diarization.rttm")):
        named = client.get(f"/v1/jobs/{job['id']}/{part}").headers["Content-Disposition"]
        assert f'filename="{file}"' in named


def test_events_tell_of_everything_and_end(client: httpx.Client, tmp_path: Path) -> None:
    job = submit(client, recording(tmp_path), name="slow-2.wav")
    with client.stream("GET", f"/v1/jobs/{job['id']}/events") as answer:
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
    assert events[-1]["state"] == "succeeded"
    fractions = [event["fraction"] for event in events]
    assert fractions == sorted(fractions)
    assert any(0 < event["stages"]["transcribe"] < 1 for event in events)
    last = client.get(f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": "1000"})
    assert last.status_code == 204


def test_a_server_that_is_started_again_goes_on(tmp_path: Path) -> None:
    with service(tmp_path / "data") as running:
        program = running.serve()
        with running.client() as client:
            job = submit(client, recording(tmp_path), name="slow-4.wav")
            wait_for(client, job["id"], "running")
        assert program.stop() == 0
        running.serve()
        with running.client() as client:
            assert wait_for(client, job["id"])["state"] == "succeeded"


def test_a_worker_shows_its_metrics_where_it_is_told(tmp_path: Path) -> None:
    here, elsewhere = "127.0.0.2", "127.0.0.1"
    with socket.create_server((here, 0)) as free:
        port = free.getsockname()[1]
    with service(tmp_path / "data", worker_metrics_host=here, worker_metrics_port=port) as running:
        running.work()
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                page = httpx.get(f"http://{here}:{port}/metrics").text
                break
            except httpx.ConnectError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert 'turnwise_webhooks_total{outcome="retried"} 0.0' in page
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://{elsewhere}:{port}/metrics")


@pytest.mark.engine
def test_the_results_are_those_of_the_command_byte_for_byte(tmp_path: Path) -> None:
    clip = DEMO.parent / "clip"
    names = ",".join(formats.FORMATS)
    audio, text = clip / "clip.opus", clip / "supplied.txt"
    command = ["run", audio, "--text", text, "-o", tmp_path / "out", "--formats", names, "--quiet"]
    assert main([str(word) for word in command]) == 0
    with service(tmp_path / "data", fake=False) as running:
        running.serve()
        with running.client() as client:
            files = {
                "audio": (audio.name, audio.read_bytes()),
                "text": (text.name, text.read_bytes()),
            }
            job = client.post("/v1/jobs", files=files).json()
            assert wait_for(client, job["id"], patience=300)["state"] == "succeeded"
            for name in formats.FORMATS:
                sent = client.get(f"/v1/jobs/{job['id']}/export/{name}").content
                assert sent == (tmp_path / "out" / f"result.{name}").read_bytes(), name
