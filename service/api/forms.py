"""A multipart form, streamed to the disk as it arrives, within its limits."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState, parse_options_header
from starlette.concurrency import run_in_threadpool

from service.api.body import blocks, check_quota, check_space
from service.api.context import Context
from service.files.storage import JobFolder
from service.problems import Code, ProblemError
from service.settings import MEBIBYTE

FIELDS_BYTES = MEBIBYTE
"""Limit for all fields together that are not files."""
MOST_PARTS = 200
LONGEST_HEADER = 4096
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file that has arrived."""

    name: str  # the sender's name for it, made safe; "" if it came as a field
    sha256: str
    size_bytes: int


@dataclass(slots=True)
class Form:
    """A form that has arrived: fields in order, and files."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, ReceivedFile] = field(default_factory=dict)

    @property
    def text_name(self) -> str:
        """Name of the text, "" without one."""
        return (self.files["text"].name or "text") if "text" in self.files else ""

    def hashes(self, folder: JobFolder, recording: str, missing: str) -> dict[str, str]:
        """Returns the SHA-256 of every file, dropping empty ones other than the recording.

        Raises ProblemError, with the sentence `missing`, if there is no file named `recording`.
        """
        if recording not in self.files:
            raise ProblemError(Code.INVALID, missing)
        for name in ("text", "heard", "diarization"):
            if name in self.files and not self.files[name].size_bytes:
                (folder.path / name).unlink()
                del self.files[name]
        return {name: file.sha256 for name, file in self.files.items()}


async def receive(
    request: Request, context: Context, places: Mapping[str, tuple[Path, int]], used_bytes: int = 0
) -> Form:
    """Reads the form of a request; `places` gives file and size limit in bytes of each part that is a file.
    `used_bytes` is how much of the quota is used before.

    Raises ProblemError: not multipart, broken, too large, too slow, or no space left.
    """
    parser = _Parser(places)
    received_bytes = 0
    try:
        multipart = _multipart(request, parser)
        _check_length(request, context, used_bytes)
        async for block in blocks(request, context.settings.upload_timeout):
            check_space(context)
            received_bytes += len(block)
            check_quota(context.settings, used_bytes, received_bytes)
            await run_in_threadpool(multipart.write, block)
    except FormParserError:
        raise ProblemError(Code.BAD_REQUEST) from None
    finally:
        parser.close()
    if multipart.state is not MultipartState.END:
        raise ProblemError(Code.BAD_REQUEST)
    return parser.form


def _multipart(request: Request, parser: _Parser) -> MultipartParser:
    """Raises ProblemError, or FormParserError."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        raise ProblemError(Code.MEDIA_TYPE)
    boundary = options.get(b"boundary")
    if not boundary:
        raise ProblemError(Code.BAD_REQUEST)
    return MultipartParser(boundary, parser.callbacks(), max_header_size=FIELDS_BYTES)  # type: ignore[arg-type]


def _check_length(request: Request, context: Context, used_bytes: int) -> None:
    """Raises ProblemError for a request whose Content-Length is too large, before it arrives."""
    settings = context.settings
    length = request.headers.get("content-length", "")
    most = settings.max_upload_bytes + settings.max_text_bytes + 4 * MEBIBYTE
    if length.isdecimal() and int(length) > most:
        raise _too_large("The request", settings.max_upload_bytes)
    check_quota(settings, used_bytes, int(length) if length.isdecimal() else 0)
    check_space(context)


class _Parser:
    """Receives the events of python-multipart and writes each part to its place."""

    def __init__(self, places: Mapping[str, tuple[Path, int]]) -> None:
        self.form = Form()
        self._places = places
        self._left_bytes = FIELDS_BYTES
        self._parts = 0
        self._header = [bytearray(), bytearray()]  # name and value
        self._disposition = b""
        self._name = ""
        self._file_name = ""
        self._value = bytearray()
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._size_bytes = 0
        self._most_bytes = 0

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._gather(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._gather(1, data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": lambda data, start, end: self._take(data[start:end]),
            "on_part_end": self._end,
        }

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise ProblemError(Code.TOO_LARGE, f"The form has more than {MOST_PARTS} parts: send fewer.")
        self._disposition = b""

    def _gather(self, which: int, data: bytes) -> None:
        self._spend(len(data))
        self._header[which] += data
        if len(self._header[which]) > LONGEST_HEADER:
            detail = f"The header of a part exceeds {LONGEST_HEADER} bytes: shorten the name of its file."
            raise ProblemError(Code.INVALID, detail)

    def _end_header(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = [bytearray(), bytearray()]

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        # Browsers percent-encode quotes and line breaks in file names (HTML, multipart/form-data encoding).
        name = re.sub(
            b"%22|%0[AaDd]", lambda found: bytes([int(found[0][1:], 16)]), options.get(b"filename", b"")
        )
        self._file_name = clean_name(name.decode("utf-8", "replace"))
        if not self._name:
            raise ProblemError(Code.BAD_REQUEST)
        self._value.clear()
        place = self._places.get(self._name)
        if place is None:
            return
        if self._name in self.form.files:
            raise ProblemError(Code.INVALID, f"The part {self._name} was sent twice: send it once.")
        path, self._most_bytes = place
        self._file = path.open("wb")
        self._hash, self._size_bytes = hashlib.sha256(), 0

    def _take(self, data: bytes) -> None:
        if self._file is None:
            self._spend(len(data))
            self._value += data
            return
        self._size_bytes += len(data)
        if self._size_bytes > self._most_bytes:
            raise _too_large(f"The part {self._name}", self._most_bytes)
        self._hash.update(data)
        self._file.write(data)

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            received = ReceivedFile(self._file_name, self._hash.hexdigest(), self._size_bytes)
            self.form.files[self._name] = received
            return
        try:
            self.form.fields.append((self._name, self._value.decode("utf-8")))
        except UnicodeDecodeError:
            detail = "A field of the form is not UTF-8: encode it as UTF-8, or send it as a file."
            raise ProblemError(Code.INVALID, detail) from None

    def _spend(self, size_bytes: int) -> None:
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise _too_large("The text of all fields together", FIELDS_BYTES)


def clean_name(sent: str) -> str:
    """Returns a file name that is safe to show: without folders or unprintable characters, not too long."""
    name = unicodedata.normalize("NFC", sent.replace("\\", "/").rpartition("/")[2])
    name = "".join(char if char.isprintable() else " " for char in name).strip()
    if len(name) > LONGEST_NAME:
        stem, dot, ending = name.rpartition(".")
        name = f"{stem[: LONGEST_NAME - 20]}{dot}{ending[:19]}" if stem else name[:LONGEST_NAME]
    return "" if name in {".", ".."} else name


def _too_large(what: str, most_bytes: int) -> ProblemError:
    detail = f"{what} is larger than the limit of {most_bytes / MEBIBYTE:.0f} MiB: send less."
    return ProblemError(Code.TOO_LARGE, detail, {"Connection": "close"})
