"""Sends a job's file, or the requested range of it, from the disk or the object store, block by block.

A request for several ranges gets the whole file, as HTTP allows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.utils import formatdate
from functools import partial
from pathlib import Path
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from service.files.storage import File
from service.problems import Code, ProblemError

RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)", re.IGNORECASE)

BLOCK_BYTES = 2**20
Content = tuple[str, float, int, Callable[[int, int], Iterable[bytes]]]
"""A tag that changes with the content, time of its last change, size in bytes, reader of a byte range."""


def send(file: File, request: Request, media_type: str, headers: Mapping[str, str]) -> Response:
    """Returns the file, a range of it, or 304 if the caller has it. Raises ProblemError (range)."""
    tag, changed, size_bytes, blocks = _content(file)
    sent = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{hashlib.sha256(tag.encode()).hexdigest()[:32]}"',
        "Last-Modified": formatdate(changed, usegmt=True),
        **headers,
    }
    known = request.headers.get("if-none-match", "").split(",")  # this tag, or * (RFC 9110, 13.1.2)
    if {tag.strip().removeprefix("W/") for tag in known} & {"*", sent["ETag"]}:
        return Response(status_code=304, headers={"ETag": sent["ETag"]})
    asked = _range(request, size_bytes, sent)
    start, end = asked or (0, size_bytes)
    sent["Content-Length"] = str(end - start)
    if asked:
        sent["Content-Range"] = f"bytes {start}-{end - 1}/{size_bytes}"
    return StreamingResponse(blocks(start, end), 206 if asked else 200, sent, media_type)


def named(name: str) -> dict[str, str]:
    """Returns the header that names a saved file (RFC 6266), in ASCII for old programs and in full."""
    plain = re.sub(r"[^\w .()-]", "_", name, flags=re.ASCII)
    return {"Content-Disposition": f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"}


def _content(file: File) -> Content:
    if not isinstance(file, Path):  # an object never changes, so its name is its tag
        return file.name, file.changed, file.size_bytes, file.blocks
    found = file.stat()
    return f"{found.st_mtime_ns} {found.st_size}", found.st_mtime, found.st_size, partial(_blocks, file)


def _blocks(path: Path, start: int, end: int) -> Iterator[bytes]:
    """Yields less than requested if the file was truncated meanwhile: the server then aborts the answer."""
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(min(BLOCK_BYTES, end - file.tell())):
            yield block


def _range(request: Request, size_bytes: int, known: Mapping[str, str]) -> tuple[int, int] | None:
    """Returns the first byte and the one after the last; None without a range, for several, an invalid one
    or an older version. Raises ProblemError (range) beyond the end."""
    if request.headers.get("if-range", known["ETag"]) not in {known["ETag"], known["Last-Modified"]}:
        return None
    parts = RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    first, last = map(_number, parts.groups()) if parts else (None, None)
    if (first is None and last is None) or (first is not None and last is not None and last < first):
        return None
    if first is None:
        first, last = max(0, size_bytes - (last or 0)), None
    if first >= size_bytes:
        detail = f"The recording has {size_bytes} bytes: ask for a range within them."
        raise ProblemError(Code.RANGE, detail, {"Content-Range": f"bytes */{size_bytes}"})
    return first, size_bytes if last is None else min(size_bytes, last + 1)


def _number(digits: str) -> int | None:
    """Caps numbers of any length: no file is that large."""
    significant = digits.lstrip("0")
    return (int(significant or 0) if len(significant) < 19 else 10**18) if digits else None
