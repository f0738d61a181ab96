"""Access: keys, rate limits, jobs of the caller's own, and limits on waiting requests."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import sqlalchemy as sa
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from service import keys
from service.api import guard
from service.api.context import Reach
from service.files.storage import is_id
from service.problems import Code, ProblemError
from service.records import jobs
from service.records.jobs import Job

ACCESS = (Code.UNAUTHORIZED, Code.FORBIDDEN, Code.TOO_MANY_REQUESTS, Code.UNAVAILABLE)
"""Problems of every operation that needs a key."""
MOST_WAITING = 256
"""How many requests of one key may wait for jobs at the same time, per process."""
ANYBODY = ""
"""Owner of all jobs on a server without keys."""

_scheme = HTTPBearer(
    auto_error=False, description="A key made with turnwise keys create. Not needed while there are no keys."
)


class RateLimit:
    """Limits requests per minute, counted in this process."""

    def __init__(self, requests_per_minute: int) -> None:
        self._limit = RateLimitItemPerMinute(requests_per_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def spend(self, who: str) -> None:
        """Counts a request. Raises ProblemError when the limit is reached."""
        if not self._limiter.hit(self._limit, who):
            reset = self._limiter.get_window_stats(self._limit, who).reset_time
            wait = max(1, round(reset - time.time()))
            detail = f"More than {self._limit.amount} requests in a minute: try again in {wait} s."
            raise ProblemError(Code.TOO_MANY_REQUESTS, detail, {"Retry-After": str(wait)})


async def _owner(
    request: Request,
    context: Reach,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)],
) -> str:
    """Returns the id of the caller's key, or ANYBODY on a server without keys. Raises ProblemError."""
    limit: RateLimit = request.app.state.rate_limit
    client = request.client.host if request.client else ""
    token = credentials.credentials if credentials else ""
    known, owner = await context.transact(_identify, token)
    if not known:
        guard.check_request(request.method, request.url.path, request.scope["headers"], context.settings)
        limit.spend(f"address {client}")
        return ANYBODY
    if owner is None:
        limit.spend(f"address {client}")
        raise ProblemError(Code.UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
    limit.spend(f"key {owner}")
    return owner


def _identify(connection: sa.Connection, token: str) -> tuple[bool, str | None]:
    """Whether any keys exist, and who owns this one."""
    owner = keys.authenticate(connection, token) if token else None
    return owner is not None or keys.any_exist(connection), owner


Owner = Annotated[str, Depends(_owner)]


async def _waits(context: Reach, owner: Owner) -> AsyncIterator[None]:
    """Counts a request that waits for a job, until it is answered. Raises ProblemError if too many wait."""
    if context.waiting[owner] >= MOST_WAITING:
        detail = f"{MOST_WAITING} of your requests are waiting, the limit: poll jobs with GET /v1/jobs?ids=…"
        raise ProblemError(Code.TOO_MANY_REQUESTS, detail, {"Retry-After": "5", "Connection": "close"})
    context.waiting[owner] += 1
    try:
        yield
    finally:
        context.waiting[owner] -= 1


waiting = asynccontextmanager(_waits)
WAITS = Depends(_waits)


def find_own(connection: sa.Connection, id: str, owner: str) -> Job:
    """Returns the caller's job. Raises ProblemError, the same for another's job as for a missing one."""
    job = jobs.find(connection, id) if is_id(id) else None
    if job is None or job.owner != owner:
        raise ProblemError(Code.NOT_FOUND)
    return job
