"""Forms as another parser reads them, in whatever pieces they come, and their limits."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import UploadFile
from starlette.requests import Request as HttpRequest

from service.api.context import Context
from service.api.forms import LONGEST_NAME, Form, clean_name, receive
from service.problems import Code, ProblemError
from service.settings import Settings

BOUNDARY = "boundary"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
LARGEST_TEXT_BYTES = 4000

Message = dict[str, Any]


class Sender:
    """A body on its way, in pieces."""

    def __init__(self, pieces: Sequence[bytes], last: Message | None = None) -> None:
        self._messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        self._messages.append(last or {"type": "http.request", "body": b"", "more_body": False})

    async def __call__(self) -> Message:
        if not self._messages:
            await asyncio.Event().wait()
        return self._messages.pop(0)


def asked(receive: Callable[[], Awaitable[Message]], content_type: str = TYPE, **headers: str) -> HttpRequest:
    raw = [(b"content-type", content_type.encode())]
    raw += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HttpRequest({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)


def context(folder: Path, free_bytes: int = 2**40, **values: Any) -> Context:
    """As much of it as the receiving of a form needs."""
    made = SimpleNamespace(
        settings=Settings(data_dir=folder, **values), storage=SimpleNamespace(free_bytes=lambda: free_bytes)
    )
    return cast(Context, made)


def received(request: HttpRequest, folder: Path, known: Context | None = None) -> Form:
    """The form; the parts audio and text are files."""
    places = {"audio": (folder / "audio", 2**30), "text": (folder / "text", LARGEST_TEXT_BYTES)}
    return asyncio.run(receive(request, known or context(folder), places))


def refused(request: HttpRequest, folder: Path, known: Context | None = None) -> Code:
    with pytest.raises(ProblemError) as error:
        received(request, folder, known)
    assert str(folder) not in error.value.detail
    return error.value.code


def part(name: str, content: bytes, *, file: str | None = None, boundary: str = BOUNDARY) -> bytes:
    said = f'form-data; name="{name}"' + (f'; filename="{file}"' if file is not None else "")
    return f"--{boundary}\r\nContent-Disposition: {said}\r\n\r\n".encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


# --------------------------------------------------------------------------- names

SENT = st.text() | st.text("ab./\\ \t\n\0\u2028\u202e\ufeffé", max_size=12) | st.text("a.", min_size=190)


@given(SENT)
def test_a_clean_name_is_no_path_and_can_be_read(sent: str) -> None:
    name = clean_name(sent)
    assert not set(name) & {"/", "\\", "\0", "\n"}
    assert name not in {".", ".."}
    assert name.isprintable()
    assert len(name) <= LONGEST_NAME
    assert name == name.strip()
    assert clean_name(name) == name
    assert (Path("folder") / name).parent == Path("folder") or name == ""
    name.encode()


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("interview.mp3", "interview.mp3"),
        ("C:\\Users\\ana\\Gespräch 7.ogg", "Gespräch 7.ogg"),
        ("../../etc/passwd", "passwd"),
        ("..", ""),
        (".", ""),
        ("a/..", ""),
        ("nul\0 and\nlines.wav", "nul  and lines.wav"),
        ("e\u0301.wav", "é.wav"),
        ("x" * 300 + ".wav", "x" * 180 + ".wav"),
        ("x." + "w" * 300, "x." + "w" * 19),
        ("新聞.wav", "新聞.wav"),
    ],
)
def test_names_as_their_owners_know_them(sent: str, name: str) -> None:
    assert clean_name(sent) == name


# --------------------------------------------------------------------------- forms

CONTENTS = st.binary(max_size=200) | st.lists(
    st.sampled_from([b"--boundary", b"\r\n", b"\r", b"\n", b"--", b"\0", b"RIFF", b"--boundary--"]),
    max_size=8,
).map(b"".join)
NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8).filter(
    lambda name: name not in {"audio", "text"}  # which are files, with a file name or without
) | st.just("options")
FILES = st.lists(
    st.tuples(st.sampled_from(["audio", "text"]), st.text(max_size=12).filter(bool), CONTENTS),
    max_size=2,
    unique_by=lambda file: file[0],
)
OTHERS = st.lists(st.tuples(NAMES, st.text(max_size=12)), max_size=4)


@st.composite
def pieces(draw: st.DrawFn, body: bytes) -> list[bytes]:
    """The same bytes, cut anywhere."""
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=8)))
    return [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]


async def as_starlette(request: HttpRequest) -> list[tuple[str, str | None, bytes]]:
    """Name, file name and content of every part, as the parser of Starlette reads them."""
    parts: list[tuple[str, str | None, bytes]] = []
    async with request.form() as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                parts.append((name, value.filename or "", await value.read()))
            else:
                parts.append((name, None, value.encode()))
    return parts


def test_forms_are_read_as_others_read_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @settings(max_examples=30, deadline=None)
    @given(st.data(), FILES, OTHERS, st.integers(1, 300))
    def check(data: st.DataObject, files: Any, others: list[tuple[str, str]], block_bytes: int) -> None:
        parts: list[Any] = [(name, (None, value)) for name, value in others]
        parts += [(name, (file, content)) for name, file, content in files]
        parts = data.draw(st.permutations(parts))
        built = httpx.Request("POST", "http://localhost", files=parts or [("none", (None, "-"))])
        cut = data.draw(pieces(built.read()))
        content_type = built.headers["content-type"]
        monkeypatch.setattr("service.api.body.BLOCK_BYTES", block_bytes)
        form = received(asked(Sender(cut), content_type), tmp_path)
        expected = asyncio.run(as_starlette(asked(Sender(cut), content_type)))
        assert form.fields == [(name, text.decode()) for name, file, text in expected if file is None]
        assert {name for name, _ in form.fields} == {name for name, _ in others} or not parts
        assert form.files.keys() == {name for name, _, _ in files}
        for name, file, content in expected:
            if file is not None:
                found, meant = (
                    form.files[name],
                    file.replace("%22", '"').replace("%0A", "\n").replace("%0D", "\r"),
                )
                assert (found.name, found.size_bytes) == (clean_name(meant), len(content))
                assert found.sha256 == hashlib.sha256(content).hexdigest()
                assert (tmp_path / name).read_bytes() == content
        assert [(name, content) for name, file, content in expected if file is not None] == [
            (name, content) for name, (file, content) in parts if file is not None
        ]

    check()


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("the %22final%22 cut.wav", 'the "final" cut.wav'),
        ("two%0D%0Alines.wav", "two  lines.wav"),
        ("100%25 %41 %2F%5C.wav", "100%25 %41 %2F%5C.wav"),
        ("%2522.wav", "%2522.wav"),
    ],
)
def test_what_browsers_quote_in_a_name(tmp_path: Path, sent: str, name: str) -> None:
    form = received(asked(Sender([part("audio", b"RIFF", file=sent) + END])), tmp_path)
    assert form.files["audio"].name == name


def test_an_endless_name_is_refused_for_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="shorten the name") as refusal:
        received(asked(Sender([part("audio", b"RIFF", file="x" * 5000) + END])), tmp_path)
    assert refusal.value.code is Code.INVALID
    received(asked(Sender([part("audio", b"RIFF", file="x" * 4000) + END])), tmp_path)


def test_a_text_may_come_as_a_field(tmp_path: Path) -> None:
    body = part("text", "Good evening.\r\nÉ".encode()) + part("options", b"{}") + part("audio", b"x") + END
    form = received(asked(Sender([body])), tmp_path)
    assert form.fields == [("options", "{}")]
    assert form.files["text"].name == form.files["audio"].name == ""
    assert (tmp_path / "text").read_text("utf-8") == "Good evening.\nÉ"
    assert form.files["text"].sha256 == hashlib.sha256("Good evening.\r\nÉ".encode()).hexdigest()


def test_a_form_that_breaks_off_is_none(tmp_path: Path) -> None:
    body = part("options", b"{}") + part("audio", b"\r\n--bound", file="a.wav") + END
    for end in range(0, len(body) - len("\r\n"), 3):
        assert refused(asked(Sender([body[:end]])), tmp_path) is Code.BAD_REQUEST
    gone = Sender([body[:100]], {"type": "http.disconnect"})
    assert refused(asked(gone), tmp_path) is Code.BAD_REQUEST


def test_what_is_no_form_is_told_so(tmp_path: Path) -> None:
    fragments = [
        b"--boundary",
        b"\r\n",
        b"--",
        b"Content-Disposition: form-data",
        b"; name=",
        b'"a"',
        b":",
        b"\xff",
    ]
    bodies = st.binary(max_size=40) | st.lists(st.sampled_from(fragments), max_size=12).map(b"".join)

    @settings(max_examples=60, deadline=None)
    @given(bodies)
    def check(body: bytes) -> None:
        with suppress(ProblemError):  # and nothing else is raised
            received(asked(Sender([body])), tmp_path)
            assert b"--boundary--" in body

    check()


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        ("", Code.MEDIA_TYPE),
        ("application/json", Code.MEDIA_TYPE),
        ("multipart/mixed; boundary=boundary", Code.MEDIA_TYPE),
        ("multipart/form-data", Code.BAD_REQUEST),
        ("multipart/form-data; boundary=", Code.BAD_REQUEST),
        ("multipart/form-data; boundary=other", Code.BAD_REQUEST),
        (f"multipart/form-data; boundary={'x' * 5000}", Code.BAD_REQUEST),
    ],
)
def test_a_type_that_cannot_be_read(content_type: str, code: Code, tmp_path: Path) -> None:
    body = part("audio", b"RIFF") + END
    assert refused(asked(Sender([body]), content_type), tmp_path) is code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (part("audio", b"1") + part("audio", b"2"), Code.INVALID),
        (part("text", b"1") + part("text", b"2", file="a.txt"), Code.INVALID),
        (part("", b"1"), Code.BAD_REQUEST),
        (b"--boundary\r\n\r\nno headers\r\n", Code.BAD_REQUEST),
        (b"--boundary\r\nContent-Type: text/plain\r\n\r\nno name\r\n", Code.BAD_REQUEST),
        (part("options", b"\xff"), Code.INVALID),
        (part("options", b"") * 201, Code.TOO_LARGE),
        (part("options", b"x" * 2**20), Code.TOO_LARGE),
        (part("options", b"x" * 2**18) * 5, Code.TOO_LARGE),
        (part("n" * 2000, b"") * 150 + part("options", b"x" * 900_000), Code.TOO_LARGE),
        (part("text", b"x" * (LARGEST_TEXT_BYTES + 1)), Code.TOO_LARGE),
        (part("text", b"x" * 10 * LARGEST_TEXT_BYTES, file="a.txt"), Code.TOO_LARGE),
    ],
)
def test_parts_that_are_refused(body: bytes, code: Code, tmp_path: Path) -> None:
    assert refused(asked(Sender([body + END])), tmp_path) is code
    assert not (tmp_path / "text").exists() or (tmp_path / "text").stat().st_size <= LARGEST_TEXT_BYTES


def test_as_much_as_is_allowed(tmp_path: Path) -> None:
    body = part("options", b"") * 198 + part("text", b"x" * LARGEST_TEXT_BYTES) + part("audio", b"RIFF") + END
    form = received(asked(Sender([body])), tmp_path)
    assert len(form.fields) == 198
    assert form.files["text"].size_bytes == LARGEST_TEXT_BYTES


def test_a_request_that_says_itself_that_it_is_too_large_is_not_read(tmp_path: Path) -> None:
    async def nothing() -> Message:
        raise AssertionError("it was read")

    small = context(tmp_path, max_upload_mb=1, max_text_mb=1)
    assert refused(asked(nothing, content_length=str(2**23)), tmp_path, small) is Code.TOO_LARGE
    assert refused(asked(nothing), tmp_path, context(tmp_path, free_bytes=2**20)) is Code.DISK_FULL


def test_a_disk_that_fills_up_meanwhile(tmp_path: Path) -> None:
    left = iter([2**40, 2**40, 0])
    filling = context(tmp_path)
    filling.storage.__dict__["free_bytes"] = lambda: next(left)
    body = part("audio", b"x" * 2**21)
    assert refused(asked(Sender([body, body])), tmp_path, filling) is Code.DISK_FULL


def test_a_sender_that_says_nothing_more_is_given_up(tmp_path: Path) -> None:
    silent = Sender([part("audio", b"RIFF")])
    silent._messages.pop()
    assert refused(asked(silent), tmp_path, context(tmp_path, upload_timeout=0.05)) is Code.TIMEOUT


def test_what_does_not_fit_into_the_quota_is_not_received(tmp_path: Path) -> None:
    async def nothing() -> Message:
        raise AssertionError("something was read")

    async def receive_with(request: HttpRequest) -> Form:
        places = {"audio": (tmp_path / "audio", 2**30)}
        return await receive(request, context(tmp_path, quota_mb=3), places, used_bytes=2 * 2**20)

    body = b"".join([part("audio", bytes(2 * 2**20), file="a.wav"), f"--{BOUNDARY}--\r\n".encode()])
    for request in (asked(nothing, content_length=str(len(body))), asked(Sender([body]))):
        with pytest.raises(ProblemError, match="take 2 of 3 MiB") as error:
            asyncio.run(receive_with(request))
        assert error.value.code is Code.QUOTA
