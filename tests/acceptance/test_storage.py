"""An API and workers that share no disk: PostgreSQL and an object store are all that is between them."""

from __future__ import annotations

import hashlib
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipelines import formats
from tests.acceptance.server import PATIENCE, Service, recording, service, submit, wait_for
from tests.support.objects import Server as ObjectServer
from tests.support.postgres import Server

pytestmark = pytest.mark.acceptance

TUS = {"Tus-Resumable": "1.0.0"}
TEXT = "The talks went on all night."


@dataclass
class Machines:
    """Two APIs and a worker, each with a data folder of its own."""

    apis: tuple[Service, Service]
    worker: Service
    objects: ObjectServer
    bucket: str

    def names(self, id: str) -> set[str]:
        """Of the objects of a job, or an upload."""
        pages = self.objects.client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        names = {entry["Key"] for page in pages for entry in page.get("Contents", [])}
        return {name for name in names if id in name}

    def stages(self, job: str) -> set[str]:
        """Of which there are objects."""
        return {name.split("/")[4] for name in self.names(job) if "/stages/" in name}

    @property
    def runs(self) -> Path:
        """What the engines note."""
        return self.worker.data.parent / "runs"


@pytest.fixture(scope="module")
def machines(
    tmp_path_factory: pytest.TempPathFactory, postgres: Server, object_server: ObjectServer
) -> Iterator[Machines]:
    tmp_path = tmp_path_factory.mktemp("machines")
    bucket = object_server.create_bucket()
    settings: dict[str, Any] = {
        "database_url": postgres.create_database(),
        "storage_url": f"s3://{bucket}/turnwise",
        "storage_endpoint": object_server.endpoint,
    }
    with ExitStack() as opened:
        one, other, worker = (
            opened.enter_context(service(tmp_path / name, **settings)) for name in ("one", "other", "worker")
        )
        made = Machines((one, other), worker, object_server, bucket)
        for each in (one, other, worker):
            each.environment |= object_server.environment | {"TURNWISE_ENGINE_STAGES": str(made.runs)}
        one.serve("--no-worker")
        other.serve("--no-worker")
        worker.work()
        yield made


def test_a_worker_without_the_disk_of_the_api_does_a_job(machines: Machines, tmp_path: Path) -> None:
    one, other = machines.apis
    audio = recording(tmp_path)
    with one.client() as client, other.client() as elsewhere:
        job = submit(client, audio, text=TEXT)["id"]
        assert wait_for(elsewhere, job)["state"] == "succeeded"
        for name in formats.FORMATS:
            url = f"/v1/jobs/{job}/export/{name}"
            assert client.get(url).raise_for_status().content == elsewhere.get(url).content
        content = audio.read_bytes()
        assert elsewhere.get(f"/v1/jobs/{job}/audio").content == content
        part = elsewhere.get(f"/v1/jobs/{job}/audio", headers={"Range": "bytes=100-4999"})
        assert (part.status_code, part.content) == (206, content[100:5000])
        assert part.headers["content-range"] == f"bytes 100-4999/{len(content)}"
        for left in ("heard", "diarization"):
            assert elsewhere.get(f"/v1/jobs/{job}/{left}").status_code == 200
        assert machines.stages(job) == {"transcribe", "diarize", "store"}
        assert _files(machines.worker.data) == _files(one.data) == set()
        assert elsewhere.delete(f"/v1/jobs/{job}").status_code == 204
        assert machines.names(job) == set()
        assert client.get(f"/v1/jobs/{job}/result").status_code == 404


def wait_until(true: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.1)


def _files(data: Path) -> set[str]:
    """What a process has of jobs on its disk."""
    return {path.name for path in (data / "scratch").rglob("*") if path.is_file()} - {"lock"}


def test_the_results_are_those_of_a_service_with_one_disk(machines: Machines, tmp_path: Path) -> None:
    audio = recording(tmp_path)
    with service(tmp_path / "alone") as alone:
        alone.serve()
        results = []
        for running in (alone, machines.apis[0]):
            with running.client() as client:
                job = submit(client, audio, text=TEXT)["id"]
                assert wait_for(client, job)["state"] == "succeeded"
                urls = [f"/v1/jobs/{job}/export/{name}" for name in formats.FORMATS]
                results.append([client.get(url).content for url in urls])
    assert results[0] == results[1]


