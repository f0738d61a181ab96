"""Whether the service in this container, or on this machine, is alive: for health checks that run a command.

An API is asked over HTTP. A worker has no port: each look at everything that it takes (worker.py) it
notes as the time of a file in the data folder.
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
"""Addresses that mean all of this machine's, and where a client finds who listens on them."""
ANSWER_SECONDS = 5.0
SUFFIX = ".alive"
SWEEP_SECONDS = 60.0
"""How long ago a worker that lives may have looked last: where the database is away, that takes its time."""


def check_api(settings: Settings) -> str:
    """A sentence for whoever looks. Raises OutputError where no API answers."""
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
    """Called by a worker, again and again."""
    (folder / f"{executor}{SUFFIX}").touch()


def forget_worker(folder: Path, executor: str) -> None:
    (folder / f"{executor}{SUFFIX}").unlink(missing_ok=True)


def forget_gone(folder: Path) -> None:
    """Away with what workers left that were killed."""
    for path, age in _ages(folder):
        if age > SWEEP_SECONDS:
            path.unlink(missing_ok=True)


def check_worker(folder: Path) -> str:
    """A sentence for whoever looks. Raises OutputError where no worker on this data folder is at work."""
    if not any(age <= SWEEP_SECONDS for _, age in _ages(folder)):
        raise OutputError("No worker is at work on this data folder: see its log.")
    return "A worker is at work."


def _ages(folder: Path) -> Iterator[tuple[Path, float]]:
    """Every note and the seconds since it was made."""
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):
            yield path, time.time() - path.stat().st_mtime
