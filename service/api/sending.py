"""A job's file as an answer, or the range of it that was asked for, wherever it lies.

A file of the data folder is sent by the framework. An object comes through this process a block at a time; it
never changes, so its name is what its ETag is made of. Where several ranges are asked for, all of it is sent,
as HTTP allows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path

from fastapi import Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from service.files.objects import Object
from service.files.storage import File
from service.problems import Code, ProblemError

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE)


def send(file: File, request: Request, media_type: str, headers: Mapping[str, str]) -> Response:
    """All of it, or a range. Raises ProblemError for a range beyond the end."""
    if isinstance(file, Path):
        return _send_file(file, request, media_type, headers)
    return _send_object(file, request, media_type, headers)


def _send_file(file: Path, request: Request, media_type: str, headers: Mapping[str, str]) -> Response:
    found = file.stat()
    answer = FileResponse(file, media_type=media_type, headers=dict(headers), stat_result=found)
    if _range(request, found.st_size, answer.headers) is None:
        request.scope["headers"] = [pair for pair in request.scope["headers"] if pair[0] != b"range"]
    return answer


def _send_object(file: Object, request: Request, media_type: str, headers: Mapping[str, str]) -> Response:
    sent = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{hashlib.sha256(file.name.encode()).hexdigest()[:32]}"',
        "Last-Modified": formatdate(file.changed, usegmt=True),
        **headers,
    }
    asked = _range(request, file.size_bytes, sent)
    start, end = asked or (0, file.size_bytes)
    sent["Content-Length"] = str(end - start)
    if asked:
        sent["Content-Range"] = f"bytes {start}-{end - 1}/{file.size_bytes}"
    return StreamingResponse(file.blocks(start, end), 206 if asked else 200, sent, media_type)


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