def test_an_upload_goes_on_at_another_api(machines: Machines, tmp_path: Path) -> None:
    content = recording(tmp_path).read_bytes()
    sha256 = b64encode(hashlib.sha256(content).hexdigest().encode()).decode()
    with ExitStack() as opened:
        clients = [opened.enter_context(running.client()) for running in machines.apis]
        begun = clients[0].post(
            "/v1/uploads",
            headers=TUS | {"Upload-Length": str(len(content)), "Upload-Metadata": f"sha256 {sha256}"},
        )
        url = begun.headers["location"]
        step = len(content) // 5 + 1
        for number, begin in enumerate(range(0, len(content), step)):
            client = clients[number % 2]
            assert client.head(url, headers=TUS).headers["upload-offset"] == str(begin)
            assert _append(client, url, begin, content[begin : begin + step]).status_code == 204
        made = clients[1].post("/v1/jobs", files={"upload": (None, url[-32:])})
        assert made.status_code == 202, made.text
        job = made.json()["id"]
        assert wait_for(clients[0], job)["state"] == "succeeded"
        assert clients[0].get(f"/v1/jobs/{job}/audio").content == content
        assert clients[0].head(url, headers=TUS).status_code == 404
        assert machines.names(url[-32:]) == set()


def _append(client: httpx.Client, url: str, begin: int, content: bytes) -> httpx.Response:
    headers = TUS | {"Upload-Offset": str(begin), "Content-Type": "application/offset+octet-stream"}
    return client.patch(url, headers=headers, content=content)


def test_a_failed_job_says_why_at_every_api(machines: Machines, tmp_path: Path) -> None:
    one, other = machines.apis
    broken = tmp_path / "talk.wav"
    broken.write_bytes(b"no sound at all")
    with one.client() as client, other.client() as elsewhere:
        job = submit(client, broken)["id"]
        ended = wait_for(elsewhere, job)
        assert ended["state"] == "failed"
        assert ended["failure"]["code"] == "not_media"
        assert "talk.wav" in ended["failure"]["message"]
        assert client.get(f"/v1/jobs/{job}").json() == ended


def test_a_job_goes_on_where_a_dead_worker_left_it(machines: Machines, tmp_path: Path) -> None:
    """What its stages left is fetched, and not made again; what it worked on goes with its next start."""
    with machines.apis[0].client() as client:
        job = submit(client, recording(tmp_path), name="slow-3.wav")["id"]
        wait_until(lambda: _is_at_work(client, job, "transcribe"))
        machines.worker.programs[-1].kill()
        assert _files(machines.worker.data)
        machines.worker.work()
        ended = wait_for(client, job)
        assert ended["state"] == "succeeded", ended
        noted = [line.split()[:3] for line in machines.runs.read_text().splitlines()]
        begun = [stage for name, stage, event in noted if (name, event) == ("slow-3", "begins")]
        assert sorted(begun) == ["align", "detect", "diarize", "transcribe", "transcribe"]
        wait_until(lambda: not _files(machines.worker.data))


def _is_at_work(client: httpx.Client, job: str, stage: str) -> bool:
    """And the one beside it is done."""
    states = {found["stage"]: found["state"] for found in client.get(f"/v1/jobs/{job}").json()["stages"]}
    return (states[stage], states["diarize"]) == ("running", "succeeded")


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_what_is_given_up_leaves_no_work(how: str, machines: Machines, tmp_path: Path) -> None:
    with machines.apis[0].client() as client:
        job = submit(client, recording(tmp_path), name="slow-60.wav")["id"]
        wait_until(lambda: _is_at_work(client, job, "transcribe"))
        if how == "delete":
            assert client.delete(f"/v1/jobs/{job}").status_code == 204
        else:
            assert client.post(f"/v1/jobs/{job}/cancel").json()["state"] == "cancelled"
        kept = {"diarize"} if how == "cancel" else set()
        wait_until(lambda: machines.stages(job) == kept and not _files(machines.worker.data))
        assert bool(machines.names(job)) == (how == "cancel")


def test_a_store_that_is_away_is_told_of(tmp_path: Path) -> None:
    """At the start, in one sentence; later a request is told to come again."""
    with service(
        tmp_path / "data", storage_url="s3://bucket/x", storage_endpoint="http://127.0.0.1:1"
    ) as lost:
        lost.environment |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "canary"}
        program = lost.start("serve", "--port", "0")
        assert program.process.wait(PATIENCE) != 0
        [line] = program.log.read_text().splitlines()
        assert "TURNWISE_STORAGE_ENDPOINT" in line
        assert "canary" not in line
