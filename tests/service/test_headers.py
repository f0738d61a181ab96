"""What surrounds every answer: what browsers and caches are told, and what may be read in two ways."""

from __future__ import annotations

import asyncio
import io
import os
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from service.api import access, upload_routes
from service.api.app import create_app
from service.api.context import Context
from service.api.sending import named
from service.api.watching import Watcher
from service.files.storage import Request, new_id
from service.records import database, jobs
from service.records.jobs import JobState
from service.running.serving import opened
from service.settings import Settings


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    with opened(Settings(data_dir=tmp_path / "data")) as context:
        yield context


@pytest.fixture
def client(context: Context) -> Iterator[TestClient]:
    with TestClient(create_app(context), "http://localhost") as client:
        yield client


def made(context: Context, owner: str = "") -> str:
    """A queued job that nobody runs."""
    id = new_id()
    context.storage.incoming(id).write_request(Request("talk.wav"))
    context.storage.admit(id)
    with context.engine.begin() as connection:
        jobs.insert(connection, id, owner, "")
    return id


def test_json_is_nobody_elses_to_read_or_to_keep(client: TestClient) -> None:
    for address in ("/v1/jobs", "/v1/jobs/none", "/v1/engines", "/openapi.json", "/health/live", "/none"):
        headers = client.get(address).headers
        assert headers["cross-origin-resource-policy"] == "same-origin", address
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "private, no-cache"
    assert client.get("/docs").headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("address", ["/health/live", "/v1/jobs", "/v1/uploads", "/none"])
def test_two_lengths_of_one_body_are_refused(client: TestClient, address: str) -> None:
    sent = {"Content-Length": "5", "Transfer-Encoding": "chunked"}
    answer = client.post(address, headers=sent, content=b"0\r\n\r\n")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("talk.vtt", "inline; filename=\"talk.vtt\"; filename*=UTF-8''talk.vtt"),
        ('a "b"\\c;.vtt', "inline; filename=\"a _b__c_.vtt\"; filename*=UTF-8''a%20%22b%22%5Cc%3B.vtt"),
        ("Gespräch.srt", "inline; filename=\"Gespr_ch.srt\"; filename*=UTF-8''Gespr%C3%A4ch.srt"),
        ("新聞%41.txt", "inline; filename=\"___41.txt\"; filename*=UTF-8''%E6%96%B0%E8%81%9E%2541.txt"),
    ],
)
def test_names_of_files(name: str, header: str) -> None:
    assert named(name) == {"Content-Disposition": header}
    header.encode("ascii")


def test_an_unknown_format_is_answered_with_a_sentence(client: TestClient, context: Context) -> None:
    detail = client.get(f"/v1/jobs/{made(context)}/export/docx").json()["detail"]
    assert detail.startswith("format: there is no such format: choose from json, ")


# --------------------------------------------------------------------------- many jobs, and waiting for one


def test_jobs_by_their_ids(client: TestClient, context: Context) -> None:
    mine, others = [made(context) for _ in range(3)], made(context, "somebody else")
    page = client.get(
        "/v1/jobs", params={"ids": ",".join([mine[0], new_id(), others, mine[2], mine[0]])}
    ).json()
    assert [job["id"] for job in page["jobs"]] == [mine[2], mine[0]]
    assert page["cursor"] == ""
    many = ",".join(new_id() for _ in range(100))
    assert client.get("/v1/jobs", params={"ids": many}).json()["jobs"] == []
    assert client.get("/v1/jobs", params={"ids": ""}).json() == {"jobs": [], "cursor": ""}
    for wrong in (f"{many},{new_id()}", "x", f"{mine[0]},", ","):
        refused = client.get("/v1/jobs", params={"ids": wrong})
        assert refused.status_code == 422
        assert refused.json()["detail"] == "ids: it must be the ids of at most 100 jobs, separated by commas."


def test_an_answer_waits_for_the_end_of_a_job(client: TestClient, context: Context) -> None:
    id, other = made(context), made(context)
    assert client.get(f"/v1/jobs/{id}", params={"wait": 0.05}).json()["state"] == "queued"

    def end() -> None:
        with context.engine.begin() as connection:
            jobs.end(connection, id, JobState.CANCELLED)

    ending = threading.Timer(0.2, end)
    ending.start()
    assert client.get(f"/v1/jobs/{id}", params={"wait": 60}).json()["state"] == "cancelled"
    ending.join()
    assert client.get(f"/v1/jobs/{id}", params={"wait": 60}).json()["state"] == "cancelled"
    assert client.get(f"/v1/jobs/{new_id()}", params={"wait": 60}).status_code == 404
    for wrong in ("-1", "61", "nan", "inf", "x"):
        assert client.get(f"/v1/jobs/{other}", params={"wait": wrong}).status_code == 422
    assert not +context.waiting


