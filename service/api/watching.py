"""Watches jobs: everybody who waits for changes shares a single query, twice a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field

import sqlalchemy as sa
import structlog

from service.records import jobs
from service.records.jobs import Job

log = structlog.get_logger("turnwise.api")

INTERVAL = 0.5


@dataclass(eq=False)
class _Topic:
    """A watched job; `news` is set, and replaced, at every change."""

    job: Job | None = None
    gone: bool = False
    watchers: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def publish(self, job: Job | None) -> None:
        self.job, self.gone = job, job is None
        self.news.set()
        self.news = asyncio.Event()


class Watcher:
    """Reports changes of jobs."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._topics: dict[str, _Topic] = {}
        self._looking: asyncio.Task[None] | None = None
        self._closed = False
        self._logged: set[str] = set()  # jobs whose error is in the log; "" stands for all jobs

    async def changes(
        self, id: str, seen: int = 0, patience: float = 15.0
    ) -> AsyncGenerator[Job | None, None]:
        """Yields the job at every change since the revision `seen`, until it has ended or is deleted.

        Yields None whenever nothing has happened for `patience` seconds.
        """
        topic = self._topics.setdefault(id, _Topic())
        topic.watchers += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            while not self._closed and not topic.gone:
                news, job = topic.news, topic.job
                if job is not None and job.revision > seen:
                    seen = job.revision
                    yield job
                    if job.state.ended:
                        return
                    continue
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), patience)
                    continue
                yield None
        finally:
            topic.watchers -= 1
            if not topic.watchers:
                self._topics.pop(id, None)

    def close(self) -> None:
        """Ends all watching, so that open connections do not delay the shutdown."""
        self._closed = True
        for topic in self._topics.values():
            topic.news.set()

    async def _look(self) -> None:
        """Polls the database until nobody watches; survives every error."""
        while self._topics and not self._closed:
            known = {id: topic.job.revision if topic.job else 0 for id, topic in self._topics.items()}
            try:
                news = await asyncio.to_thread(self._changed, known)
                self._logged.discard("")
            except Exception as error:
                self._log(error)
                news = {}
            for id, job in news.items():
                if id in self._topics:
                    self._topics[id].publish(job)
            await asyncio.sleep(INTERVAL)

    def _changed(self, known: dict[str, int]) -> dict[str, Job | None]:
        with self._engine.connect() as connection:
            found = jobs.revisions(connection, known)
            changed = [id for id, revision in found.items() if revision > known[id]]
            news: dict[str, Job | None] = {id: None for id in known if id not in found}
            return news | {job.id: job for job in self._read(connection, changed)}

    def _read(self, connection: sa.Connection, ids: list[str]) -> list[Job]:
        """Skips rows that cannot be read, such as those of a newer version."""
        try:
            return jobs.find_all(connection, ids) if ids else []
        except ValueError as error:
            if ids[1:]:
                return [job for id in ids for job in self._read(connection, [id])]
            self._log(error, ids[0])
            return []

    def _log(self, error: Exception, job: str = "") -> None:
        """Logs once per job, and once until the database is reachable again."""
        if job not in self._logged:
            self._logged.add(job)
            trace = None if isinstance(error, sa.exc.SQLAlchemyError) else error
            log.warning("watching fails", job=job, reason=type(error).__name__, exc_info=trace)
