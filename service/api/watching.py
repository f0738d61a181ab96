"""Who watches jobs shares one look at the database: a single query, twice a second, however many watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field

import sqlalchemy as sa

from service.records import jobs
from service.records.jobs import Job

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
        while self._topics and not self._closed:
            with suppress(sa.exc.SQLAlchemyError):
                for id, job in (await asyncio.to_thread(self._changed, self._known())).items():
                    if id in self._topics:
                        self._topics[id].publish(job)
            await asyncio.sleep(INTERVAL)

    def _known(self) -> dict[str, int]:
        return {id: topic.job.revision if topic.job else 0 for id, topic in self._topics.items()}

    def _changed(self, known: dict[str, int]) -> dict[str, Job | None]:
        with self._engine.connect() as connection:
            found = jobs.revisions(connection, list(known))
            changed = [id for id, revision in found.items() if revision > known[id]]
            news: dict[str, Job | None] = {}
            if changed:
                news |= {job.id: job for job in jobs.find_all(connection, changed)}
        return news | {id: None for id in known if id not in found}
