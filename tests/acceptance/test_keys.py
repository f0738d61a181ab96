"""Whose is what: no key reaches anything of another, whatever the API offers. Who gets in without one.

The operations are those of the OpenAPI document, so that a new one has to be told of here.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from service import keys
from service.files.storage import new_id
from service.records import database
from service.settings import Settings
from tests.acceptance.server import ROOT, Service, recording, service, submit, wait_for

pytestmark = pytest.mark.acceptance

Operation = tuple[str, str]


@dataclass(frozen=True)
class Call:
    """What an operation on something takes beside its id."""

    values: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""


TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {"Upload-Offset": "4", "Content-Type": "application/offset+octet-stream"}
JOB: dict[Operation, Call] = {
    ("GET", "/v1/jobs/{id}"): Call(),
    ("GET", "/v1/jobs/{id}/events"): Call(),
    ("GET", "/v1/jobs/{id}/result"): Call(),
    ("GET", "/v1/jobs/{id}/export/{format}"): Call({"format": "vtt"}),
    ("GET", "/v1/jobs/{id}/heard"): Call(),
    ("GET", "/v1/jobs/{id}/diarization"): Call(),
    ("GET", "/v1/jobs/{id}/audio"): Call(),
    ("POST", "/v1/jobs/{id}/cancel"): Call(),
    ("DELETE", "/v1/jobs/{id}"): Call(),
}
UPLOAD: dict[Operation, Call] = {
    ("HEAD", "/v1/uploads/{id}"): Call(headers=TUS),
    ("PATCH", "/v1/uploads/{id}"): Call(headers=TUS | PIECE, content=b"more"),
    ("DELETE", "/v1/uploads/{id}"): Call(headers=TUS),
}
"""In the order in which all of them work: deleting is the last."""
SHARED: set[Operation] = {
    ("POST", "/v1/jobs"),
    ("GET", "/v1/jobs"),
    ("POST", "/v1/audio/transcriptions"),
    ("OPTIONS", "/v1/uploads"),
    ("POST", "/v1/uploads"),
    ("GET", "/v1/engines"),
}
"""Operations that need a key and name nothing."""
OPEN: set[Operation] = {("GET", "/health/live"), ("GET", "/health/ready"), ("GET", "/metrics")}
TEXT = "The talks went on all night."


@dataclass
class World:
    """A server on which two keys have jobs, and what it said while it had no keys."""

    service: Service
    before: dict[str, httpx.Response]
    tokens: dict[str, str]
    clients: dict[str, httpx.Client] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)  # job ids by key
    running: str = ""  # job of a
    upload: str = ""  # of a, with 4 bytes of 8

    def forge(self, token: str) -> dict[str, str | None]:
        """Authorization headers that open nothing, by what is wrong with them."""
        identity = token[3:19]
        return {
            "missing": None,
            "empty": "",
            "no token": "Bearer",
            "no key": "Bearer canary",
            "other scheme": f"Basic {token}",
            "other secret": f"Bearer tw_{identity}_{'A' * 43}",
            "not ASCII": f"Bearer {token[:-1]}é",
            "cut": f"Bearer {token[:-1]}",
            "secrets swapped": f"Bearer {token[:20]}{self.tokens['b'][20:]}",
            "unknown": f"Bearer tw_{'0' * 16}_{token[20:]}",
            "revoked": f"Bearer {self.tokens['revoked']}",
        }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("keys")
    with service(folder / "data", cors_origins="https://desk.example.org") as running:
        running.serve()
        before = _without_keys(running)
        world = World(running, before, _make_keys(folder / "data"))
        for name in ("a", "b"):
            world.clients[name] = running.client(world.tokens[name])
        world.running = submit(world.clients["a"], recording(folder), name="slow-600.wav")["id"]
        for name, client in world.clients.items():
            world.ended[name] = submit(client, recording(folder), name=f"of-{name}.wav", text=TEXT)["id"]
        world.upload = _begin_upload(world.clients["a"])
        for name, client in world.clients.items():
            assert wait_for(client, world.ended[name])["state"] == "succeeded"
        yield world
        for client in world.clients.values():
            client.close()


def _begin_upload(client: httpx.Client) -> str:
    begun = client.post("/v1/uploads", headers=TUS | {"Upload-Length": "8"})
    assert begun.status_code == 201, begun.text
    sent = client.patch(
        begun.headers["Location"], headers=TUS | PIECE | {"Upload-Offset": "0"}, content=b"RIFF"
    )
    assert sent.status_code == 204, sent.text
    return begun.headers["Location"].rpartition("/")[2]


def _without_keys(running: Service) -> dict[str, httpx.Response]:
    """The answers to what a program, and pages of others, may ask of a server without keys."""
    form: dict[str, Any] = {"files": {"audio": ("page.wav", b"RIFF")}}
    with running.client() as client:
        return {
            "program": client.get("/v1/jobs"),
            "useless key": client.get("/v1/jobs", headers={"Authorization": "Bearer canary"}),
            "page": client.post("/v1/jobs", **form, headers={"Sec-Fetch-Site": "cross-site"}),
            "old page": client.post("/v1/jobs", **form, headers={"Origin": "https://evil.example.org"}),
            "rebound": client.get("/v1/jobs", headers={"Host": "evil.example.org"}),
            "own page": client.post("/v1/jobs", headers={"Origin": "https://desk.example.org"}),
        }


def _make_keys(data: Path) -> dict[str, str]:
    """Beside the running server, as the command does."""
    engine = database.connect(Settings(data_dir=data))
    with engine.begin() as connection:
        tokens = {name: keys.create(connection, name) for name in ("a", "b", "revoked")}
        assert keys.revoke(connection, tokens["revoked"][3:19])
    engine.dispose()
    return tokens


def _operations(world: World) -> dict[Operation, dict[str, Any]]:
    document = world.clients["a"].get("/openapi.json").json()
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def _call(client: httpx.Client, operation: Operation, id: str, call: Call) -> httpx.Response:
    method, path = operation
    address = path.format(id=id, **call.values)
    return client.request(method, address, headers=call.headers, content=call.content or None)


def _files(world: World) -> dict[str, str]:
    """Every file of the jobs that have ended, and of the upload, with its hash."""
    folders = [world.service.data / "jobs" / job for job in world.ended.values()]
    return {
        str(path.relative_to(world.service.data)): sha256(path.read_bytes()).hexdigest()
        for folder in [*folders, world.service.data / "uploads" / world.upload]
        for path in folder.rglob("*")
        if path.is_file()
    }


# --------------------------------------------------------------------------- with keys


def test_every_operation_is_known_here(world: World) -> None:
    operations = _operations(world)
    assert set(operations) == {*JOB, *UPLOAD, *SHARED, *OPEN}
    assert {operation for operation in operations if "{" in operation[1]} == {*JOB, *UPLOAD}
    assert {name for name, operation in operations.items() if "security" not in operation} == OPEN


def test_no_operation_reaches_what_is_of_another_key(world: World) -> None:
    owner, other = world.clients["a"], world.clients["b"]
    files, view = _files(world), owner.get(f"/v1/jobs/{world.ended['a']}").json()
    calls = [(*item, job) for item in JOB.items() for job in (world.ended["a"], world.running)]
    calls += [(*item, world.upload) for item in UPLOAD.items()]
    for operation, call, id in calls:
        others, nobodys = (_call(other, operation, named, call) for named in (id, new_id()))
        assert others.status_code == 404, operation
        assert _but_id(others) == _but_id(nobodys)
    used = other.post("/v1/jobs", files={"upload": (None, world.upload)})
    assert used.status_code == 404, used.text
    assert _files(world) == files
    assert owner.get(f"/v1/jobs/{world.ended['a']}").json() == view
    assert owner.get(f"/v1/jobs/{world.running}").json()["state"] == "running"


def _but_id(answer: httpx.Response) -> dict[str, Any]:
    """The problem, which is the same whether something is another's or nobody's."""
    problem: dict[str, Any] = answer.json() if answer.content else {}
    return problem | {"request_id": ""}


def test_the_same_operations_reach_what_is_of_the_own_key(world: World, tmp_path: Path) -> None:
    """Without which the test above would show nothing."""
    client = world.clients["a"]
    job, upload = submit(client, recording(tmp_path), text=TEXT)["id"], _begin_upload(client)
    assert wait_for(client, job)["state"] == "succeeded"
    for id, calls in ((job, JOB), (upload, UPLOAD)):
        for operation, call in calls.items():
            answer = _call(client, operation, id, call)
            assert answer.is_success, f"{operation}: {answer.text}"
    assert client.get(f"/v1/jobs/{job}").status_code == 404
    assert client.head(f"/v1/uploads/{upload}", headers=TUS).status_code == 404


def test_no_operation_works_without_a_good_key(world: World) -> None:
    files, calls = _files(world), JOB | UPLOAD
    with world.service.client() as client:
        for operation in {*_operations(world)} - OPEN:
            id = world.upload if operation in UPLOAD else world.ended["a"]
            for what, header in world.forge(world.tokens["a"]).items():
                client.headers = httpx.Headers({} if header is None else {b"Authorization": header.encode()})
                answer = _call(client, operation, id, calls.get(operation, Call()))
                assert answer.status_code == 401, f"{operation} with {what}"
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                assert not answer.content or answer.json()["code"] == "unauthorized"
        for method, path in OPEN:
            assert client.request(method, path).is_success
    assert _files(world) == files


def test_lists_hold_the_own_jobs_only(world: World) -> None:
    for query in ("", "?limit=1", "?limit=100", f"?cursor={'f' * 32}", "?state=running", "?state=succeeded"):
        for name, client in world.clients.items():
            listed = [job["id"] for job in client.get(f"/v1/jobs{query}").json()["jobs"]]
            assert set(listed) <= {world.ended[name], *([world.running] if name == "a" else [])}, query
    assert [job["id"] for job in world.clients["b"].get("/v1/jobs").json()["jobs"]] == [world.ended["b"]]
    newest = max(world.ended["a"], world.running)
    after = world.clients["b"].get(f"/v1/jobs?cursor={newest}").json()["jobs"]
    assert not {job["id"] for job in after} & {world.ended["a"], world.running}


def test_idempotency_keys_of_two_owners_are_two(world: World, tmp_path: Path) -> None:
    sent = {"audio": ("same.wav", recording(tmp_path).read_bytes())}
    made: dict[str, str] = {}
    for name in ("a", "b", "a", "b"):
        answer = world.clients[name].post(
            "/v1/jobs", files=sent, headers={"Idempotency-Key": "one and the same"}
        )
        assert answer.status_code == 202
        assert made.setdefault(name, answer.json()["id"]) == answer.json()["id"]
    assert made["a"] != made["b"]
    for name, job in made.items():
        assert world.clients[name].delete(f"/v1/jobs/{job}").status_code == 204


def test_a_key_is_read_as_http_says(world: World) -> None:
    """The scheme's case does not matter, and neither do the rules for servers without keys."""
    with world.service.client() as client:
        headers = {"Authorization": f"bearer {world.tokens['b']}", "Host": "turnwise.example.org"}
        assert client.get("/v1/jobs", headers=headers).status_code == 200


