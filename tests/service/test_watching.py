"""Watching jobs: one look for everybody, every change in order, and an end whatever becomes of the job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from service.api import watching
from service.api.watching import Watcher
from service.files.storage import new_id
from service.records import database as db
from service.records import jobs
from service.records.jobs import Job, JobState
from service.settings import Settings

FOREVER = 600.0
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "INTERVAL", 0.01)


@pytest.fixture
def storage_settings(tmp_path: Path) -> Settings:
    """On SQLite alone: what is asked of the database is tried on both in test_jobs.py."""
    return Settings(data_dir=tmp_path)


@pytest.fixture
def ids(tables: sa.Engine) -> list[str]:
    """Running jobs."""
    made = [new_id() for _ in range(5)]
    with tables.begin() as connection:
        for id in made:
            jobs.insert(connection, id, "", "0" * 64)
            jobs.begin(connection, id)
    return made


def change(engine: sa.Engine, work: Callable[..., object], *arguments: Any) -> Awaitable[object]:
    def run() -> object:
        with engine.begin() as connection:
            return work(connection, *arguments)

    return asyncio.to_thread(run)


async def collect(watcher: Watcher, id: str, seen: int = 0) -> list[Job]:
    """All that is told of a job until nothing more is."""
    return [job async for job in watcher.changes(id, seen, FOREVER) if job is not None]


async def first(changes: AsyncIterator[Job | None]) -> Job:
    """The next thing told, which is no silence."""
    job = await anext(changes)
    assert job is not None
    return job


def play(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """To its end, or a fault would be waited for instead of told."""
    asyncio.run(asyncio.wait_for(story(), PATIENCE))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


@contextmanager
def statements(engine: sa.Engine) -> Iterator[list[str]]:
    """What is asked of the database meanwhile."""
    asked: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    yield asked
    sa.event.remove(engine, "before_cursor_execute", note)


def test_one_question_whoever_watches(
    tables: sa.Engine, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    changed = Watcher._changed

    def count(watcher: Watcher, known: dict[str, int]) -> dict[str, Job | None]:
        nonlocal looks
        looks += 1
        return changed(watcher, known)

    async def run() -> None:
        watcher = Watcher(tables)
        told: list[Job] = []

        async def watch(id: str) -> None:
            async for job in watcher.changes(id, 0, FOREVER):
                assert job is not None
                told.append(job)

        watchers = [asyncio.create_task(watch(id)) for id in ids * 20]
        await until(lambda: len(told) == 100)
        monkeypatch.setattr(Watcher, "_changed", count)
        with statements(tables) as asked:
            await until(lambda: looks >= 5)
            watcher.close()
            await asyncio.gather(*watchers)
            await until(lambda: watcher._looking is not None and watcher._looking.done())
        assert len(asked) in (looks, looks + 1)  # one may have been under way when the counting began
        assert len(set(asked)) == 1

    play(run)


def test_changes_come_in_order_until_the_end(tables: sa.Engine, ids: list[str]) -> None:
    async def run() -> None:
        watcher = Watcher(tables)
        watchers = [asyncio.create_task(collect(watcher, ids[0])) for _ in range(5)]
        for percent in range(0, 100, 4):
            await change(tables, jobs.advance_stage, ids[0], "transcribe", percent / 100)
            await asyncio.sleep(0.002 * (percent % 3))
        await change(tables, jobs.end, ids[0], JobState.SUCCEEDED)
        for told in await asyncio.gather(*watchers):
            assert all(before.revision < after.revision for before, after in pairwise(told))
            assert all(before.fraction <= after.fraction for before, after in pairwise(told))
            assert [job.state.ended for job in told] == [False] * (len(told) - 1) + [True]
        assert watcher._topics == {}
        latest = await collect(watcher, ids[0])  # who comes late is told the end
        assert [job.state for job in latest] == [JobState.SUCCEEDED]

    play(run)


def test_what_was_seen_is_not_told_again(tables: sa.Engine, ids: list[str]) -> None:
    async def run() -> None:
        watcher = Watcher(tables)
        async with aclosing(watcher.changes(ids[0], 0, FOREVER)) as changes:
            seen = (await first(changes)).revision
        async with aclosing(watcher.changes(ids[0], seen, 0.2)) as changes:
            assert await anext(changes) is None
            await change(tables, jobs.begin_stage, ids[0], "decode")
            while (job := await anext(changes)) is None:
                pass
            assert (job.revision, job.stage) == (seen + 1, "decode")

    play(run)


def test_another_job_is_none_of_their_business(tables: sa.Engine, ids: list[str]) -> None:
    async def run() -> None:
        watcher = Watcher(tables)
        one, other = (
            asyncio.create_task(collect(watcher, ids[0])),
            asyncio.create_task(collect(watcher, ids[1])),
        )
        await change(tables, jobs.end, ids[0], JobState.CANCELLED)
        assert {job.id for job in await one} == {ids[0]}
        assert not other.done()
        await change(tables, jobs.end, ids[1], JobState.FAILED, "decode", "not_media")
        assert (await other)[-1].failure == "not_media"

    play(run)


def test_a_job_that_is_gone_ends_the_watching(tables: sa.Engine, ids: list[str]) -> None:
    async def run() -> None:
        watcher = Watcher(tables)
        told = asyncio.create_task(collect(watcher, ids[0]))
        async with aclosing(watcher.changes(ids[0], 0, FOREVER)) as slow:
            await first(slow)  # and sends it to somebody slow, while the job goes
            await change(tables, jobs.delete, ids[0])
            assert all(not job.state.ended for job in await told)
            with pytest.raises(StopAsyncIteration):
                await anext(slow)
        assert await collect(watcher, new_id()) == []  # never there

    play(run)


def test_silence_is_told_of(tables: sa.Engine, ids: list[str]) -> None:
    async def run() -> None:
        watcher = Watcher(tables)
        async with aclosing(watcher.changes(ids[0], 10**9, 0.01)) as changes:
            for _ in range(3):
                assert await anext(changes) is None

    play(run)


def test_a_database_that_is_away_is_waited_for(tables: sa.Engine, ids: list[str]) -> None:
    failures = 0

    def fail(connection: object, cursor: object, statement: str, *_: object) -> None:
        nonlocal failures
        failures += 1
        raise sa.exc.OperationalError(statement, None, Exception("the server has gone"))

    async def run() -> None:
        watcher = Watcher(tables)
        async with aclosing(watcher.changes(ids[0], 0, FOREVER)) as changes:
            seen = await first(changes)
            await change(tables, jobs.begin_stage, ids[0], "decode")
            await first(changes)
            sa.event.listen(tables, "before_cursor_execute", fail)
            await until(lambda: failures >= 3)
            sa.event.remove(tables, "before_cursor_execute", fail)
            await change(tables, jobs.end, ids[0], JobState.SUCCEEDED)
            assert (await first(changes)).revision == seen.revision + 2

    with capture_logs() as logged:
        play(run)
    assert [(line["event"], line["reason"]) for line in logged] == [("watching fails", "OperationalError")]


def test_nothing_unexpected_ends_the_watching(
    tables: sa.Engine, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, changed = 0, Watcher._changed

    def fail(watcher: Watcher, known: dict[str, int]) -> dict[str, Job | None]:
        nonlocal looks
        looks += 1
        if looks % 4:
            raise RuntimeError("nobody thought of it")
        return changed(watcher, known)

    monkeypatch.setattr(Watcher, "_changed", fail)

    async def run() -> None:
        told = asyncio.create_task(collect(Watcher(tables), ids[0]))
        await until(lambda: looks > 5)
        await change(tables, jobs.end, ids[0], JobState.SUCCEEDED)
        assert (await told)[-1].state is JobState.SUCCEEDED

    with capture_logs() as logged:
        play(run)
    assert len(logged) == -(-looks // 4)  # one for all that fail in a row
    assert all(line["exc_info"] for line in logged)


def test_a_job_that_a_newer_version_wrote_keeps_nobody_else_waiting(
    tables: sa.Engine, ids: list[str]
) -> None:
    async def run() -> None:
        watcher = Watcher(tables)
        with tables.begin() as connection:
            connection.execute(sa.update(db.stages).where(db.stages.c.job == ids[0]).values(state="resting"))
        strange = asyncio.create_task(collect(watcher, ids[0]))
        for id in ids[1:]:
            told = asyncio.create_task(collect(watcher, id))
            await change(tables, jobs.end, id, JobState.SUCCEEDED)
            assert (await told)[-1].state is JobState.SUCCEEDED
        watcher.close()
        assert await strange == []

    with capture_logs() as logged:
        play(run)
    assert [(line["job"], line["reason"]) for line in logged] == [(ids[0], "ValueError")]


def test_closing_ends_all(tables: sa.Engine, ids: list[str]) -> None:
    async def run() -> None:
        watcher = Watcher(tables)
        watchers = [asyncio.create_task(collect(watcher, id)) for id in ids]
        async with aclosing(watcher.changes(ids[0], 0, FOREVER)) as changes:
            await first(changes)
        watcher.close()
        await asyncio.gather(*watchers)
        assert await collect(watcher, ids[0]) == []

    play(run)


def test_nobody_looks_where_nobody_watches(tables: sa.Engine, ids: list[str]) -> None:
    async def run() -> None:
        watcher = Watcher(tables)
        for _ in range(2):  # it begins again, too
            async with aclosing(watcher.changes(ids[0], 0, FOREVER)) as changes:
                await first(changes)
            looking = watcher._looking
            assert looking is not None
            await looking
        assert watcher._topics == {}

    play(run)
