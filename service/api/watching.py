"""Who watches jobs shares one look at the database: a single query, twice a second, however many watch."""

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
    """One job that somebody watches; `news` is set, and replaced, whenever it has changed."""

    job: Job | None = None
    gone: bool = False
    watchers: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def publish(self, job: Job | None) -> None:
        self.job, self.gone = job, job is None
        self.news.set()
        self.news = asyncio.Event()


class Watcher:
    """Tells of changes of jobs."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._topics: dict[str, _Topic] = {}
        self._looking: asyncio.Task[None] | None = None
        self._closed = False
        self._told: set[str] = set()  # of which jobs the log has it; "" for all of them

    async def changes(
        self, id: str, seen: int = 0, patience: float = 15.0
    ) -> AsyncGenerator[Job | None, None]:
        """The job each time it has changed since the revision `seen`, until it has ended or is gone.

        None where nothing happened for `patience` seconds.
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
        """Ends all watching, so that open connections do not hold the server up."""
        self._closed = True
        for topic in self._topics.values():
            topic.news.set()

    async def _look(self) -> None:
        """Whatever happens, it looks again."""
        while self._topics and not self._closed:
            try:
                news = await asyncio.to_thread(self._changed, self._known())
                self._told.discard("")
            except Exception as error:
                self._tell(error)
                news = {}
            for id, job in news.items():
                if id in self._topics:
                    self._topics[id].publish(job)
            await asyncio.sleep(INTERVAL)

    def _known(self) -> dict[str, int]:
        return {id: topic.job.revision if topic.job else 0 for id, topic in self._topics.items()}

    def _changed(self, known: dict[str, int]) -> dict[str, Job | None]:
        with self._engine.connect() as connection:
            found = jobs.revisions(connection, known)
            changed = [id for id, revision in found.items() if revision > known[id]]
            news: dict[str, Job | None] = {id: None for id in known if id not in found}
            return news | {job.id: job for job in self._read(connection, changed)}

    def _read(self, connection: sa.Connection, ids: list[str]) -> list[Job]:
        """A row that cannot be understood, as of a newer version, does not keep the others'."""
        try:
            return jobs.find_all(connection, ids) if ids else []
        except ValueError as error:
            if ids[1:]:
                return [job for id in ids for job in self._read(connection, [id])]
            self._tell(error, ids[0])
            return []

    def _tell(self, error: Exception, job: str = "") -> None:
        """Once for each job, and once until the database is there again."""
        if job not in self._told:
            self._told.add(job)
            trace = None if isinstance(error, sa.exc.SQLAlchemyError) else error
            log.warning("watching fails", job=job, reason=type(error).__name__, exc_info=trace)
