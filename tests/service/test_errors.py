"""Whatever goes wrong below a request becomes a problem document, which tells nothing of this machine."""

from __future__ import annotations

import asyncio
import errno
import json

import pytest
import sqlalchemy as sa
from fastapi import FastAPI, HTTPException
from starlette.testclient import TestClient
from starlette.types import Send
from structlog.testing import capture_logs

from service.api import handlers as errors
from service.api.tracing import Tracing
from service.observability.metrics import Metrics
from service.problems import Code, ProblemError

PATH = "/srv/secret/turnwise.db"
STATEMENT = "SELECT secret FROM jobs"


def _database(kind: type[sa.exc.DBAPIError], message: str) -> sa.exc.DBAPIError:
    return kind(STATEMENT, {}, Exception(f"{message}: {PATH}"))


RAISED: dict[str, tuple[Exception, int, str]] = {
    "problem": (ProblemError(Code.NOT_FINISHED, "Wait.", {"Retry-After": "2"}), 409, "not_finished"),
    "away": (_database(sa.exc.OperationalError, "no connection"), 503, "unavailable"),
    "broken": (_database(sa.exc.InterfaceError, "closed"), 503, "unavailable"),
    "exhausted": (sa.exc.TimeoutError(f"QueuePool limit at {PATH}"), 503, "unavailable"),
    "full": (_database(sa.exc.OperationalError, "database or disk is full"), 507, "disk_full"),
    "no space": (OSError(errno.ENOSPC, "No space left on device", PATH), 507, "disk_full"),
    "quota": (OSError(errno.EDQUOT, "Quota exceeded", PATH), 507, "disk_full"),
    "fault of the disk": (OSError(errno.EIO, "Input/output error", PATH), 500, "internal"),
    "no file": (FileNotFoundError(errno.ENOENT, "No such file", PATH), 500, "internal"),
    "mistake": (KeyError(PATH), 500, "internal"),
    "statement": (_database(sa.exc.ProgrammingError, "no such table"), 500, "internal"),
    "framework": (HTTPException(400, f"cannot read {PATH}"), 400, "bad_request"),
    "other status": (HTTPException(418, PATH), 400, "bad_request"),
}


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    errors.install(app)

    @app.get("/raise/{what}")
    def fail(what: str) -> None:
        raise RAISED[what][0]

    @app.get("/number")
    def number(value: int) -> int:
        return value

    app.add_middleware(Tracing, metrics=Metrics())
    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize("what", RAISED)
def test_every_error_is_a_problem(client: TestClient, what: str) -> None:
    _, status, code = RAISED[what]
    with capture_logs() as logged:
        answer = client.get(f"/raise/{what}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    for word in ("secret", "SELECT", "Traceback", ".py", "KeyError", "OSError", "sqlalche"):
        assert word not in answer.text
    expected = "server_error" if status >= 500 else "invalid_request_error"
    assert problem["error"] == {
        "message": problem["detail"],
        "type": expected,
        "param": None,
        "code": code,
    }
    assert [line["status"] for line in logged if line["event"] == "request"] == [status]


@pytest.mark.parametrize("what", ["away", "broken", "exhausted", "full", "no space", "problem"])
def test_what_passes_says_when_to_come_again(client: TestClient, what: str) -> None:
    assert int(client.get(f"/raise/{what}").headers["Retry-After"]) > 0


@pytest.mark.parametrize("what", ["mistake", "fault of the disk", "statement"])
def test_a_fault_of_ours_is_in_the_log_with_its_trace(client: TestClient, what: str) -> None:
    with capture_logs() as logged:
        client.get(f"/raise/{what}")
    assert any(line["log_level"] == "error" and line.get("exc_info") for line in logged)


@pytest.mark.parametrize("query", ["", "?value=one", "?value="])
def test_what_does_not_fit_is_named(client: TestClient, query: str) -> None:
    answer = client.get(f"/number{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert answer.json()["detail"].startswith("value: ")


def test_addresses_and_methods_that_there_are_not(client: TestClient) -> None:
    assert client.get("/nothing").json()["code"] == "not_found"
    wrong = client.delete("/number?value=1")
    assert wrong.json()["code"] == "method_not_allowed"
    assert wrong.headers["Allow"] == "GET"


def test_a_request_that_a_stopping_server_does_not_wait_for() -> None:
    answer = errors.stopping()
    assert answer.status_code == 503
    assert json.loads(bytes(answer.body))["code"] == "unavailable"
    assert answer.headers["Connection"] == "close"


def test_an_error_after_the_answer_has_begun_does_not_begin_another() -> None:
    """The client sees that it breaks off, and the log why."""
    sent = []

    async def break_off(scope: object, receive: object, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("in the middle")

    async def receive() -> dict[str, str]:
        return {"type": "http.request"}

    async def send(message: dict[str, object]) -> None:
        sent.append(message["type"])

    tracing = Tracing(break_off, Metrics())
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    with capture_logs() as logged:
        asyncio.run(tracing(scope, receive, send))  # type: ignore[arg-type]
    assert sent == ["http.response.start"]
    assert [line["event"] for line in logged] == ["fault", "request"]
