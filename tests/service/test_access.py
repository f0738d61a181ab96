"""Who may do what, and how often."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from service import keys
from service.api.access import RateLimit, _identify, find_own
from service.api.app import create_app
from service.files.storage import new_id
from service.problems import Code, ProblemError
from service.records import jobs
from service.running.serving import opened
from service.settings import Settings

SECRET = "whsec_" + "c2VjcmV0" * 4


def _refusal(limit: RateLimit, who: str) -> ProblemError | None:
    try:
        limit.spend(who)
    except ProblemError as error:
        return error
    return None


def test_everybody_has_a_limit_of_their_own() -> None:
    limit = RateLimit(3)
    for who in ("key a", "key b"):
        assert [_refusal(limit, who) for _ in range(3)] == [None] * 3
    for who in ("key a", "key b"):
        refusal = _refusal(limit, who)
        assert refusal is not None
        assert refusal.code is Code.TOO_MANY_REQUESTS
        assert 1 <= int(refusal.headers["Retry-After"]) <= 60
        assert refusal.headers["Retry-After"] in refusal.detail


def test_whoever_waits_as_told_may_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    limit, now = RateLimit(2), time.time()
    for passed in (0.0, 20.0):
        monkeypatch.setattr(time, "time", lambda passed=passed: now + passed)
        assert _refusal(limit, "a") is None
    refusal = _refusal(limit, "a")
    assert refusal is not None
    wait = int(refusal.headers["Retry-After"])
    assert 39 <= wait <= 41  # a minute after the first
    monkeypatch.setattr(time, "time", lambda: now + 20.0 + wait + 1)
    assert _refusal(limit, "a") is None


def test_whose_a_token_is(tables: sa.Engine) -> None:
    with tables.begin() as connection:
        assert _identify(connection, "") == _identify(connection, "tw_anything") == (False, None)
        token = keys.create(connection, "first")
        owner = keys.authenticate(connection, token)
        assert owner
        assert _identify(connection, token) == (True, owner)
        assert _identify(connection, "") == _identify(connection, "tw_anything") == (True, None)
        assert keys.revoke(connection, owner)
        assert _identify(connection, token) == (True, None)


def test_a_job_of_another_is_like_none(tables: sa.Engine) -> None:
    id = new_id()
    with tables.begin() as connection:
        jobs.insert(connection, id, "a", "")
        assert find_own(connection, id, "a").id == id
        refusals = set()
        for named, owner in ((id, "b"), (id, ""), (new_id(), "a"), (id.upper(), "a"), ("", "a"), ("%", "a")):
            with pytest.raises(ProblemError) as refusal:
                find_own(connection, named, owner)
            refusals.add((refusal.value.code, refusal.value.detail, *refusal.value.headers))
    assert len(refusals) == 1
    assert {code for code, _ in refusals} == {Code.NOT_FOUND}


# --------------------------------------------------------------------------- in the application


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One without keys, and with webhooks to public addresses."""
    folder = tmp_path_factory.mktemp("access") / "data"
    public = Settings(data_dir=folder, requests_per_minute=1000, webhook_secret=SECRET)  # type: ignore[arg-type]
    with opened(public) as context, TestClient(create_app(context), "http://localhost") as client:
        yield client


def test_no_page_may_read_unless_its_origin_is_set(application: TestClient) -> None:
    asked = {"Origin": "https://desk.example.org", "Access-Control-Request-Method": "GET"}
    preflight = application.options("/v1/jobs", headers=asked)
    answer = application.get("/v1/jobs", headers={"Origin": "https://desk.example.org"})
    assert preflight.status_code == 405
    assert answer.status_code == 403
    for header in (*preflight.headers, *answer.headers):
        assert not header.lower().startswith("access-control-")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:8000/",
        "http://[::1]/",
        "http://0x7f000001/",
        "http://169.254.169.254/latest/meta-data",
        "http://10.1.2.3/",
        "http://[::ffff:10.0.0.1]/",
    ],
)
def test_no_webhook_to_an_address_that_is_not_public(application: TestClient, url: str) -> None:
    files = {"audio": ("a.wav", b"RIFF")}
    answer = application.post("/v1/jobs", files=files, data={"options": json.dumps({"webhook": url})})
    assert answer.status_code == 422
    assert "not public" in answer.json()["detail"]
    assert application.get("/v1/jobs").json()["jobs"] == []


ODD_URLS = st.text() | st.lists(
    st.sampled_from(
        ["http://", "https://", "xn--", "a", "ß", "\u200d", ".com", "/", "%", "[", "]", ":", "@", "\0"]
    )
).map("".join)


@settings(max_examples=50, deadline=None)
@given(ODD_URLS)
@example("http://xn--a.com/")
def test_no_url_of_a_webhook_is_a_fault(application: TestClient, url: str) -> None:
    sent = {"files": {"audio": ("a.wav", b"RIFF")}, "data": {"options": json.dumps({"webhook": url})}}
    answer = application.post("/v1/jobs", **sent)  # type: ignore[arg-type]
    assert answer.status_code in {202, 422}, answer.text
    if answer.status_code == 202:
        application.delete(answer.headers["Location"])


def test_who_has_no_key_is_counted_by_address(tmp_path: Path) -> None:
    few = Settings(data_dir=tmp_path / "data", requests_per_minute=4)
    with opened(few) as context, TestClient(create_app(context), "http://localhost") as client:
        with context.engine.begin() as connection:
            token = keys.create(connection, "a")
        guesses = [client.get("/v1/jobs", headers={"Authorization": f"Bearer tw_{n}"}) for n in range(6)]
        assert [guess.status_code for guess in guesses] == [401] * 4 + [429] * 2
        assert client.get("/v1/jobs").status_code == 429
        good = client.get("/v1/jobs", headers={"Authorization": f"Bearer {token}"})
        assert good.status_code == 200
        assert client.get("/health/live").status_code == 200


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=80))
def test_no_header_is_a_fault(application: TestClient, header: str) -> None:
    answer = application.get("/v1/jobs", headers={b"Authorization": header.encode("latin-1")})
    assert answer.status_code in {200, 429}  # it is a server without keys


ODD = (
    "/v1/jobs?cursor=%00",
    "/v1/jobs?cursor=%FF",
    "/v1/jobs?state=%00",
    "/v1/jobs/%00",
    f"/v1/jobs/{'0' * 31}%00",
    "/v1/jobs/%00/events",
    "/v1/jobs/%00/export/vtt",
)


def test_no_address_is_a_fault(storage_settings: Settings) -> None:
    """Not on PostgreSQL either, which takes no NUL in a text."""
    with opened(storage_settings) as context, TestClient(create_app(context), "http://localhost") as client:
        for address in ODD:
            for headers in ({}, {"Authorization": "Bearer tw_\0"}, {"Last-Event-ID": "\0"}):
                assert client.get(address, headers=headers).status_code in {404, 422}, address
