"""What docker/README.md says of backups, done with its own options: nothing is lost, no byte is another."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipelines import formats
from tests.acceptance.children import children_of
from tests.acceptance.server import Service, recording, service, submit, wait_for
from tests.docker.test_readme import commands
from tests.support.objects import Server as ObjectServer
from tests.support.postgres import Server

pytestmark = pytest.mark.acceptance

TEXT = "The talks went on all night."


def documented(mode: str, archive: Path, data: Path) -> None:
    """tar as the page runs it in a container of one machine, on other folders."""
    (words,) = [words for words in commands() if "turnwise_data:/data" in words and mode in words]
    options = words[words.index("turnwise:embedded") + 1 :]
    places = {"/backup/data.tar.gz": str(archive), "/data": str(data)}
    subprocess.run(["tar", *(places.get(option, option) for option in options)], check=True)


@contextmanager
def paused(process: int) -> Iterator[None]:
    """As `docker compose pause` does it: each process before those that it has started."""
    os.kill(process, signal.SIGSTOP)
    stopped = [process]
    for child in children_of(process):
        os.kill(child, signal.SIGSTOP)
        stopped.append(child)
    yield
    for each in stopped:
        os.kill(each, signal.SIGCONT)


def jobs_of(client: httpx.Client, folder: Path) -> list[str]:
    """One that has ended, one at work, one that waits behind it."""
    done = submit(client, recording(folder), text=TEXT)["id"]
    assert wait_for(client, done)["state"] == "succeeded"
    at_work = submit(client, recording(folder, "slow-2.wav", 4.0))["id"]
    waiting = submit(client, recording(folder, "other.wav", 5.0), text=TEXT)["id"]
    assert wait_for(client, at_work, "running")["state"] == "running"
    return [done, at_work, waiting]


def all_of(client: httpx.Client, job: str) -> list[bytes]:
    """The recording and the result in every format, as soon as there is one."""
    assert wait_for(client, job)["state"] == "succeeded"
    names = ["audio", "result", *(f"export/{name}" for name in formats.FORMATS)]
    return [client.get(f"/v1/jobs/{job}/{name}").raise_for_status().content for name in names]


def test_a_copy_of_a_paused_service_has_every_job(tmp_path: Path) -> None:
    archive, place = tmp_path / "data.tar.gz", tmp_path / "new"
    with service(tmp_path / "old", concurrency=1) as old:
        program = old.serve()
        with old.client() as client:
            jobs = jobs_of(client, tmp_path)
            with paused(program.process.pid):
                documented("-czf", archive, old.data)
            kept = [all_of(client, job) for job in jobs]
    place.mkdir()
    documented("-xzf", archive, place)
    with service(place) as new:
        new.serve()
        with new.client() as client:
            assert [all_of(client, job) for job in jobs] == kept


def test_a_dump_and_a_copy_of_the_bucket_have_every_job(
    tmp_path: Path, postgres: Server, object_server: ObjectServer
) -> None:
    databases = postgres.create_database(), postgres.create_database()
    buckets = object_server.create_bucket(), object_server.create_bucket()
    dump = tmp_path / "turnwise.dump"
    with ExitStack() as opened:
        api, worker = machines(opened, tmp_path / "old", databases[0], buckets[0], object_server)
        program = worker.work()
        with api.client() as client:
            jobs = jobs_of(client, tmp_path)
            program.stop()
            postgresql(postgres, "pg_dump", "-Fc", "-f", str(dump), databases[0])
            copy_bucket(object_server.client(), *buckets)
            worker.work()
            kept = [all_of(client, job) for job in jobs]
    postgresql(postgres, "pg_restore", "-d", databases[1], str(dump))
    with ExitStack() as opened:
        api, worker = machines(opened, tmp_path / "new", databases[1], buckets[1], object_server)
        worker.work()
        with api.client() as client:
            assert [all_of(client, job) for job in jobs] == kept


def machines(
    opened: ExitStack, folder: Path, database: str, bucket: str, objects: ObjectServer
) -> tuple[Service, Service]:
    """An API that serves, and what a worker runs on."""
    folder.mkdir()
    settings: dict[str, Any] = {
        "database_url": database,
        "storage_url": f"s3://{bucket}/turnwise",
        "storage_endpoint": objects.endpoint,
        "concurrency": 1,
    }
    api, worker = (opened.enter_context(service(folder / name, **settings)) for name in ("api", "worker"))
    for each in (api, worker):
        each.environment |= objects.environment
    api.serve("--no-worker")
    return api, worker


def postgresql(server: Server, program: str, *options: str) -> None:
    subprocess.run([server.programs / program, *options], check=True)


def copy_bucket(client: Any, source: str, target: str) -> None:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=source):
        for entry in page.get("Contents", []):
            body = client.get_object(Bucket=source, Key=entry["Key"])["Body"].read()
            client.put_object(Bucket=target, Key=entry["Key"], Body=body)
