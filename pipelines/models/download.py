"""One file over HTTPS, whole and right or not at all; a beginning is kept, and the next try goes on there.

    <name>.part ── more bytes (Range, RFC 9110 section 14) ──► complete? ──► sum right? ──► <name>

Standard library only: `huggingface_hub` 2.4 throws the beginning of a file away when it is interrupted, and
the models are gigabytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pipelines.errors import ModelFetchError

BLOCK_BYTES = 1 << 18
ATTEMPTS = 4
"""Tries in a row that brought nothing, before giving up."""
PAUSE = 1.0
"""Seconds before the second try; doubled before each further one."""
TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as dead."""

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may be others a moment later."""
PARTIAL_CONTENT = 206
UNSATISFIABLE = 416

GO_ON = "run the same command again to go on from there"
COPY = "or copy the models folder from a machine that has it"


@dataclass(frozen=True, slots=True)
class Download:
    """What to fetch, and how to know that it is that."""

    url: str
    is_right: Callable[[Path], bool]  # whether this complete file is the one wanted
    token: str = ""  # sent to the host of `url`, and to no other that it leads to


def download(wanted: Download, path: Path, progress: Callable[[int], None]) -> None:
    """Fetches into `path`, whose folder exists; `progress` takes the bytes that are there.

    Raises ModelFetchError where the server cannot be reached, refuses, or gives another file; OSError where
    the file cannot be written. What came so far stays in `path` + ".part".
    """
    part = path.with_name(f"{path.name}.part")
    resumed = _size_bytes(part) > 0
    _complete(wanted, part, progress)
    if resumed and not wanted.is_right(part):  # begun with another file's bytes
        part.unlink()
        _complete(wanted, part, progress)
    if not wanted.is_right(part):
        part.unlink()
        raise ModelFetchError(
            f"What came from {_host(wanted.url)} as {path.name} is not that file (its checksum differs), and "
            "was thrown away: run the same command again, and if that does not help, check what the network "
            f"does to downloads, {COPY}."
        )
    part.replace(path)


class _InterruptedError(Exception):
    """The connection broke; another one may not."""


def _complete(wanted: Download, part: Path, progress: Callable[[int], None]) -> None:
    """Connects until the part is as long as the server says. Raises ModelFetchError and OSError."""
    failures = 0
    while True:
        before = _size_bytes(part)
        try:
            return _receive(wanted, part, progress)
        except _InterruptedError as error:
            failures = 0 if _size_bytes(part) > before else failures + 1
            if failures >= ATTEMPTS:
                raise _unreachable(wanted, part, str(error)) from error
        time.sleep(PAUSE * 2 ** max(0, failures - 1))


def _receive(wanted: Download, part: Path, progress: Callable[[int], None]) -> None:
    """One connection. Raises _InterruptedError, ModelFetchError, and OSError from writing."""
    have_bytes = _size_bytes(part)
    response = _connect(wanted, have_bytes)
    if response is None:
        return
    with response, part.open("r+b" if have_bytes else "wb", buffering=0) as file:
        file.seek(_start(response, have_bytes))
        file.truncate()
        total_bytes = _total_bytes(response, file.tell())
        _copy(response, file, progress)
        os.fsync(file.fileno())
        if file.tell() < total_bytes:
            raise _InterruptedError("the connection broke off")


def _connect(wanted: Download, have_bytes: int) -> HTTPResponse | None:
    """The answer to a request for what is missing; None where nothing is."""
    request = Request(wanted.url, headers={"User-Agent": "turnwise"})
    if wanted.token:
        request.add_header("Authorization", f"Bearer {wanted.token}")
    if have_bytes:
        request.add_header("Range", f"bytes={have_bytes}-")
    try:
        response: HTTPResponse = build_opener(_Redirection).open(request, timeout=TIMEOUT)
    except HTTPError as error:
        with error:
            _check_refusal(wanted, error, have_bytes)
        return None
    except (OSError, HTTPException, ValueError) as error:
        raise _InterruptedError(_reason(error)) from error
    return response


def _check_refusal(wanted: Download, error: HTTPError, have_bytes: int) -> None:
    """Returns where the part is complete. Raises _InterruptedError and ModelFetchError."""
    if error.code == UNSATISFIABLE and have_bytes:
        return  # the part is as long as the file, or longer: its sum will tell
    if error.code in PASSING:
        raise _InterruptedError(f"status {error.code}") from error
    raise ModelFetchError(
        f"{_host(wanted.url)} refuses {wanted.url} with status {error.code} ({error.reason}): try later, "
        f"{COPY}."
    ) from error


def _copy(response: HTTPResponse, file: IO[bytes], progress: Callable[[int], None]) -> None:
    while True:
        try:
            block = response.read(BLOCK_BYTES)
        except (OSError, HTTPException) as error:
            raise _InterruptedError(_reason(error)) from error
        if not block:
            return
        file.write(block)
        progress(file.tell())


def _start(response: HTTPResponse, have_bytes: int) -> int:
    """Where what comes belongs: behind what is there only where the server says just that."""
    expected = f"bytes {have_bytes}-"
    goes_on = (response.headers.get("Content-Range") or "").startswith(expected)
    return have_bytes if response.status == PARTIAL_CONTENT and goes_on else 0


def _total_bytes(response: HTTPResponse, start_bytes: int) -> int:
    """How long the file will be; `start_bytes` where the server does not say."""
    return start_bytes + int(response.headers.get("Content-Length") or 0)


class _Redirection(HTTPRedirectHandler):
    """Follows to other hosts without the token."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and urlsplit(newurl)[:2] != urlsplit(req.full_url)[:2]:
            following.remove_header("Authorization")
        return following


def _unreachable(wanted: Download, part: Path, reason: str) -> ModelFetchError:
    kept = f" {_size_bytes(part) / 1e6:.1f} MB are kept: {GO_ON}." if _size_bytes(part) else ""
    return ModelFetchError(
        f"{_host(wanted.url)} cannot be reached ({reason}): check the network and the proxy settings, "
        f"{COPY}.{kept}"
    )


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", None) or error
    return str(getattr(cause, "strerror", None) or cause) or type(error).__name__


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
