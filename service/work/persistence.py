"""Work that is repeated until the database answers, the disk has space and the store can be reached."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
import structlog

from pipelines.files import is_full
from service.files.objects import AwayError
from service.parts import Parts

log = structlog.get_logger("turnwise.persistence")

P = ParamSpec("P")
Result = TypeVar("Result")

RETRY_INTERVAL = 1.0
"""Seconds before another attempt."""


class Persistence:
    """Runs what is to be repeated, in threads; its coroutines run on the event loop of the workflows."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.stopping = False

    async def go_on(self) -> None:
        """Blocks until this process ends if the worker is stopping: another worker takes over."""
        if self.stopping:
            await asyncio.Event().wait()

    async def transact(
        self, change: Callable[Concatenate[sa.Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Runs `change` in one transaction, repeated until the database answers."""
        return await self.persist(lambda: self._parts.apply(change, *args, **kwargs))

    async def persist(self, work: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Runs `work`, repeated while the database is away or its disk is full."""
        while True:
            try:
                return await asyncio.to_thread(work, *args, **kwargs)
            except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError) as error:
                log.warning("database is away", reason=type(error).__name__)
                await asyncio.sleep(RETRY_INTERVAL)

    async def on_disk(self, work: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Runs `work`, repeated until there is disk space and the store can be reached."""
        while True:
            try:
                return await asyncio.to_thread(work, *args, **kwargs)
            except AwayError as error:
                log.warning("store is away", reason=str(error))
                await asyncio.sleep(RETRY_INTERVAL)
                await self.go_on()
            except OSError as error:
                if not is_full(error):
                    raise
                await self.wait_for_space()

    async def wait_for_space(self) -> None:
        """Waits at least once, and until the free space that the settings ask for is there."""
        log.warning("disk is full")
        await asyncio.sleep(RETRY_INTERVAL)
        while self._parts.storage.free_bytes() < self._parts.settings.min_free_bytes:
            await asyncio.sleep(RETRY_INTERVAL)
