"""A job's file as an answer, or the range of it that was asked for, wherever it lies.

It comes through this process a block at a time, from a file as from an object. Where several ranges are asked
for, all of it is sent, as HTTP allows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.utils import formatdate
from functools import partial
from pathlib import Path

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from service.files.objects import Object
from service.files.storage import File
from service.problems import Code, ProblemError

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE)

BLOCK_BYTES = 2**20
Content = tuple[str, float, int, Callable[[int, int], Iterable[bytes]]]
"""A tag that changes with it, time of its last change, size in bytes, and what gives bytes from a to b."""


def send(file: File, request: Request, media_type: str, headers: Mapping[str, str]) -> Response:
    """All of it, or a range. Raises ProblemError for a range beyond the end."""
    tag, changed, size_bytes, blocks = _of_path(file) if isinstance(file, Path) else _of_object(file)
    sent = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{hashlib.sha256(tag.encode()).hexdigest()[:32]}"',
        "Last-Modified": formatdate(changed, usegmt=True),
        **headers,
    }
    asked = _range(request, size_bytes, sent)
    start, end = asked or (0, size_bytes)
    sent["Content-Length"] = str(end - start)
    if asked:
        sent["Content-Range"] = f"bytes {start}-{end - 1}/{size_bytes}"
    return StreamingResponse(blocks(start, end), 206 if asked else 200, sent, media_type)


def _of_object(file: Object) -> Content:
    """It never changes, so its name is its tag."""
    return file.name, file.changed, file.size_bytes, file.blocks


def _of_path(path: Path) -> Content:
    found = path.stat()
    return f"{found.st_mtime_ns} {found.st_size}", found.st_mtime, found.st_size, partial(_blocks, path)


def _blocks(path: Path, start: int, end: int) -> Iterator[bytes]:
    """Fewer than asked for where the file was cut short meanwhile: the server then breaks the answer off."""
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(min(BLOCK_BYTES, end - file.tell())):
            yield block


def _range(request: Request, size_bytes: int, known: Mapping[str, str]) -> tuple[int, int] | None:
    """First byte and the one after the last; None where it makes no sense, names several, is of something
    else than what is known here, or is not there. Raises ProblemError for one beyond the end."""
    if request.headers.get("if-range", known["ETag"]) not in {known["ETag"], known["Last-Modified"]}:
        return None
    parts = RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    first, last = parts.groups() if parts else ("", "")
    if not (first or last) or (first and last and int(last) < int(first)):
        return None
    if (int(first) >= size_bytes) if first else not min(int(last), size_bytes):
        detail = f"The recording has {size_bytes} bytes: ask for a part of them."
        raise ProblemError(Code.RANGE, detail, {"Content-Range": f"bytes */{size_bytes}"})
    if not first:
        return max(0, size_bytes - int(last)), size_bytes
    return int(first), min(size_bytes, int(last) + 1) if last else size_bytes
