"""Recordings that mean harm, sent to a running service: each fails with a reason, and the service goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipelines import errors
from tests.acceptance.server import Program, recording, service, submit, wait_for
from tests.support.hostile import DURATION, Hostile, corpus, mutation
from tests.support.surroundings import Surroundings, surroundings

pytestmark = pytest.mark.acceptance

EVERY = int(os.environ.get("TURNWISE_HOSTILE_EVERY", "4"))
"""One of so many recordings is sent; 1 sends all."""
MUTATIONS = 20
NAMES = ("{}.mp3", "../../{}.wav", "/etc/{}", "file:{}.m3u8", "")
CODES = {errors.code_of(kind) for name, kind in vars(errors).items() if name.endswith("Error")}


@dataclass
class Siege:
    """A service to which hostile recordings were sent, and its answer or job for each of them."""

    server: Program
    client: httpx.Client
    around: Surroundings
    endings: dict[str, dict[str, Any]]
    honest: str  # a job of somebody else that had ended before
    result: bytes  # of that job


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    base = tmp_path_factory.mktemp("siege")
    hours = DURATION / 3600
    with (
        surroundings(base / "around") as around,
        service(base / "data", max_duration_hours=hours, decode_memory_mb=2048) as running,
    ):
        running.environment["HOME"] = str(around.home)
        server = running.serve()
        with running.client() as client:
            honest = wait_for(client, submit(client, recording(base))["id"])["id"]
            result = client.get(f"/v1/jobs/{honest}/result").content
            around.touched()
            sent = [send(client, *numbered) for numbered in enumerate(recordings(around, base))]
            endings = {name: ending(client, answer) for name, answer in sent}
            yield Siege(server, client, around, endings, honest, result)


def recordings(around: Surroundings, folder: Path) -> list[Hostile]:
    known = corpus(around.neighbour, around.address, folder)
    damaged = [Hostile(f"mutation-{i}", mutation(i, folder), frozenset()) for i in range(MUTATIONS)]
    return [*known, *damaged][::EVERY]


def send(client: httpx.Client, number: int, hostile: Hostile) -> tuple[str, httpx.Response]:
    name = NAMES[number % len(NAMES)].format(hostile.name)
    return hostile.name, client.post("/v1/jobs", files={"audio": (name, hostile.content)})


def ending(client: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    """The job when it has ended, or the problem that there is instead of one."""
    body: dict[str, Any] = answer.json()
    return wait_for(client, body["id"], patience=300) if answer.status_code == 202 else body


def test_each_fails_with_a_reason_or_is_a_recording_after_all(siege: Siege) -> None:
    for name, ended in siege.endings.items():
        if "state" not in ended:
            assert 400 <= ended["status"] < 500, (name, ended)
        elif ended["state"] != "succeeded":
            assert ended["state"] == "failed", (name, ended)
            assert ended["failure"]["code"] in CODES, (name, ended)
            assert ended["failure"]["message"].endswith("."), (name, ended)
    assert {ended.get("state") for ended in siege.endings.values()} >= {"succeeded", "failed"}


def test_nothing_around_is_touched(siege: Siege) -> None:
    assert siege.endings
    assert siege.around.touched() == set()


def test_nothing_of_a_neighbour_is_in_any_file_of_the_service(siege: Siege, tmp_path: Path) -> None:
    data = siege.server.log.parent / "data"
    files = [path for path in data.rglob("*") if path.is_file()]
    assert len(files) > len(siege.endings)
    kept = [path.read_bytes() for path in files if path.name != "recording"]  # which may well name it
    assert not siege.around.leaked(*kept)


def test_the_service_lives_and_nobody_else_has_noticed(siege: Siege, tmp_path: Path) -> None:
    assert siege.server.process.poll() is None
    assert siege.client.get("/health/ready").status_code == 200
    assert siege.client.get(f"/v1/jobs/{siege.honest}/result").content == siege.result
    again = wait_for(siege.client, submit(siege.client, recording(tmp_path))["id"])
    assert again["state"] == "succeeded"
    assert "Traceback" not in siege.server.log.read_text()
