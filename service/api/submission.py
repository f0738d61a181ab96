"""Receives a job: streams the multipart form to the disk, within its limits, and then queues the job.

    request ─► incoming/<id>/recording, text, … ─► jobs/<id>/ ─► row and workflow, in one transaction ─► 202

Until that transaction nothing refers to the files; after it the job exists whatever happens.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import unicodedata
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
from anyio import CancelScope
from fastapi import Request as HttpRequest
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from pipelines.errors import TextError
from service.api.context import Context
from service.api.handlers import full
from service.files.storage import JobFolder, Request, new_id
from service.problems import Code, ProblemError
from service.records import jobs
from service.records.jobs import Job
from service.records.workflows import JOB
from service.settings import MEBIBYTE, Settings

BLOCK_BYTES = MEBIBYTE
"""How much is collected before it is parsed and written, in a thread."""
FIELDS_BYTES = MEBIBYTE
"""Limit for all fields together that are not files."""
LARGEST_CHECKED_BYTES = 32 * MEBIBYTE
"""Largest heard words and speakers together that are checked here; six hours of recording stay below. Parsing
more would delay all other requests, so the stages check it, before any engine works."""
BODY = (Code.BAD_REQUEST, Code.TIMEOUT, Code.TOO_LARGE, Code.QUOTA, Code.MEDIA_TYPE, Code.DISK_FULL)
"""Problems of every operation that receives a large body."""
SUBMISSION = (*BODY, Code.KEY_REUSED, Code.INVALID, Code.QUEUE_FULL)
"""Problems of every operation that makes a job."""
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
    request: HttpRequest, context: Context, places: Mapping[str, tuple[Path, int]], used_bytes: int = 0
) -> Form:
    """Reads the form of a request; `places` gives file and size limit in bytes of each part that is a file.
    `used_bytes` is how much of the quota is used before.

    Raises ProblemError: not multipart, broken, too large, too slow, or no space left.
    """
    parser = _Parser(places)
    multipart = _multipart(request, parser)
    _check_length(request, context, used_bytes)
    received_bytes = 0
    try:
        async for block in blocks(request, context.settings.upload_timeout):
            check_space(context)
            received_bytes += len(block)
            check_quota(context.settings, used_bytes, received_bytes)
            await run_in_threadpool(multipart.write, block)
        await run_in_threadpool(multipart.finalize)
    except FormParserError:
        raise _broken() from None
    finally:
        parser.close()
    if not parser.complete:
        raise _broken()
    return parser.form


def _multipart(request: HttpRequest, parser: _Parser) -> MultipartParser:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        raise ProblemError(Code.MEDIA_TYPE, "Send the recording and its files as multipart/form-data.")
    boundary = options.get(b"boundary")
    if not boundary:
        raise _broken()
    try:
        return MultipartParser(boundary, parser.callbacks(), max_header_size=FIELDS_BYTES)  # type: ignore[arg-type]
    except FormParserError:
        raise _broken() from None


def _check_length(request: HttpRequest, context: Context, used_bytes: int) -> None:
    """Raises ProblemError for a request whose Content-Length is too large, before it arrives."""
    settings = context.settings
    length = request.headers.get("content-length", "")
    most = settings.max_upload_bytes + settings.max_text_bytes + 4 * MEBIBYTE
    if length.isdecimal() and int(length) > most:
        raise _too_large("The request", settings.max_upload_bytes)
    check_quota(settings, used_bytes, int(length) if length.isdecimal() else 0)
    check_space(context)


async def used_bytes(context: Context, owner: str, idempotency_key: str = "") -> int:
    """Size of all jobs of an owner; 0 if there is no quota, or if the request repeats an earlier one."""
    if not context.settings.quota_mb:
        return 0
    repeated = idempotency(owner, idempotency_key)
    if idempotency_key and await context.transact(jobs.find_repeated, repeated) is not None:
        return 0
    return await context.transact(jobs.kept_bytes, owner)


def check_quota(settings: Settings, used_bytes: int, more_bytes: int = 0) -> None:
    """Raises ProblemError if this much more exceeds the quota of an owner."""
    quota = settings.quota_mb * MEBIBYTE
    if quota and used_bytes + more_bytes > quota:
        taken = f"{used_bytes / MEBIBYTE:.0f} of {settings.quota_mb} MiB"
        detail = f"Your jobs and uploads take {taken}, and this does not fit: delete jobs, or send less."
        raise ProblemError(Code.QUOTA, detail, {"Connection": "close"})


def check_space(context: Context) -> None:
    """Raises ProblemError when too little disk space is left for the work."""
    if context.storage.free_bytes() < context.settings.min_free_bytes:
        raise full()


async def blocks(request: HttpRequest, timeout: float) -> AsyncIterator[bytes]:
    """Yields the body in large blocks, including the last bytes before the connection breaks.

    Raises ProblemError when it breaks, or when nothing arrives for `timeout` seconds.
    """
    gathered = bytearray()
    stream = request.stream()
    problem: ProblemError | None = None
    while True:
        try:
            chunk = await asyncio.wait_for(anext(stream, None), timeout)
        except TimeoutError:
            detail = f"Nothing arrived for {timeout:.0f} s: send it again, or use a resumable upload."
            problem = ProblemError(Code.TIMEOUT, detail, {"Connection": "close"})
            break
        except ClientDisconnect:
            problem = _broken()
            break
        if chunk is None:
            break
        gathered += chunk
        if len(gathered) >= BLOCK_BYTES:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)
    if problem:
        raise problem


class _Parser:
    """Receives the events of python-multipart and writes each part to its place."""

    def __init__(self, places: Mapping[str, tuple[Path, int]]) -> None:
        self.form = Form()
        self.complete = False
        self._places = places
        self._left_bytes = FIELDS_BYTES
        self._parts = 0
        self._headers: dict[str, bytes] = {}
        self._header = [bytearray(), bytearray()]
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
            "on_end": self._finish,
        }

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise ProblemError(Code.TOO_LARGE, f"The form has more than {MOST_PARTS} parts: send fewer.")
        self._headers.clear()

    def _gather(self, which: int, data: bytes) -> None:
        self._spend(len(data))
        self._header[which] += data
        if len(self._header[which]) > LONGEST_HEADER:
            detail = f"The header of a part exceeds {LONGEST_HEADER} bytes: shorten the name of its file."
            raise ProblemError(Code.INVALID, detail)

    def _end_header(self) -> None:
        name, value = self._header
        self._headers[bytes(name).decode("latin-1").lower()] = bytes(value)
        self._header = [bytearray(), bytearray()]

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        # Browsers percent-encode quotes and line breaks in file names (HTML, multipart/form-data encoding).
        name = re.sub(
            b"%22|%0[AaDd]", lambda found: bytes([int(found[0][1:], 16)]), options.get(b"filename", b"")
        )
        self._file_name = clean_name(name.decode("utf-8", "replace"))
        if not self._name:
            raise _broken()
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

    def _finish(self) -> None:
        self.complete = True

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


def _broken() -> ProblemError:
    return ProblemError(Code.BAD_REQUEST, "The form is cut off or not valid multipart: send it again, whole.")


def _too_large(what: str, most_bytes: int) -> ProblemError:
    detail = f"{what} is larger than the limit of {most_bytes / MEBIBYTE:.0f} MiB: send less."
    return ProblemError(Code.TOO_LARGE, detail, {"Connection": "close"})


@asynccontextmanager
async def incoming(
    context: Context, owner: str, idempotency_key: str
) -> AsyncIterator[tuple[str, JobFolder]]:
    """Yields an id and a folder for a job that is being sent; the folder is discarded on any error.

    If the database did not say whether the job was created, a worker cleans up later.
    Raises ProblemError, before anything is received, if the queue is full.
    """
    repeated = idempotency(owner, idempotency_key)
    if not idempotency_key or await context.transact(jobs.find_repeated, repeated) is None:
        await context.transact(_check_queue, owner, context.settings.queue_limit)
    id = new_id()
    folder = await run_in_threadpool(context.storage.incoming, id)
    try:
        yield id, folder
    except BaseException:
        with CancelScope(shield=True):
            if await run_in_threadpool(folder.path.is_dir):
                await run_in_threadpool(context.storage.discard, id)
        raise


async def submit(
    context: Context,
    id: str,
    folder: JobFolder,
    request: Request,
    sent: Mapping[str, str],
    owner: str,
    idempotency_key: str = "",
) -> Job:
    """Queues the job and returns it; returns the earlier job if the key and all that was sent are the same.

    `sent` gives the SHA-256 of every file. Raises ProblemError: queue full, or key used for something else.
    """
    fingerprint = _digest({"files": dict(sent), "request": json.loads(request.to_json())})
    repeated = idempotency(owner, idempotency_key) if idempotency_key else None
    if repeated and (job := await context.transact(_earlier, repeated, fingerprint)):
        await run_in_threadpool(context.storage.discard, id)
        return job
    # An upload may have been used for a job that is deleted by now.
    if not await run_in_threadpool(folder.recording.exists):
        raise ProblemError(Code.NOT_FOUND, "There is no longer an upload with this id: send it again.")
    await run_in_threadpool(_check_files, folder, request)
    await run_in_threadpool(folder.write_request, request)
    size_bytes = await run_in_threadpool(folder.size_bytes)
    await run_in_threadpool(context.storage.admit, id)

    def insert(connection: sa.Connection) -> Job:
        _hold_queue(connection, owner)
        notify = bool(request.webhook)
        turn = jobs.insert(connection, id, owner, fingerprint, repeated, notify, size_bytes)
        if context.settings.quota_mb:
            check_quota(context.settings, jobs.kept_bytes(connection, owner) - size_bytes, size_bytes)
        _check_queue(connection, owner, context.settings.queue_limit, inserted=1)
        context.queue.enqueue(connection, JOB, id, turn=turn)
        return _found(connection, id)

    try:
        return await context.transact(insert)
    except ProblemError:
        await run_in_threadpool(context.storage.discard, id)
        raise
    except sa.exc.IntegrityError:  # two requests with the same key at the same time
        await run_in_threadpool(context.storage.discard, id)
        assert repeated is not None
        job = await context.transact(_earlier, repeated, fingerprint)
        if job is None:
            raise
        return job


def _check_files(folder: JobFolder, request: Request) -> None:
    """Raises ProblemError for supplied files that a stage would refuse hours later."""
    try:
        folder.supplied(request.text_name)
        sizes = [path.stat().st_size for path in (folder.heard, folder.diarization) if path.exists()]
        if sum(sizes) <= LARGEST_CHECKED_BYTES:
            folder.given_transcriber()
            folder.given_diarizer()
    except TextError as error:
        raise ProblemError(Code.INVALID, str(error)) from None


def idempotency(owner: str, key: str) -> str:
    """Returns the hash under which the job of an Idempotency-Key is stored."""
    return _digest({"owner": owner, "key": key})


def _earlier(connection: sa.Connection, repeated: str, fingerprint: str) -> Job | None:
    """Returns the job of this key. Raises ProblemError if it was made from something else."""
    found = jobs.find_repeated(connection, repeated)
    if found is None:
        return None
    id, before = found
    if before != fingerprint:
        detail = "This Idempotency-Key was used for a different request: use a new one."
        raise ProblemError(Code.KEY_REUSED, detail)
    return _found(connection, id)


def _hold_queue(connection: sa.Connection, owner: str) -> None:
    """Admits one insertion at a time, so that limit and turns hold; SQLite has a single writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"queue of {owner}"))))


def _check_queue(connection: sa.Connection, owner: str, limit: int, inserted: int = 0) -> None:
    """Raises ProblemError if the owner's queue has no place for one more job, or for those just inserted."""
    if jobs.count_active(connection, owner) - inserted >= limit:
        detail = f"{limit} of your jobs are waiting or running, the limit: try again when some have ended."
        raise ProblemError(Code.QUEUE_FULL, detail, {"Retry-After": "30", "Connection": "close"})


def _found(connection: sa.Connection, id: str) -> Job:
    job = jobs.find(connection, id)
    assert job is not None
    return job


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
