"""A job's file as an answer: from an object as from a file, and from both as the framework sends a file."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import Request, Response
from fastapi.responses import FileResponse
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect

from service.api.sending import send
from service.files.objects import AwayError, Objects
from service.files.storage import File
from service.problems import Code, ProblemError

SIZES = [0, 1, 100]
CONTENT = bytes(range(100))
SAME, SAME_DATE = "the ETag", "the date"
SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def told(self, *more: str) -> tuple[object, ...]:
        """What must be the same wherever a file lies."""
        names = ("content-length", "content-range", "content-type", "accept-ranges")
        return (self.status, self.body, *(self.headers.get(name) for name in (*names, *more)))


@dataclass(frozen=True)
class Files:
    """The same content, as a file and as an object."""

    path: Path
    objects: Objects

    def of(self, size_bytes: int) -> tuple[Path, File]:
        return self.path / str(size_bytes), self.objects.object(f"jobs/{size_bytes}")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    path = tmp_path_factory.mktemp("sent")
    objects = Objects(f"file://{path}/store")
    objects.prepare()
    for size_bytes in SIZES:
        (path / str(size_bytes)).write_bytes(CONTENT[:size_bytes])
        objects.put(f"jobs/{size_bytes}", path / str(size_bytes))
    return Files(path, objects)


def ask(headers: dict[str, str]) -> Request:
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "headers": pairs, "asgi": {"spec_version": "2.4"}})


def answer(response: Response, request: Request) -> Answer:
    messages: list[Any] = []

    async def put(message: Any) -> None:
        messages.append(message)

    asyncio.run(response(request.scope, request.receive, put))
    start, *parts = messages
    headers = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], headers, b"".join(part["body"] for part in parts))


def sent(file: File, headers: dict[str, str]) -> Answer:
    """Ours; a problem as an answer without a body."""
    whole = answer(send(file, ask({}), "audio/wav", SAFE), ask({}))
    known = {SAME: whole.headers["etag"], SAME_DATE: whole.headers["last-modified"]}
    request = ask({name: known.get(value, value) for name, value in headers.items()})
    try:
        return answer(send(file, request, "audio/wav", SAFE), request)
    except ProblemError as error:
        told = {name.lower(): value for name, value in error.headers.items()}
        return Answer({Code.RANGE: 416}[error.code], told, b"")


def expected(path: Path, headers: dict[str, str]) -> Answer:
    """The framework's, but all of it for several ranges and for what makes no sense."""
    response = FileResponse(path, media_type="audio/wav", stat_result=path.stat())
    known = {SAME: response.headers["etag"], SAME_DATE: response.headers["last-modified"]}
    asked = {name: known.get(value, value) for name, value in headers.items()}
    found = answer(response, ask({} if "," in headers["range"] else asked))
    if found.status == 416:
        return Answer(416, {"content-range": found.headers["content-range"]}, b"")
    return answer(response, ask({})) if found.status == 400 else found


BOUND = st.one_of(st.just(""), st.integers(0, 130).map(str), st.integers(0, 10**17).map(str))
SPACE = st.sampled_from(["", " "])
SPAN = st.tuples(SPACE, BOUND, SPACE, st.just("-"), SPACE, BOUND, SPACE).map("".join)
UNIT = st.sampled_from(["bytes", "bytes", "Bytes", "seconds"])
RANGES = st.one_of(
    st.tuples(UNIT, st.just("="), st.lists(SPAN, min_size=1, max_size=3).map(",".join)).map("".join),
    st.tuples(UNIT, st.just("="), SPAN).map("".join),
    st.text("bytes=-,;0123x", max_size=12),
)
IF_RANGES = st.sampled_from(
    ["", SAME, SAME_DATE, f"W/{SAME}", '"other"', "Wed, 25 Jun 2025 16:00:00 GMT", "nonsense"]
)


@settings(deadline=None)
@given(st.sampled_from(SIZES), RANGES, IF_RANGES)
@example(100, "bytes=0-0", "")
@example(100, "bytes=99-", "")
@example(100, "bytes=-1", "")
@example(100, "bytes=-1000", "")
@example(100, "bytes=100-", "")
@example(100, "bytes=100-", '"other"')
@example(100, "bytes=-0", "")
@example(100, "bytes=0-1,5-6", "")
@example(100, "bytes=200-300,5-6", "")
@example(0, "bytes=0-", "")
@example(0, "bytes=-5", "")
@example(1, "bytes=0-5", SAME_DATE)
def test_a_range_is_what_the_framework_sends(
    files: Files, size_bytes: int, range: str, if_range: str
) -> None:
    assume("--" not in range and not _is_backwards(range))  # nonsense, which the framework understands
    headers = {"range": range} | ({"if-range": if_range} if if_range else {})
    path, object = files.of(size_bytes)
    from_file, from_object = sent(path, headers), sent(object, headers)
    assert from_object.told(*map(str.lower, SAFE)) == from_file.told(*map(str.lower, SAFE))
    if from_file.status != 416:
        assert from_file.headers["cache-control"] == SAFE["Cache-Control"]
    assert from_file.told() == expected(path, headers).told()


