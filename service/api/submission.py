"""A job that is being sent: a folder for its files, and then its place in the queue.

    request ─► incoming/<id>/recording, text, … ─► jobs/<id>/ ─► row and workflow, in one transaction ─► 202

Until that transaction nothing refers to the files; after it the job exists whatever happens.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa
from anyio import CancelScope
from starlette.concurrency import run_in_threadpool

from pipelines.errors import TextError
from service.api.body import BODY, check_quota, used_bytes
from service.api.context import Context
from service.files.storage import JobFolder, Request, new_id
from service.problems import Code, ProblemError
from service.records import jobs
from service.records.jobs import Job
from service.records.workflows import JOB
from service.settings import MEBIBYTE

LARGEST_CHECKED_BYTES = 32 * MEBIBYTE
"""Largest heard words and speakers together that are checked here; six hours of recording stay below. Parsing
more would delay all other requests, so the stages check it, before any engine works."""
SUBMISSION = (*BODY, Code.KEY_REUSED, Code.INVALID, Code.QUEUE_FULL)
"""Problems of every operation that makes a job."""


@asynccontextmanager
async def incoming(
    context: Context, owner: str, idempotency_key: str
) -> AsyncIterator[tuple[str, JobFolder, int]]:
    """Yields an id and a folder for a job that is being sent, and how many bytes of the quota are used; the
    folder is discarded on any error.

    If the database did not say whether the job was created, a worker cleans up later.
    Raises ProblemError, before anything is received, if the queue is full. What repeats an earlier request
    meets neither limit.
    """
    used = 0
    if not await made_before(context, owner, idempotency_key):
        await context.transact(_check_queue, owner, context.settings.queue_limit)
        used = await used_bytes(context, owner)
    id = new_id()
    folder = await run_in_threadpool(context.storage.incoming, id)
    try:
        yield id, folder, used
    except BaseException:
        with CancelScope(shield=True):
            if await run_in_threadpool(folder.path.is_dir):
                await run_in_threadpool(context.storage.discard, id)
        raise


async def submit(
    context: Context,
    id: str,
    folder: JobFolder,
    request: Request,
    sent: Mapping[str, str],
    owner: str,
    idempotency_key: str = "",
) -> Job:
    """Queues the job and returns it; returns the earlier job if the key and all that was sent are the same.

    `sent` gives the SHA-256 of every file. Raises ProblemError: queue full, or key used for something else.
    """
    fingerprint = _digest({"files": dict(sent), "request": json.loads(request.to_json())})
    repeated = _idempotency(owner, idempotency_key) if idempotency_key else None
    if repeated and (job := await context.transact(_earlier, repeated, fingerprint)):
        await run_in_threadpool(context.storage.discard, id)
        return job
    # An upload may have been used for a job that is deleted by now.
    if not await run_in_threadpool(folder.recording.exists):
        raise ProblemError(Code.NOT_FOUND, "There is no longer an upload with this id: send it again.")
    await run_in_threadpool(_check_files, folder, request)
    await run_in_threadpool(folder.write_request, request)
    size_bytes = await run_in_threadpool(folder.size_bytes)
    await run_in_threadpool(context.storage.admit, id)

    def insert(connection: sa.Connection) -> Job:
        if connection.dialect.name == "postgresql":  # one at a time, so that limit and turns hold
            lock = sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"queue of {owner}"))
            connection.execute(sa.select(lock))
        notify = bool(request.webhook)
        turn = jobs.insert(connection, id, owner, fingerprint, repeated, notify, size_bytes)
        if context.settings.quota_mb:
            check_quota(context.settings, jobs.kept_bytes(connection, owner) - size_bytes, size_bytes)
        _check_queue(connection, owner, context.settings.queue_limit, inserted=1)
        context.queue.enqueue(connection, JOB, id, turn=turn)
        return _found(connection, id)

    try:
        return await context.transact(insert)
    except ProblemError:
        await run_in_threadpool(context.storage.discard, id)
        raise
    except sa.exc.IntegrityError:  # two requests with the same key at the same time
        await run_in_threadpool(context.storage.discard, id)
        assert repeated is not None
        job = await context.transact(_earlier, repeated, fingerprint)
        if job is None:
            raise
        return job


async def made_before(context: Context, owner: str, idempotency_key: str) -> str:
    """Returns the id of the job that was made with this key, "" without one."""
    repeated = _idempotency(owner, idempotency_key)
    found = await context.transact(jobs.find_repeated, repeated) if idempotency_key else None
    return found[0] if found else ""


def _idempotency(owner: str, key: str) -> str:
    """Returns the hash under which the job of an Idempotency-Key is stored."""
    return _digest({"owner": owner, "key": key})


def _earlier(connection: sa.Connection, repeated: str, fingerprint: str) -> Job | None:
    """Returns the job of this key. Raises ProblemError if it was made from something else."""
    found = jobs.find_repeated(connection, repeated)
    if found is None:
        return None
    id, before = found
    if before != fingerprint:
        raise ProblemError(Code.KEY_REUSED)
    return _found(connection, id)


def _check_files(folder: JobFolder, request: Request) -> None:
    """Raises ProblemError for supplied files that a stage would refuse hours later."""
    try:
        folder.supplied(request.text_name)
        sizes = [path.stat().st_size for path in (folder.heard, folder.diarization) if path.exists()]
        if sum(sizes) <= LARGEST_CHECKED_BYTES:
            folder.given_transcriber()
            folder.given_diarizer()
    except TextError as error:
        raise ProblemError(Code.INVALID, str(error)) from None


def _check_queue(connection: sa.Connection, owner: str, limit: int, inserted: int = 0) -> None:
    """Raises ProblemError if the owner's queue has no place for one more job, or for those just inserted."""
    if jobs.count_active(connection, owner) - inserted >= limit:
        detail = f"{limit} of your jobs are waiting or running, the limit: try again when some have ended."
        raise ProblemError(Code.QUEUE_FULL, detail, {"Retry-After": "30", "Connection": "close"})


def _found(connection: sa.Connection, id: str) -> Job:
    job = jobs.find(connection, id)
    assert job is not None
    return job


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