# --------------------------------------------------------------------------- without keys


def test_a_server_without_keys_answers_programs_of_its_machine(world: World) -> None:
    assert world.before["program"].status_code == 200
    assert world.before["useless key"].status_code == 200


@pytest.mark.parametrize("who", ["page", "old page", "rebound"])
def test_a_server_without_keys_answers_no_page_of_others(world: World, who: str) -> None:
    assert world.before[who].status_code == 403
    assert world.before[who].json()["code"] == "forbidden"


def test_a_server_without_keys_takes_from_an_origin_that_is_set(world: World) -> None:
    assert world.before["own page"].status_code == 415  # nothing was sent, but it was let in


def test_once_there_is_a_key_it_is_needed_on_loopback_too(world: World) -> None:
    """The server was running when the key was made."""
    with world.service.client() as client:
        assert client.get("/v1/jobs").status_code == 401


def test_a_server_without_keys_opens_to_no_network(tmp_path: Path) -> None:
    with service(tmp_path / "data") as unguarded:
        command = [
            sys.executable,
            "-m",
            "tests.acceptance.command",
            "serve",
            "--host",
            "0.0.0.0",
            "--port",
            "0",
        ]
        run = subprocess.run(
            command,
            env=unguarded.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert run.returncode == 2
    assert run.stdout == ""
    assert "Without keys" in run.stderr
    assert "turnwise keys create" in run.stderr
    assert len(run.stderr.splitlines()) == 1