def test_the_age_of_the_oldest_waiting_job_is_a_metric(client: TestClient, context: Context) -> None:
    assert "turnwise_oldest_waiting_seconds 0.0\n" in client.get("/metrics").text
    id = made(context)
    with context.engine.begin() as connection:
        connection.execute(sa.update(database.jobs).where(database.jobs.c.id == id).values(created=1000.0))
    found = re.search(r"^turnwise_oldest_waiting_seconds (.+)$", client.get("/metrics").text, re.MULTILINE)
    assert found
    assert float(found[1]) > 1_000_000


async def no_changes(*watched: object) -> AsyncIterator[None]:
    for _ in range(0):
        yield


def test_requests_that_wait_are_counted_by_key(
    client: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "MOST_WAITING", 2)
    id = made(context)
    context.waiting[""] = 2
    with monkeypatch.context() as patch:
        patch.setattr(Watcher, "changes", no_changes)  # or what is not refused would wait for ever
        waits = [client.get(f"/v1/jobs/{id}/events"), client.get(f"/v1/jobs/{id}", params={"wait": 5})]
        waits.append(
            client.post("/v1/audio/transcriptions", files={"file": b"RIFF"}, data={"model": "whisper-1"})
        )
    assert {(answer.status_code, answer.json()["code"]) for answer in waits} == {(429, "too_many_requests")}
    assert client.get(f"/v1/jobs/{id}").status_code == 200
    context.waiting[""] = 1
    with context.engine.begin() as connection:
        jobs.end(connection, id, JobState.CANCELLED)
    assert "event: end" in client.get(f"/v1/jobs/{id}/events").text
    assert context.waiting[""] == 1  # given back


def test_begun_uploads_are_counted_by_key(
    client: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_routes, "MOST_BEGUN", 3)

    def begin() -> Any:
        return client.post("/v1/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "5"})

    begun = [begin() for _ in range(3)]
    assert {answer.status_code for answer in begun} == {201}
    refused = begin()
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert client.delete(begun[1].headers["Location"], headers={"Tus-Resumable": "1.0.0"}).status_code == 204
    assert begin().status_code == 201
    assert begin().status_code == 429


# --------------------------------------------------------------------------- the loop of events


def test_no_file_is_touched_where_all_requests_wait(
    client: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk can take seconds, and everybody else would wait for it, too."""
    touched: list[str] = []

    def noted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(path: Any, *args: Any, **options: Any) -> Any:
            try:
                asyncio.get_running_loop()
            except RuntimeError:  # a thread of its own
                return call(path, *args, **options)
            if str(path).startswith(str(context.storage.root)):
                touched.append(f"{name} {path}")
            return call(path, *args, **options)

        return wrapped

    for module, names in (
        (os, ("listdir", "mkdir", "open", "rename", "replace", "rmdir", "scandir", "stat", "unlink")),
        (io, ("open",)),
    ):
        for name in names:
            monkeypatch.setattr(module, name, noted(name, getattr(module, name)))
    tus = {"Tus-Resumable": "1.0.0"}
    piece = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    sent = {"audio": b"RIFF", "text": b"Good evening."}
    assert client.post("/v1/jobs", files=sent | {"heard": b"{}"}).status_code == 422
    job = client.post("/v1/jobs", files=sent).headers["Location"]
    upload = client.post("/v1/uploads", headers=tus | {"Upload-Length": "4"}).headers["Location"]
    assert client.patch(upload, headers=tus | piece, content=b"RIFF").status_code == 204
    assert client.head(upload, headers=tus).status_code == 200
    made_of_it = client.post("/v1/jobs", files={"upload": (None, upload.rpartition("/")[2])})
    assert made_of_it.status_code == 202
    for path in (job, f"{job}/audio", f"{job}/heard", f"{job}/diarization", f"{job}/export/vtt", "/v1/jobs"):
        assert client.get(path).status_code in {200, 409}
    for path in (job, made_of_it.headers["Location"]):
        assert client.delete(path).status_code == 204
    assert touched == []