def _is_backwards(range: str) -> bool:
    bounds = [int(bound) for bound in re.findall(r"\d+", range)]
    return len(bounds) == 2 and bounds[1] < bounds[0]


@pytest.mark.parametrize("range", ["bytes=1-2", "bytes=1-2,5-6", ""])
def test_the_request_stays_as_it_came(files: Files, range: str) -> None:
    for file in files.of(100):
        request = ask({"range": range})
        answer(send(file, request, "audio/wav", SAFE), request)
        assert request.headers.raw == ask({"range": range}).headers.raw
        assert request.scope["headers"] == ask({"range": range}).scope["headers"]


@pytest.mark.parametrize("range", ["bytes=5-2", "bytes=200-199", "bytes=--5", "bytes=+5-", "bytes=1_0-"])
def test_nonsense_is_not_heard(files: Files, range: str) -> None:
    for file in files.of(100):
        found = sent(file, {"range": range})
        assert (found.status, found.body) == (200, CONTENT)


@pytest.mark.parametrize("digits", [19, 21, 25, 4299, 4301, 9000])
def test_a_range_may_have_any_number_of_digits(files: Files, digits: int) -> None:
    huge = "9" * digits
    for file in files.of(100):
        for beyond in (f"{huge}-", f"{huge}-{huge}9"):
            assert sent(file, {"range": f"bytes={beyond}"}).status == 416
        assert sent(file, {"range": f"bytes={'0' * digits}5-{huge}"}).body == CONTENT[5:]
        assert sent(file, {"range": f"bytes=-{huge}"}).body == CONTENT


@pytest.mark.parametrize("tags", ["*", SAME, f"W/{SAME}", f'"other", {SAME}', f'W/"other",W/{SAME}'])
def test_what_the_caller_has_is_not_sent_again(files: Files, tags: str) -> None:
    for file in files.of(100):
        etag = sent(file, {}).headers["etag"]
        for range in ({}, {"range": "bytes=0-4"}, {"range": "bytes=500-"}):
            found = sent(file, {"if-none-match": tags.replace(SAME, etag), **range})
            assert (found.status, found.body, found.headers["etag"]) == (304, b"", etag)


@pytest.mark.parametrize("tags", ["", '"other"', "nonsense", "**"])
def test_what_the_caller_does_not_have_is_sent(files: Files, tags: str) -> None:
    for file in files.of(100):
        assert sent(file, {"if-none-match": tags}).body == CONTENT


@pytest.mark.parametrize("size_bytes", SIZES)
def test_all_of_it(files: Files, size_bytes: int) -> None:
    for file in files.of(size_bytes):
        found = sent(file, {})
        assert (found.status, found.body) == (200, CONTENT[:size_bytes])
        assert found.headers["content-length"] == str(size_bytes)
        assert found.headers["content-type"] == "audio/wav"
        assert found.headers["x-content-type-options"] == "nosniff"
        assert "content-range" not in found.headers


def test_two_objects_are_not_one(files: Files) -> None:
    tags = {sent(files.of(size_bytes)[1], {}).headers["etag"] for size_bytes in SIZES}
    assert len(tags) == len(SIZES)


@pytest.mark.parametrize("error", [FileNotFoundError, AwayError])
def test_an_object_that_breaks_off_is_not_half_an_answer(error: type[Exception]) -> None:
    """The application fails and the server closes the connection, so nobody takes what came for all of it."""

    def blocks(start: int, end: int) -> Iterator[bytes]:
        yield CONTENT[:50]
        raise error

    request = ask({})
    response = send(_object(blocks), request, "audio/wav", SAFE)
    with pytest.raises((AwayError, ClientDisconnect)):
        answer(response, request)


def test_what_is_asked_for_is_read_and_no_more(files: Files) -> None:
    read: list[tuple[int, int]] = []

    def blocks(start: int, end: int) -> list[bytes]:
        read.append((start, end))
        return [CONTENT[start:end]]

    assert sent(_object(blocks), {"range": "bytes=10-19"}).body == CONTENT[10:20]
    assert read == [(0, 100), (10, 20)]


def _object(blocks: Callable[[int, int], Iterable[bytes]]) -> File:
    return cast(File, SimpleNamespace(name="jobs/1", size_bytes=100, changed=0.0, blocks=blocks))
