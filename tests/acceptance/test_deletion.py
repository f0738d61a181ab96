"""What is deleted is gone, and while it is there it is in the job's folder and nowhere else.

Every text and every byte of a job here is a canary of its own: a string that comes by chance nowhere.
"""

from __future__ import annotations

import io
import json
import random
import secrets
import time
import wave
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
import pytest

from pipelines.types import SAMPLE_RATE
from service import keys
from service.records import database
from service.settings import Settings
from tests.acceptance.canaries import Found, search_database, search_folder
from tests.acceptance.server import PATIENCE, Service, service, wait_for
from tests.support.postgres import Server

pytestmark = pytest.mark.acceptance

LETTERS = "ghjkmnpqrstvwxyz"
"""None of the hexadecimal digits, of which ids and hashes are full."""
TUS = {"Tus-Resumable": "1.0.0"}
SECRET = "whsec_" + "c2VjcmV0" * 4


def _letters() -> str:
    return "".join(random.SystemRandom().choices(LETTERS, k=8))


@dataclass
class Canaries:
    """All that one job is made of; most of it begins with `mark`, so that one search finds any of it."""

    mark: str = field(default_factory=_letters)
    name: str = ""  # of the recording
    sound: bytes = b""  # a part of the recording
    samples: bytes = b""  # a part of what it is decoded to
    words: tuple[str, ...] = ("text", "title", "term", "asr", "diarizer", "webhook", "voice", "note")

    def word(self, what: str) -> str:
        return self.mark + what

    def kept(self) -> set[bytes]:
        """Those that are in the job's folder for as long as there is one."""
        return {*(self.word(what).encode() for what in self.words), self.name.encode(), self.sound}

    def all(self) -> set[bytes]:
        named = set() if self.name.startswith(self.mark) else {self.name.encode()}
        return named | {self.mark.encode(), self.sound, self.samples}


@dataclass
class Place:
    """A service in a folder that holds all that it could leave behind: data, temporary files, logs."""

    folder: Path
    service: Service
    server: Server | None
    token: str
    jobs: dict[str, Canaries] = field(default_factory=dict)
    uploads: dict[str, Canaries] = field(default_factory=dict)  # that no job uses

    def client(self) -> httpx.Client:
        return self.service.client(self.token)

    @property
    def database_url(self) -> str:
        return self.service.environment.get("TURNWISE_DATABASE_URL", "")

    def search(self, canaries: Iterable[bytes]) -> set[Found]:
        """In every file of the folder and every row of the database, the tables of the engine too."""
        canaries = list(canaries)
        found = search_folder(self.folder, canaries)
        return found | search_database(self.database_url, canaries) if self.server else found

    def search_server(self, canaries: Iterable[bytes]) -> set[Found]:
        """In the files of the database, which hold what was deleted too, and in the server's log."""
        if self.server is None:
            return set()
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
            row = connection.execute("SELECT pg_relation_filepath('jobs')").fetchone()
        assert row is not None
        files = (self.server.data / row[0]).parent
        said = self.server.log.read_bytes()
        return search_folder(files, canaries) | {
            Found(canary, "log") for canary in canaries if canary in said
        }

    @property
    def root(self) -> Path:
        """Of the files of jobs and uploads."""
        return self.folder / "store" if self.is_shared else self.service.data

    @property
    def is_shared(self) -> bool:
        return "TURNWISE_STORAGE_URL" in self.service.environment

    def folders(self) -> list[Path]:
        """Of jobs and uploads, deleted or not."""
        scratch = [path for path in self.service.data.glob("scratch/*/*/*") if path.is_dir()]
        places = [self.root / name for name in ("jobs", "uploads", "trash")]
        return scratch + [path for place in places if place.is_dir() for path in place.iterdir()]

    def rows(self, ids: Iterable[str]) -> set[Found]:
        """In the rows alone: of what was deleted there, ids may stay in the files for a while."""
        found = self.search(id.encode() for id in ids)
        return {entry for entry in found if entry.place.startswith(("the rows of", "table "))}

    def canaries(self, ids: Iterable[str]) -> set[bytes]:
        known = self.jobs | self.uploads
        return {canary for id in ids for canary in known[id].all()}


