"""An upload of the caller becomes a job's recording."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import anyio
from starlette.concurrency import run_in_threadpool

from service.api.context import Context
from service.api.forms import Form, ReceivedFile
from service.api.submission import made_before
from service.files.objects import AwayError
from service.files.storage import JobFolder
from service.files.uploads import USED, BusyError, GoneError, Tail, Upload, Used
from service.problems import Code, ProblemError


@asynccontextmanager
async def handed_over(
    id: str, form: Form, folder: JobFolder, context: Context, owner: str, idempotency_key: str
) -> AsyncIterator[None]:
    """Makes an upload the part `audio` of a form, and deletes it once the job is stored. Raises ProblemError.

    If an earlier request with the same Idempotency-Key has used the upload, its job still knows the file.
    """
    if "audio" in form.files:
        raise ProblemError(Code.INVALID, "Both audio and upload were sent: send only one of them.")
    try:
        upload = await own_upload(id, context, owner)
    except ProblemError:
        used = await _used(id, context, owner, idempotency_key)
        if used is None:
            raise
        form.files["audio"] = used
        yield
        return
    with answered():
        async with tail_of(upload) as tail:
            await _check_complete(upload, tail)
            sha256 = await run_in_threadpool(upload.hand_over, folder)
            if upload.info.sha256 not in {"", sha256}:
                detail = f"The upload has the SHA-256 {sha256}, not the one announced: send it again."
                raise ProblemError(Code.INVALID, detail)
            form.files["audio"] = ReceivedFile(upload.info.name, sha256, upload.info.length_bytes)
            yield
            with suppress(AwayError):  # the job is stored; the rest of the upload expires
                await run_in_threadpool(context.storage.discard, upload.id)


async def _check_complete(upload: Upload, tail: Tail) -> None:
    here, length = await run_in_threadpool(tail.offset_bytes), upload.info.length_bytes
    if here != length:
        detail = f"Only {here} of {length} bytes of the upload have arrived: send the rest first."
        raise ProblemError(Code.UPLOAD_CONFLICT, detail)


async def _used(id: str, context: Context, owner: str, idempotency_key: str) -> ReceivedFile | None:
    """Returns the file as the job of this key knows it, if that job was made from the upload."""
    job = await made_before(context, owner, idempotency_key)
    used = await run_in_threadpool(context.storage.noted, job, USED, Used) if job else None
    return ReceivedFile(used.name, used.sha256, 0) if used and used.id == id else None


async def own_upload(id: str, context: Context, owner: str) -> Upload:
    """Returns the caller's upload. Raises the same ProblemError for another caller's as for a missing one."""
    upload = await run_in_threadpool(context.uploads.find, id)
    if upload is None or upload.info.owner != owner:
        detail = "There is no upload with this id, or a job has used it: check the id, or begin a new upload."
        raise ProblemError(Code.NOT_FOUND, detail)
    with answered():
        if await expiry(upload, context) < time.time():
            raise GoneError
    return upload


async def expiry(upload: Upload, context: Context) -> float:
    """Returns when the upload is deleted if no more data arrive, in seconds since 1970. Raises GoneError."""
    return await run_in_threadpool(upload.changed) + context.settings.upload_hours * 3600


@contextmanager
def answered() -> Iterator[None]:
    """Turns errors of an upload's files into problems."""
    try:
        yield
    except GoneError:
        raise ProblemError(Code.UPLOAD_GONE) from None
    except BusyError:
        detail = "Another request is writing to this upload: wait, then ask with HEAD how much has arrived."
        headers = {"Retry-After": "2", "Connection": "close"}
        raise ProblemError(Code.UPLOAD_CONFLICT, detail, headers) from None


@asynccontextmanager
async def tail_of(upload: Upload) -> AsyncIterator[Tail]:
    """Yields the end of the upload's data, locked; closes it even if the request is cancelled."""
    tail = await run_in_threadpool(upload.tail)
    try:
        yield tail
    finally:
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(tail.close)
