"""Whether the service in this container, or on this machine, is alive: for health checks that run a command.

An API is asked over HTTP. A worker has no port: after each sweep (worker.py) it touches a file in the data
folder.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from pipelines.errors import OutputError
from service.settings import Settings

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
"""Addresses that mean all of this machine's, and where a client reaches a server that listens on them."""
ANSWER_SECONDS = 5.0
SUFFIX = ".alive"
SWEEP_SECONDS = 60.0
"""How old the last sweep of a live worker may be: where the database is away, a sweep takes a while."""


def check_api(settings: Settings) -> str:
    """Returns a sentence to print. Raises OutputError where no API answers."""
    host = ANYWHERE.get(settings.host, settings.host)
    connection = HTTPConnection(host, settings.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/health/live")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise OutputError(f"No API answers on port {settings.port} ({reason}): see its log.") from None
    finally:
        connection.close()
    if status != 200:
        raise OutputError(f"The API on port {settings.port} answers {status}: see its log.")
    return f"The API answers on port {settings.port}."


def note_worker(folder: Path, executor: str) -> None:
    """Notes that a worker is alive; called again and again."""
    (folder / f"{executor}{SUFFIX}").touch()


def forget_worker(folder: Path, executor: str) -> None:
    (folder / f"{executor}{SUFFIX}").unlink(missing_ok=True)


def forget_gone(folder: Path) -> None:
    """Removes the notes of workers that were killed."""
    for path, age in _ages(folder):
        if age > SWEEP_SECONDS:
            path.unlink(missing_ok=True)


def check_worker(folder: Path) -> str:
    """Returns a sentence to print. Raises OutputError where no worker is running on this data folder."""
    if not any(age <= SWEEP_SECONDS for _, age in _ages(folder)):
        raise OutputError("No worker is running on this data folder: see its log.")
    return "A worker is running."


def _ages(folder: Path) -> Iterator[tuple[Path, float]]:
    """Every note and its age in seconds."""
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):
            yield path, time.time() - path.stat().st_mtime
