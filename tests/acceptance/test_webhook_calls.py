"""Webhooks from beginning to end: the job ends, and a receiver that checks signatures is called."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from tests.acceptance.server import PATIENCE, Service, recording, service, submit, wait_for
from tests.service.receiver import Answer, Delivery, Receiver, receive

pytestmark = pytest.mark.acceptance

SECRET = "whsec_" + "c2VjcmV0" * 4
NOTES = {"episode": "7"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("webhooks") / "data"
    with service(folder, webhook_secret=SECRET, webhook_private_addresses=1) as running:
        running.serve()
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receive() as receiver:
        yield receiver


def _submit(client: httpx.Client, audio: Path, url: str, name: str = "") -> str:
    job: str = submit(client, audio, name=name, options=json.dumps({"webhook": url, "metadata": NOTES}))["id"]
    return job


def _wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _verified(delivery: Delivery) -> dict[str, Any]:
    """What was sent, if its signature is good. Raises WebhookVerificationError."""
    body: dict[str, Any] = Webhook(SECRET).verify(delivery.body, delivery.headers)
    return body


def _tries(running: Service, job: str) -> list[tuple[str, str]]:
    """What the engine's tables know of a job, with its state."""
    with closing(sqlite3.connect(running.data / "turnwise.db")) as connection:
        query = "SELECT workflow_uuid, status FROM workflow_status WHERE workflow_uuid LIKE ? ORDER BY 1"
        return connection.execute(query, (f"%{job}%",)).fetchall()


def test_every_end_is_told_once(running: Service, receiver: Receiver, tmp_path: Path) -> None:
    with running.client() as client:
        ends = {"succeeded": "talk.wav", "failed": "deaf.wav", "cancelled": "slow-600.wav"}
        jobs = {
            _submit(client, recording(tmp_path), receiver.url(path=f"/{state}"), name): state
            for state, name in ends.items()
        }
        [last] = [job for job, state in jobs.items() if state == "cancelled"]
        assert client.post(f"/v1/jobs/{last}/cancel").status_code == 200
        for job, state in jobs.items():
            assert wait_for(client, job)["state"] == state
        _wait_until(lambda: len(receiver.deliveries) >= len(jobs))
        _wait_until(lambda: all((f"webhook-{job}-0", "SUCCESS") in _tries(running, job) for job in jobs))
        finished = {job: client.get(f"/v1/jobs/{job}").json()["finished"] for job in jobs}
    assert len(receiver.deliveries) == len(jobs)
    for delivery in receiver.deliveries:
        body = _verified(delivery)
        job, state = body["data"]["id"], body["data"]["state"]
        assert jobs.pop(job) == state
        assert delivery.path == f"/{state}"
        assert body["type"] == f"job.{state}"
        assert body["data"]["metadata"] == NOTES
        assert body["timestamp"][:19] == finished[job][:19]
        assert delivery.headers["webhook-id"] == f"msg_{job}"
        assert delivery.headers["content-type"] == "application/json"


def test_a_deleted_job_calls_nobody_any_more(running: Service, receiver: Receiver, tmp_path: Path) -> None:
    """Not even when it was deleted while the receiver, which then wants it again, was thinking."""
    hold = threading.Event()
    receiver.answers.append(Answer(500, hold=hold))
    with running.client() as client:
        job = _submit(client, recording(tmp_path), receiver.url())
        _wait_until(lambda: len(receiver.deliveries) == 1)
        assert client.delete(f"/v1/jobs/{job}").status_code == 204
        hold.set()
        other = _submit(client, recording(tmp_path), receiver.url())  # whose call comes after
        _wait_until(lambda: len(receiver.deliveries) == 2)
    assert _verified(receiver.deliveries[1])["data"]["id"] == other
    _wait_until(lambda: (f"webhook-{other}-0", "SUCCESS") in _tries(running, other))
    assert _tries(running, job) == []
    assert "workflow broke" not in running.programs[-1].log.read_text()


def test_a_call_that_was_not_taken_comes_again_even_after_a_crash(
    running: Service, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.answers.append(Answer(500))
    with running.client() as client:
        job = _submit(client, recording(tmp_path), receiver.url())
    _wait_until(lambda: (f"webhook-{job}-1", "DELAYED") in _tries(running, job))
    running.programs[-1].kill()
    running.serve()
    _wait_until(lambda: len(receiver.deliveries) == 2)
    first, second = receiver.deliveries
    assert _verified(first) == _verified(second)
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == f"msg_{job}"
    assert int(second.headers["webhook-timestamp"]) > int(first.headers["webhook-timestamp"])


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "http://user:password@127.0.0.1/", "http://", "no address", "http://a:0/"]
)
def test_a_url_that_cannot_be_called_is_refused_at_once(running: Service, tmp_path: Path, url: str) -> None:
    files = {"audio": ("talk.wav", recording(tmp_path, seconds=1.0).read_bytes())}
    with running.client() as client:
        before = client.get("/v1/jobs").json()["jobs"]
        answer = client.post("/v1/jobs", files=files, data={"options": json.dumps({"webhook": url})})
        assert answer.status_code == 422
        assert answer.json()["code"] == "invalid"
        assert "webhook" in answer.json()["detail"]
        assert client.get("/v1/jobs").json()["jobs"] == before
