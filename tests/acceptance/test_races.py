"""Two of everything at once, on one data folder."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.acceptance.findings import seen
from tests.acceptance.server import PATIENCE, recording, service, submit, wait_for
from tests.support.postgres import ADVICE, Server, find

pytestmark = pytest.mark.acceptance


def test_one_key_at_two_servers_at_once_is_one_job(tmp_path: Path) -> None:
    if find() is None:
        pytest.skip(ADVICE)
    sound = recording(tmp_path).read_bytes()
    with Server() as server, service(tmp_path / "data", database_url=server.create_database()) as running:
        addresses = []
        for _ in range(2):
            running.serve("--no-worker")
            addresses.append(running.url)

        def send(number: int) -> tuple[int, int, str]:
            """Every eight under one key, the last of them with something else."""
            with httpx.Client(base_url=addresses[number % 2], timeout=PATIENCE) as client:
                answer = client.post(
                    "/v1/jobs",
                    files={"audio": ("talk.wav", sound)},
                    data={"text": "Something else."} if number % 8 == 7 else {},
                    headers={"Idempotency-Key": str(number // 8)},
                )
            return number // 8, answer.status_code, answer.json().get("id", "")

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(send, range(48)))
        for key in range(6):
            statuses = Counter(status for of, status, _ in answers if of == key)
            assert statuses in ({202: 7, 409: 1}, {202: 1, 409: 7})
            assert len({id for of, status, id in answers if of == key and status == 202}) == 1
        with running.client() as client:
            assert len(client.get("/v1/jobs", params={"limit": 100}).json()["jobs"]) == 6
        assert len(list((running.data / "jobs").iterdir())) == 6
        assert not list((running.data / "incoming").iterdir())


def test_every_worker_has_a_limit_of_its_own(tmp_path: Path) -> None:
    with service(tmp_path / "data") as running:
        running.serve("--no-worker")
        workers = []
        for limit in (1, 2):
            running.environment["TURNWISE_CONCURRENCY"] = str(limit)
            workers.append(running.work())
        with running.client() as client:
            jobs = [submit(client, recording(tmp_path), name="every-0.5.wav")["id"] for _ in range(7)]
            assert all(wait_for(client, job)["state"] == "succeeded" for job in jobs)
        most = []
        for worker in workers:
            under_way, counts = 0, [0]
            for line in seen(worker):
                under_way += {"job begins": 1, "job ends": -1}.get(line.event, 0)
                counts.append(under_way)
            most.append(max(counts))
        assert most == [1, 2]
