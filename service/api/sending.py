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
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from service.files.objects import Object
from service.files.storage import File
from service.problems import Code, ProblemError

RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)", re.IGNORECASE)

BLOCK_BYTES = 2**20
Content = tuple[str, float, int, Callable[[int, int], Iterable[bytes]]]
"""A tag that changes with it, time of its last change, size in bytes, and what gives bytes from a to b."""


def send(file: File, request: Request, media_type: str, headers: Mapping[str, str]) -> Response:
    """All of it, a range, or 304 where the caller has it. Raises ProblemError for a range beyond the end."""
    tag, changed, size_bytes, blocks = _of_path(file) if isinstance(file, Path) else _of_object(file)
    sent = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{hashlib.sha256(tag.encode()).hexdigest()[:32]}"',
        "Last-Modified": formatdate(changed, usegmt=True),
        **headers,
    }
    if _is_known(request, sent["ETag"]):
        return Response(status_code=304, headers={"ETag": sent["ETag"]})
    asked = _range(request, size_bytes, sent)
    start, end = asked or (0, size_bytes)
    sent["Content-Length"] = str(end - start)
    if asked:
        sent["Content-Range"] = f"bytes {start}-{end - 1}/{size_bytes}"
    return StreamingResponse(blocks(start, end), 206 if asked else 200, sent, media_type)


def named(name: str) -> dict[str, str]:
    """What a file is called where it is saved (RFC 6266), in ASCII for old programs and as it is."""
    plain = re.sub(r"[^\w .()-]", "_", name, flags=re.ASCII)
    return {"Content-Disposition": f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"}


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


def _is_known(request: Request, etag: str) -> bool:
    """RFC 9110, 13.1.2: any of the caller's tags, or * for whatever there is."""
    tags = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    return bool(tags & {"*", etag})


def _range(request: Request, size_bytes: int, known: Mapping[str, str]) -> tuple[int, int] | None:
    """First byte and the one after the last; None where it makes no sense, names several, is of something
    else than what is known here, or is not there. Raises ProblemError for one beyond the end."""
    if request.headers.get("if-range", known["ETag"]) not in {known["ETag"], known["Last-Modified"]}:
        return None
    parts = RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    first, last = map(_number, parts.groups()) if parts else (None, None)
    if (first is None and last is None) or (first is not None and last is not None and last < first):
        return None
    if first is None:
        first, last = max(0, size_bytes - (last or 0)), None
    if first >= size_bytes:
        detail = f"The recording has {size_bytes} bytes: ask for a part of them."
        raise ProblemError(Code.RANGE, detail, {"Content-Range": f"bytes */{size_bytes}"})
    return first, size_bytes if last is None else min(size_bytes, last + 1)


def _number(digits: str) -> int | None:
    """However many digits there are: no file is that large."""
    significant = digits.lstrip("0")
    return (int(significant or 0) if len(significant) < 19 else 10**18) if digits else None
