"""The end of a job: its row, its files, and what the engine of the workflows knows of it."""

from __future__ import annotations

from service.parts import Parts
from service.records import jobs


def delete(job: str, parts: Parts) -> None:
    """A job with all its files and all that the engine knows of it.

    Raises AwayError, before anything is deleted where it can.
    """
    parts.storage.check()
    parts.queue.cancel(job)
    with parts.engine.begin() as connection:
        jobs.delete(connection, job)
    try:
        parts.storage.discard(job)
    finally:
        parts.queue.forget(job)
