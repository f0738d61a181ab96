"""Deletes a job: its row, its files, and its workflows."""

from __future__ import annotations

from service.parts import Parts
from service.records import jobs


def delete(job: str, parts: Parts) -> None:
    """Deletes a job with its files and workflows. Raises AwayError, if it can before deleting anything."""
    parts.storage.check()
    parts.queue.cancel(job)
    parts.apply(jobs.delete, job)
    try:
        parts.storage.discard(job)
    finally:
        parts.queue.forget(job)
