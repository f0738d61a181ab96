"""Downloads one file over HTTPS, verified or not at all; a partial download is kept and resumed.

    <name>.part ── more bytes (Range, RFC 9110 section 14) ──► complete? ──► sum correct? ──► <name>

Standard library only: `huggingface_hub` 2.4 discards a partial file when it is interrupted, and the
models are gigabytes.
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
"""Attempts in a row without progress before giving up."""
PAUSE = 1.0
"""Seconds before the second attempt; doubled before each further one."""
TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as dead."""

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses of failures that may pass."""
PARTIAL_CONTENT = 206
UNSATISFIABLE = 416

COPY = "or copy the models folder from a machine that has it"


@dataclass(frozen=True, slots=True)
class Download:
    """What to fetch, and how to verify it."""

    url: str
    is_right: Callable[[Path], bool]  # whether this complete file is the wanted one
    token: str = ""  # sent to the host of `url` only, not to those it redirects to


def download(wanted: Download, path: Path, progress: Callable[[int], None]) -> None:
    """Fetches into `path`, whose folder exists; `progress` receives the bytes so far.

    Raises ModelFetchError if the server cannot be reached, refuses, or sends another file; OSError if the
    file cannot be written. A partial download stays in `path` + ".part".
    """
    part = beginning(path)
    resumed = begun_bytes(path) > 0
    _complete(wanted, part, progress)
    if resumed and not wanted.is_right(part):  # it began with another file's bytes
        part.unlink()
        _complete(wanted, part, progress)
    if not wanted.is_right(part):
        part.unlink()
        raise ModelFetchError(
            f"The download of {path.name} from {_host(wanted.url)} is wrong (its checksum differs) and was "
            "discarded: run the same command again; if that does not help, check whether the network alters "
            f"downloads, {COPY}."
        )
    part.replace(path)


def beginning(path: Path) -> Path:
    """Where a partial download into `path` is kept."""
    return path.with_name(f"{path.name}.part")


def begun_bytes(path: Path) -> int:
    """How much of `path` an earlier download has left."""
    return _size_bytes(beginning(path))


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
        goes_on = (response.headers.get("Content-Range") or "").startswith(f"bytes {have_bytes}-")
        file.seek(have_bytes if response.status == PARTIAL_CONTENT and goes_on else 0)
        file.truncate()
        total_bytes = file.tell() + int(response.headers.get("Content-Length") or 0)
        _copy(response, file, progress)
        os.fsync(file.fileno())
        if file.tell() < total_bytes:
            raise _InterruptedError("the connection broke off")


def _connect(wanted: Download, have_bytes: int) -> HTTPResponse | None:
    """Requests what is missing; returns None if nothing is."""
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
    """Returns if the part is complete, else raises _InterruptedError or ModelFetchError."""
    if error.code == UNSATISFIABLE and have_bytes:
        return  # the part is as long as the file, or longer: its sum decides
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


class _Redirection(HTTPRedirectHandler):
    """Follows redirects to other hosts without the token."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and urlsplit(newurl)[:2] != urlsplit(req.full_url)[:2]:
            following.remove_header("Authorization")
        return following


def _unreachable(wanted: Download, part: Path, reason: str) -> ModelFetchError:
    mb = _size_bytes(part) / 1e6
    kept = f" {mb:.1f} MB are kept: run the same command again to continue from there." if mb else ""
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
