"""What the API refuses, and how: every limit, every way to send something wrong, and what is left of it.

The server has no worker, so that jobs stay where they are.
"""

from __future__ import annotations

import json
import re
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from service import keys
from service.records import database
from service.settings import Settings
from tests.acceptance.server import PATIENCE, ROOT, Service, service

NOBODYS = "01a214c7f950fc657017498460dba8ef"
"""An id that no job has; the same in every process that collects the tests."""

pytestmark = pytest.mark.acceptance

LIMITS: dict[str, Any] = {
    "requests_per_minute": 100,
    "queue_limit": 3,
    "max_upload_mb": 2,
    "max_text_mb": 1,
    "upload_timeout": 3,
    "cors_origins": "https://desk.example.org",
}
WAV = b"RIFF" + bytes(2000)
BOUNDARY = "frontier"
HEAD = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n'.encode()
MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("limits") / "data", **LIMITS) as running:
        running.serve("--no-worker")
        yield running


@pytest.fixture
def key(running: Service) -> str:
    """A key of the test's own, with which nothing was spent."""
    engine = database.connect(Settings(data_dir=running.data))
    with engine.begin() as connection:
        token = keys.create(connection, "test")
    engine.dispose()
    return token


@pytest.fixture
def client(running: Service, key: str) -> Iterator[httpx.Client]:
    with running.client(key) as client:
        yield client


def _post(client: httpx.Client, audio: bytes = WAV, repetition: str = "", **fields: str) -> httpx.Response:
    headers = {"Idempotency-Key": repetition} if repetition else {}
    return client.post("/v1/jobs", files={"audio": ("a.wav", audio)}, data=fields, headers=headers)