@pytest.fixture(params=["sqlite", "postgresql", "object store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    server: Server | None = None
    settings: dict[str, Any] = {
        "webhook_secret": SECRET,
        "webhook_private_addresses": 1,
        "concurrency": 4,
        "log_level": "debug",
    }
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        settings["database_url"] = server.create_database()
    if request.param == "object store":
        settings["storage_url"] = f"file://{tmp_path}/store"
    with service(tmp_path / "data", **settings) as running:
        (tmp_path / "temporary").mkdir()
        running.environment["TMPDIR"] = str(tmp_path / "temporary")
        running.serve()
        yield Place(tmp_path, running, server, _key(running))


def _key(running: Service) -> str:
    url = running.environment.get("TURNWISE_DATABASE_URL", "")
    engine = database.connect(Settings(data_dir=running.data, database_url=url))
    with engine.begin() as connection:
        token = keys.create(connection, "canary")
    engine.dispose()
    return token


# --------------------------------------------------------------------------- jobs made of canaries


def _send(client: httpx.Client, wanted: str, resumable: bool = False) -> tuple[str, Canaries]:
    """A job that succeeds, fails, breaks an engine, or is "slow" for ever: its id, and what it is made of."""
    canaries = Canaries()
    canaries.name = canaries.word("name")
    recording = _record(canaries)
    name = f"{canaries.name}.wav"
    if wanted == "slow":  # as the engines read the name, and the digits make no difference
        canaries.name = f"{secrets.randbelow(10**12):012}"
        name = f"slow-600.{canaries.name}.wav"
    if wanted == "broken":
        name = f"broken-{name}"
    if wanted == "failed":
        canaries.sound = canaries.samples = secrets.token_bytes(40)
        recording = b"no sound" + canaries.sound
    files: dict[str, tuple[str | None, bytes]] = {
        "text": (f"{canaries.word('title')}.txt", f"The {canaries.word('text')} went on all night.".encode()),
        "diarization": (
            "x.rttm",
            f"SPEAKER x 1 0.1 3.5 <NA> <NA> {canaries.word('voice')} <NA> <NA>\n".encode(),
        ),
    }
    if wanted not in {"slow", "broken"}:  # which nothing would be if words were brought along
        canaries.words += ("heard",)
        files["heard"] = ("heard.json", _heard(canaries.word("heard")))
    if resumable:
        files["upload"] = (None, _begin_upload(client, name, recording, len(recording)).encode())
    else:
        files["audio"] = (name, recording)
    headers = {"Idempotency-Key": canaries.word("repetition")}
    answer = client.post("/v1/jobs", files=files, data={"options": _options(canaries)}, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"], canaries


def _begin_upload(client: httpx.Client, name: str, recording: bytes, length_bytes: int) -> str:
    """A resumable upload, with this much of it there."""
    begun = client.post(
        "/v1/uploads",
        headers=TUS
        | {
            "Upload-Length": f"{length_bytes}",
            "Upload-Metadata": f"filename {b64encode(name.encode()).decode()}",
        },
    )
    assert begun.status_code == 201, begun.text
    headers = TUS | {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    sent = client.patch(begun.headers["Location"], headers=headers, content=recording)
    assert sent.status_code == 204, sent.text
    return begun.headers["Location"].rpartition("/")[2]


def _give_up_upload(client: httpx.Client) -> tuple[str, Canaries]:
    canaries = Canaries(words=())
    canaries.name = canaries.word("name")
    recording = _record(canaries)
    canaries.samples = canaries.sound
    return _begin_upload(client, canaries.name, recording, len(recording) + 1), canaries


def _record(canaries: Canaries) -> bytes:
    """Four seconds of noise, which repeats nowhere."""
    noise = np.random.default_rng().normal(0, 0.1, 4 * SAMPLE_RATE).clip(-1, 1)
    pcm = (noise * 32767).astype("<i2")
    canaries.sound = pcm[20_000:20_020].tobytes()
    canaries.samples = (pcm[20_000:20_020] / 32768).astype("<f4").tobytes()
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(pcm.tobytes())
    return file.getvalue()


def _heard(word: str) -> bytes:
    words = [{"word": text, "start": n, "end": n + 0.5} for n, text in enumerate(["The", word, "went", "on"])]
    return json.dumps({"language": "en", "words": words}).encode()


def _options(canaries: Canaries) -> str:
    return json.dumps(
        {
            "language": f"en-{canaries.mark}",
            "asr": f"given:{canaries.word('asr')}",
            "diarizer": canaries.word("diarizer"),
            "glossary": [canaries.word("term")],
            # Nobody listens there, so that it is still to be tried again when the job is deleted.
            "webhook": f"http://127.0.0.1:9/{canaries.word('webhook')}",
            "metadata": {canaries.word("key"): canaries.word("note")},
        }
    )


def _make(place: Place, client: httpx.Client) -> dict[str, list[str]]:
    """Ids of six jobs, by what became of them: five have ended, one is at work."""
    made: dict[str, list[str]] = {"cancelled": [], "running": [], "succeeded": [], "failed": []}
    for name, wanted, resumable in (
        ("cancelled", "slow", True),
        ("running", "slow", False),
        ("succeeded", "", False),
        ("succeeded", "", True),
        ("failed", "failed", False),
        ("failed", "broken", True),
    ):
        job, canaries = _send(client, wanted, resumable)
        place.jobs[job] = canaries
        made[name].append(job)
    for job in made["cancelled"] + made["running"]:
        _wait_for_stage(client, job, "transcribe")
    for job in made["cancelled"]:
        assert client.post(f"/v1/jobs/{job}/cancel").status_code == 200
    for name, jobs in made.items():
        for job in jobs:
            found = wait_for(client, job, name)
            assert found["state"] == name, found
    return made


def _wait_for_stage(client: httpx.Client, job: str, stage: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while (found := client.get(f"/v1/jobs/{job}").json())["stage"] != stage:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_what_is_deleted_is_gone(place: Place) -> None:
    """By DELETE, ended or at work, and when its time is up; in any case no database ever knew of it."""
    with place.client() as client:
        made = _make(place, client)
        place.uploads = dict(_give_up_upload(client) for _ in range(2))
        _check_kept(place)
        assert "ValueError" in place.service.programs[-1].log.read_text()  # of the engine that broke
        left = [made["succeeded"].pop(), made["failed"].pop()]
        deleted = [job for jobs in made.values() for job in jobs]
        for job in deleted:
            assert client.delete(f"/v1/jobs/{job}").status_code == 204
        upload, expiring = place.uploads
        assert client.delete(f"/v1/uploads/{upload}", headers=TUS).status_code == 204
        assert place.search(place.canaries([*deleted, upload])) == set()
        assert {job["id"] for job in client.get("/v1/jobs").json()["jobs"]} == {*left}
    assert place.service.programs[-1].stop() == 0
    assert place.search(place.canaries([expiring])) != set()
    place.service.environment |= {"TURNWISE_RETENTION_HOURS": "0.0001", "TURNWISE_UPLOAD_HOURS": "0.0001"}
    place.service.serve()
    deadline = time.monotonic() + PATIENCE
    while place.folders() or place.rows(place.jobs):
        assert time.monotonic() < deadline, place.rows(place.jobs)
        time.sleep(0.2)
    with place.client() as client:
        assert client.get("/v1/jobs").json()["jobs"] == []
    canaries = {*place.canaries([*place.jobs, *place.uploads]), place.token[20:].encode()}
    assert place.search(canaries) == set()
    assert place.search_server(canaries) == set()


def _check_kept(place: Place) -> None:
    """Every canary is in the folder of its job or upload, and in no other place, least of all a database."""
    root = place.root.relative_to(place.folder)
    folders = {f"{root}/jobs/{id}/": canaries for id, canaries in place.jobs.items()}
    folders |= {f"{root}/uploads/{id}/": canaries for id, canaries in place.uploads.items()}
    found = place.search(place.canaries([*place.jobs, *place.uploads]))
    found = {
        entry for entry in found if not entry.place.removeprefix("the name ").startswith("data/scratch/")
    }
    for folder, canaries in folders.items():
        inside = {entry.canary for entry in search_folder(place.folder / folder, canaries.kept())}
        assert inside == canaries.kept()
        found = {entry for entry in found if not entry.place.removeprefix("the name ").startswith(folder)}
    assert found == set()
