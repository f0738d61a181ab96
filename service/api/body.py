"""A large body: block by block, as it arrives, and the space that it may take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import Request
from starlette.requests import ClientDisconnect

from service.api.context import Context
from service.api.handlers import full
from service.problems import Code, ProblemError
from service.records import jobs
from service.settings import MEBIBYTE, Settings

BLOCK_BYTES = MEBIBYTE
"""How much is collected before it is parsed and written, in a thread."""
BODY = (Code.BAD_REQUEST, Code.TIMEOUT, Code.TOO_LARGE, Code.QUOTA, Code.MEDIA_TYPE, Code.DISK_FULL)
"""Problems of every operation that receives a large body."""


async def blocks(request: Request, timeout: float) -> AsyncIterator[bytes]:
    """Yields the body in large blocks, including the last bytes before the connection breaks.

    Raises ProblemError when it breaks, or when nothing arrives for `timeout` seconds.
    """
    gathered = bytearray()
    stream = request.stream()
    problem: ProblemError | None = None
    while True:
        try:
            chunk = await asyncio.wait_for(anext(stream, None), timeout)
        except TimeoutError:
            detail = f"Nothing arrived for {timeout:.0f} s: send it again, or use a resumable upload."
            problem = ProblemError(Code.TIMEOUT, detail, {"Connection": "close"})
            break
        except ClientDisconnect:
            problem = ProblemError(Code.BAD_REQUEST)
            break
        if chunk is None:
            break
        gathered += chunk
        if len(gathered) >= BLOCK_BYTES:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)
    if problem:
        raise problem


def check_space(context: Context, more_bytes: int = 0) -> None:
    """Raises ProblemError if too little disk space is left for the work, or will be after this much more."""
    if context.storage.free_bytes() - more_bytes < context.settings.min_free_bytes:
        raise full()


def check_quota(settings: Settings, used_bytes: int, more_bytes: int = 0) -> None:
    """Raises ProblemError if this much more exceeds the quota of an owner."""
    quota = settings.quota_mb * MEBIBYTE
    if quota and used_bytes + more_bytes > quota:
        taken = f"{used_bytes / MEBIBYTE:.0f} of {settings.quota_mb} MiB"
        detail = f"Your jobs and uploads take {taken}, and this does not fit: delete jobs, or send less."
        raise ProblemError(Code.QUOTA, detail, {"Connection": "close"})


async def used_bytes(context: Context, owner: str) -> int:
    """Returns the size of all jobs of an owner; 0 without a quota."""
    return await context.transact(jobs.kept_bytes, owner) if context.settings.quota_mb else 0