def _wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _check_problem(running: Service, answer: httpx.Response, status: int, code: str) -> None:
    """A problem document that tells nothing of the machine, and is in the log."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert (problem["status"], problem["code"], problem["error"]["code"]) == (status, code, code)
    assert problem["detail"] == problem["error"]["message"]
    assert problem["detail"].endswith(".")
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    for word in (str(running.data), str(ROOT), "Traceback", ".py", "site-packages", "sqlite", "/tmp"):
        assert word not in answer.text
    _wait_until(lambda: problem["request_id"] in running.programs[-1].log.read_text())


def _left(running: Service) -> list[str]:
    """What lies where unfinished uploads to jobs do."""
    return [path.name for name in ("incoming", "trash") for path in (running.data / name).iterdir()]


# --------------------------------------------------------------------------- how much


def test_a_key_that_asks_too_often_is_told_when_to_come_again(running: Service, client: httpx.Client) -> None:
    answers = [client.get("/v1/jobs") for _ in range(LIMITS["requests_per_minute"] + 1)]
    assert {answer.status_code for answer in answers[:-1]} == {200}
    _check_problem(running, answers[-1], 429, "too_many_requests")
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60


def test_another_key_has_a_limit_of_its_own(client: httpx.Client) -> None:
    assert client.get("/v1/jobs").status_code == 200


def test_the_queue_of_a_key_is_limited(running: Service, client: httpx.Client) -> None:
    jobs = [_post(client, repetition=f"{number}").json()["id"] for number in range(LIMITS["queue_limit"])]
    refused = _post(client)
    _check_problem(running, refused, 429, "queue_full")
    assert int(refused.headers["Retry-After"]) > 0
    assert _left(running) == []
    assert _post(client, repetition="0").json()["id"] == jobs[0]  # which was taken in long ago
    assert client.post(f"/v1/jobs/{jobs[0]}/cancel").status_code == 200
    assert _post(client).status_code == 202


def test_a_queue_is_not_overrun_by_many_at_once(client: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(lambda _: _post(client).status_code, range(8))]
    assert sorted(answers) == [202] * LIMITS["queue_limit"] + [429] * (8 - LIMITS["queue_limit"])


@pytest.mark.parametrize("name", ["audio", "text"])
def test_what_is_too_large(running: Service, client: httpx.Client, name: str) -> None:
    files = {"audio": ("a.wav", WAV), "text": ("a.txt", b"words")}
    files[name] = (files[name][0], bytes(2 * MEBIBYTE + 1))
    answer = client.post("/v1/jobs", files=files)
    _check_problem(running, answer, 413, "too_large")
    assert name in answer.json()["detail"]
    assert _left(running) == []


def test_fields_that_are_too_large(running: Service, client: httpx.Client) -> None:
    _check_problem(running, _post(client, options="[" * (MEBIBYTE + 1)), 413, "too_large")
    _check_problem(running, _post(client, text="x" * (MEBIBYTE + 1)), 413, "too_large")
    assert _post(client, text="x" * MEBIBYTE).status_code == 202


# --------------------------------------------------------------------------- as it arrives


class Wire:
    """A connection on which a request is sent bit by bit."""

    def __init__(self, running: Service, key: str, *headers: str, path: str = "/v1/jobs") -> None:
        url = urlsplit(running.url)
        assert url.hostname
        assert url.port
        self.socket = socket.create_connection((url.hostname, url.port), PATIENCE)
        lines = [
            f"POST {path} HTTP/1.1",
            f"Host: {url.netloc}",
            f"Authorization: Bearer {key}",
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
            *headers,
        ]
        self.socket.sendall("".join(f"{line}\r\n" for line in [*lines, ""]).encode())

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_chunk(self, data: bytes) -> bool:
        """False where there is an answer already, or nobody takes any more."""
        if select.select([self.socket], [], [], 0)[0]:
            return False
        try:
            self.socket.sendall(b"%x\r\n%s\r\n" % (len(data), data))
        except ConnectionError:
            return False
        return True

    def answer(self) -> tuple[int, dict[str, Any]]:
        response = HTTPResponse(self.socket)
        response.begin()
        with response:
            return response.status, json.loads(response.read())

    def reset(self) -> None:
        """Ends the connection without a word."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def test_a_recording_of_unknown_size_is_refused_as_soon_as_it_is_too_large(
    running: Service, key: str
) -> None:
    wire = Wire(running, key, "Transfer-Encoding: chunked")
    wire.send_chunk(HEAD)
    sent = 0
    while wire.send_chunk(bytes(MEBIBYTE // 4)):
        sent += MEBIBYTE // 4
        assert sent < 200 * MEBIBYTE
    status, problem = wire.answer()
    wire.socket.close()
    assert (status, problem["code"]) == (413, "too_large")
    assert _left(running) == []


def test_a_recording_that_says_it_is_too_large_is_refused_unseen(running: Service, key: str) -> None:
    wire = Wire(running, key, f"Content-Length: {10**10}")
    status, problem = wire.answer()
    wire.socket.close()
    assert (status, problem["code"]) == (413, "too_large")
    assert _left(running) == []


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/audio/transcriptions"])
def test_a_full_queue_is_told_before_anything_is_sent(
    running: Service, key: str, client: httpx.Client, path: str
) -> None:
    assert [_post(client).status_code for _ in range(LIMITS["queue_limit"])] == [202] * LIMITS["queue_limit"]
    wire = Wire(running, key, f"Content-Length: {MEBIBYTE}", path=path)
    status, problem = wire.answer()
    wire.socket.close()
    assert (status, problem["code"]) == (429, "queue_full")
    assert _left(running) == []


def test_a_request_of_two_lengths_ends_its_connection(running: Service, key: str) -> None:
    """Another server before this one may take the other length for true (RFC 9112, 6.1)."""
    wire = Wire(running, key, "Content-Length: 5", "Transfer-Encoding: chunked")
    status, problem = wire.answer()
    assert (status, problem["code"]) == (400, "bad_request")
    assert wire.socket.recv(1) == b""
    wire.socket.close()


def test_an_upload_that_stalls_is_given_up(running: Service, key: str) -> None:
    wire = Wire(running, key, "Content-Length: 1000000")
    wire.send(HEAD + bytes(1000))
    status, problem = wire.answer()
    wire.socket.close()
    assert (status, problem["code"]) == (408, "timeout")
    assert _left(running) == []


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_client_that_breaks_off_leaves_nothing(
    running: Service, key: str, client: httpx.Client, end: str
) -> None:
    wire = Wire(running, key, "Content-Length: 2000000")
    wire.send(HEAD + bytes(1_500_000))
    _wait_until(lambda: len(_left(running)) == 1)
    wire.reset() if end == "reset" else wire.socket.close()
    _wait_until(lambda: _left(running) == [])
    assert client.get("/v1/jobs").json()["jobs"] == []


# --------------------------------------------------------------------------- once


def test_the_same_key_and_content_are_one_job(client: httpx.Client) -> None:
    first, again = (_post(client, repetition="once", text="words") for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert first.headers["Location"] == again.headers["Location"] == f"/v1/jobs/{first.json()['id']}"
    assert _post(client, repetition="twice", text="words").json()["id"] != first.json()["id"]
    assert len(client.get("/v1/jobs").json()["jobs"]) == 2


@pytest.mark.parametrize(
    "other", [{"audio": WAV + b"!"}, {"text": "other words"}, {"text": ""}, {"options": '{"speakers": 2}'}]
)
def test_the_same_key_and_other_content_are_refused(
    running: Service, client: httpx.Client, other: dict[str, Any]
) -> None:
    sent: dict[str, Any] = {"audio": WAV, "text": "words", "options": '{"speakers": 3}', "repetition": "once"}
    job = _post(client, **sent).json()["id"]
    _check_problem(running, _post(client, **(sent | other)), 409, "idempotency_key_reused")
    assert [job["id"] for job in client.get("/v1/jobs").json()["jobs"]] == [job]
    assert _left(running) == []


def test_the_same_key_many_times_at_once_is_one_job(running: Service, client: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(lambda _: _post(client, repetition="at once"), range(8))]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(client.get("/v1/jobs").json()["jobs"]) == 1
    assert _left(running) == []


def test_the_key_of_a_deleted_job_is_free_again(client: httpx.Client) -> None:
    first = _post(client, repetition="again").json()["id"]
    assert client.delete(f"/v1/jobs/{first}").status_code == 204
    assert _post(client, WAV + b"!", repetition="again").status_code == 202


# --------------------------------------------------------------------------- what is wrong


def _form(*parts: str | bytes, boundary: str = BOUNDARY, end: str = f"--{BOUNDARY}--\r\n") -> dict[str, Any]:
    """A form as it is on the wire; of every part all but its first header's beginning."""
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="'.encode()
        + (part.encode() if isinstance(part, str) else part)
        + b"\r\n"
        for part in parts
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return {"content": body + end.encode(), "headers": headers}


AUDIO = 'audio"; filename="a.wav"\r\n\r\nRIFF'
BROKEN: list[tuple[int, str, dict[str, Any]]] = [
    (415, "unsupported_media_type", {"json": {"audio": "RIFF"}}),
    (415, "unsupported_media_type", {}),
    (400, "bad_request", {"content": b"", "headers": {"Content-Type": "multipart/form-data"}}),
    (400, "bad_request", _form(AUDIO, boundary="other")),
    (400, "bad_request", _form(AUDIO, end="")),
    (422, "invalid", _form()),
    (422, "invalid", _form('text"\r\n\r\nwords')),
    (422, "invalid", _form(AUDIO, AUDIO)),
    (422, "invalid", _form(AUDIO, 'sound"\r\n\r\nRIFF')),
    (422, "invalid", _form(AUDIO, 'options"\r\n\r\n{')),
    (422, "invalid", _form(AUDIO, 'options"\r\n\r\n[]')),
    (422, "invalid", _form(AUDIO, 'options"\r\n\r\n{"colour": "red"}')),
    (422, "invalid", _form(AUDIO, 'options"\r\n\r\n{"speakers": 0}')),
    (422, "invalid", _form(AUDIO, 'options"\r\n\r\n{"language": "../../etc"}')),
    (422, "invalid", _form(AUDIO, 'options"\r\n\r\n{"webhook": "https://hooks.example.org/"}')),
    (422, "invalid", _form(AUDIO, b'options"\r\n\r\n\xff')),
    (413, "too_large", _form(AUDIO, *['options"\r\n\r\n{}'] * 200)),
]


@pytest.mark.parametrize(("status", "code", "sent"), BROKEN)
def test_a_form_that_is_wrong(
    running: Service, client: httpx.Client, status: int, code: str, sent: dict[str, Any]
) -> None:
    _check_problem(running, client.post("/v1/jobs", **sent), status, code)
    assert client.get("/v1/jobs").json()["jobs"] == []
    assert _left(running) == []


@pytest.mark.parametrize(
    ("status", "code", "method", "address"),
    [
        (404, "not_found", "GET", "/v1"),
        (404, "not_found", "GET", "/v1/jobs/"),
        (404, "not_found", "GET", f"/v1/jobs/{NOBODYS}"),
        (404, "not_found", "GET", f"/v1/jobs/{NOBODYS.upper()}"),
        (404, "not_found", "GET", "/v1/jobs/..%2F..%2Fturnwise.db"),
        (404, "not_found", "GET", "/v1/jobs/%00"),
        (404, "not_found", "GET", "/v1/jobs/%FF"),
        (404, "not_found", "GET", "/docs/../../etc/passwd"),
        (405, "method_not_allowed", "PUT", "/v1/jobs"),
        (405, "method_not_allowed", "POST", f"/v1/jobs/{NOBODYS}"),
        (405, "method_not_allowed", "BREW", "/v1/jobs"),
        (405, "method_not_allowed", "DELETE", "/health/live"),
        (404, "not_found", "GET", f"/v1/jobs/{'a' * 65}"),
        (422, "invalid", "GET", "/v1/jobs?limit=0"),
        (422, "invalid", "GET", "/v1/jobs?limit=many"),
        (422, "invalid", "GET", "/v1/jobs?state=lost"),
        (422, "invalid", "GET", f"/v1/jobs?cursor={'a' * 33}"),
        (422, "invalid", "GET", "/v1/jobs?cursor=%00"),
        (404, "not_found", "GET", f"/v1/jobs/{NOBODYS}/export/exe"),
    ],
)
def test_an_address_that_is_wrong(
    running: Service, client: httpx.Client, status: int, code: str, method: str, address: str
) -> None:
    answer = client.request(method, address)
    _check_problem(running, answer, status, code)
    if status == 405:
        assert method not in answer.headers["Allow"].split(", ")


def test_a_job_that_is_not_done(running: Service, client: httpx.Client) -> None:
    job = f"/v1/jobs/{_post(client).json()['id']}"
    for part in ("result", "export/vtt", "heard", "diarization"):
        _check_problem(running, client.get(f"{job}/{part}"), 409, "not_finished")
    _check_problem(running, client.get(f"{job}/export/exe"), 422, "invalid")
    beyond = client.get(f"{job}/audio", headers={"Range": "bytes=5000-"})
    _check_problem(running, beyond, 416, "range_not_satisfiable")
    _check_problem(running, client.get(f"{job}/events", headers={"Last-Event-ID": "x"}), 422, "invalid")
    long = client.post("/v1/jobs", headers={"Idempotency-Key": "x" * 256})
    _check_problem(running, long, 422, "invalid")
    assert client.post(f"{job}/cancel").status_code == 200
    _check_problem(running, client.get(f"{job}/result"), 409, "job_failed")


def test_the_id_of_a_request_is_that_of_the_proxy_in_front(client: httpx.Client) -> None:
    for sent, taken in (("Req-1.a_b", True), ("x" * 65, False), ("a b", False), ("", False)):
        answer = client.get("/v1/nothing", headers={"X-Request-Id": sent})
        assert (answer.headers["X-Request-Id"] == sent) == taken
        assert re.fullmatch(r"[A-Za-z0-9._-]+", answer.headers["X-Request-Id"])


# --------------------------------------------------------------------------- pages of others


def test_only_a_page_of_the_origin_that_is_set_may_read(running: Service, key: str) -> None:
    asked = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization"}
    for origin, allowed in (("https://desk.example.org", True), ("https://evil.example.org", False)):
        with running.client() as client:
            client.headers["Origin"] = origin
            preflight = client.options("/v1/jobs", headers=asked)
            answers = [
                preflight,
                client.get("/v1/jobs"),
                client.get("/v1/jobs", headers={"Authorization": f"Bearer {key}"}),
            ]
        assert [answer.status_code for answer in answers[1:]] == [401, 200]
        assert preflight.is_success == allowed
        for answer in answers:
            assert answer.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
        if allowed:
            assert "DELETE" in preflight.headers["Access-Control-Allow-Methods"]
            assert "authorization" in preflight.headers["Access-Control-Allow-Headers"]
