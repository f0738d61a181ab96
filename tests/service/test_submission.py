"""What is sent becomes one job, within the limits of its owner, or leaves nothing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa

from service.api.context import Context
from service.api.submission import incoming, submit
from service.files.bucket import SharedStorage
from service.files.objects import Objects
from service.files.storage import Request, Storage, new_id
from service.files.uploads import FolderUploads
from service.problems import Code, ProblemError
from service.records import jobs
from service.records.workflows import Queue
from service.settings import Settings


@pytest.fixture(params=["data folder", "object store"])
def whole(
    request: pytest.FixtureRequest, tables: sa.Engine, storage_settings: Settings, tmp_path: Path
) -> Iterator[Context]:
    """A context with all but the workflows."""
    storage: Storage = Storage(storage_settings.data_dir)
    if request.param == "object store":
        storage = SharedStorage.made(storage_settings.data_dir, Objects(f"file://{tmp_path}/store"))
    storage.prepare()
    queue = SimpleNamespace(enqueue=lambda connection, kind, job, turn: None)
    uploads = FolderUploads(Storage(storage.root))
    yield Context(storage_settings, tables, storage, cast(Queue, queue), uploads)
    storage.close()


async def send(context: Context, content: bytes, key: str = "", owner: str = "") -> jobs.Job:
    async with incoming(context, owner, key) as (id, folder, _):
        folder.recording.write_bytes(content)
        sent = {"audio": hashlib.sha256(content).hexdigest()}
        return await submit(context, id, folder, Request("talk.wav"), sent, owner, key)


async def used_bytes(context: Context, key: str) -> int:
    """How much of the quota is said to be used to what is being sent."""
    with suppress(KeyError):
        async with incoming(context, "", key) as (_, _, used):
            raise KeyError
    return used


def folders(context: Context) -> set[str]:
    return context.storage.ids()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text", b"%PDF-1.7 ...", "is a PDF, not plain text"),
        ("text", bytes(range(256)), "is binary data, not text"),
        ("heard", b"{}", "This is not a file of recognised words"),
        ("heard", b"\xff\xfe", "is not UTF-8 text"),
        ("diarization", b"nonsense", "Line 1 is not RTTM"),
    ],
)
def test_what_the_work_would_refuse_later_is_refused_at_once(
    whole: Context, name: str, content: bytes, message: str
) -> None:
    async def run() -> None:
        async with incoming(whole, "", "") as (id, folder, _):
            folder.recording.write_bytes(b"RIFF")
            (folder.path / name).write_bytes(content)
            request = Request("talk.wav", "talk.txt" if name == "text" else "")
            await submit(whole, id, folder, request, {}, "")

    with pytest.raises(ProblemError, match=message) as error:
        asyncio.run(run())
    assert error.value.code is Code.INVALID
    assert folders(whole) == set()


def test_the_same_again_is_the_same_job(whole: Context) -> None:
    async def run() -> None:
        first = await send(whole, b"RIFF", "key")
        assert await send(whole, b"RIFF", "key") == first
        others = [await send(whole, b"RIFF", "other key"), await send(whole, b"RIFF", "key", "somebody else")]
        others += [await send(whole, b"RIFF"), await send(whole, b"RIFF")]
        assert len({first.id, *(job.id for job in others)}) == 5
        assert folders(whole) == {first.id, *(job.id for job in others)}
        with pytest.raises(ProblemError) as error:
            await send(whole, b"other", "key")
        assert error.value.code is Code.KEY_REUSED
        assert folders(whole) == {first.id, *(job.id for job in others)}

    asyncio.run(run())


@pytest.mark.parametrize("contents", [[b"RIFF"] * 6, [b"RIFF", b"other"] * 3])
def test_the_same_key_many_times_at_once_is_one_job(contents: list[bytes], whole: Context) -> None:
    async def run() -> None:
        work = [send(whole, content, "key") for content in contents]
        told = await asyncio.gather(*work, return_exceptions=True)
        made = {job.id for job in told if isinstance(job, jobs.Job)}
        assert len(made) == 1
        assert folders(whole) == made
        problems = [error for error in told if not isinstance(error, jobs.Job)]
        assert all(isinstance(error, ProblemError) and error.code is Code.KEY_REUSED for error in problems)
        assert len(problems) == len(set(contents) - {b"RIFF"}) * 3

    asyncio.run(run())


def test_too_many_jobs_at_once(tables: sa.Engine, whole: Context) -> None:
    async def run() -> None:
        settings = whole.settings.model_copy(update={"queue_limit": 2})
        few = Context(settings, tables, whole.storage, whole.queue, whole.uploads)
        first, _ = await send(few, b"1", "key"), await send(few, b"2")
        with pytest.raises(ProblemError) as error:
            await send(few, b"3")
        assert error.value.code is Code.QUEUE_FULL
        assert error.value.headers.keys() >= {"Retry-After", "Connection"}
        with pytest.raises(ProblemError):
            async with incoming(few, "", "new key"):
                raise AssertionError("something was received")
        assert await send(few, b"1", "key") == first
        await send(few, b"3", owner="somebody else")
        with tables.begin() as connection:
            jobs.end(connection, first.id, jobs.JobState.CANCELLED)
        await send(few, b"3")
        assert len(folders(few)) == 4

    asyncio.run(run())


def test_many_at_once_are_not_too_many(tables: sa.Engine, whole: Context) -> None:
    async def run() -> None:
        settings = whole.settings.model_copy(update={"queue_limit": 3})
        few = Context(settings, tables, whole.storage, whole.queue, whole.uploads)
        sent = [send(few, bytes([number])) for number in range(10)]
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
        made = {outcome.id for outcome in outcomes if isinstance(outcome, jobs.Job)}
        refused = [outcome for outcome in outcomes if isinstance(outcome, ProblemError)]
        assert (len(made), len(refused)) == (3, 7), outcomes
        assert {problem.code for problem in refused} == {Code.QUEUE_FULL}
        assert folders(few) == made

    asyncio.run(run())


def test_a_quota_is_for_one_owner_and_what_they_delete_is_free_again(
    tables: sa.Engine, whole: Context
) -> None:
    async def run() -> None:
        settings = whole.settings.model_copy(update={"quota_mb": 1})
        small = Context(settings, tables, whole.storage, whole.queue, whole.uploads)
        big = bytes(600_000)
        first = await send(small, big, "key")
        with pytest.raises(ProblemError, match="Your jobs and uploads take 1 of 1 MiB") as error:
            await send(small, big)
        assert error.value.code is Code.QUOTA
        assert folders(small) == {first.id}
        assert await send(small, big, "key") == first
        assert await used_bytes(small, "key") == 0
        assert 600_000 < await used_bytes(small, "") < 610_000
        await send(small, big, owner="somebody else")
        with tables.begin() as connection:
            jobs.delete(connection, first.id)
        await send(small, big)

    asyncio.run(run())


def test_many_at_once_are_not_more_than_the_quota(tables: sa.Engine, whole: Context) -> None:
    async def run() -> None:
        settings = whole.settings.model_copy(update={"quota_mb": 1})
        small = Context(settings, tables, whole.storage, whole.queue, whole.uploads)
        sent = [send(small, bytes(300_000)) for _ in range(6)]
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
        made = {outcome.id for outcome in outcomes if isinstance(outcome, jobs.Job)}
        problems = {outcome.code for outcome in outcomes if isinstance(outcome, ProblemError)}
        assert (len(made), problems) == (3, {Code.QUOTA})
        assert folders(small) == made

    asyncio.run(run())


def test_what_did_not_become_a_job_is_gone(whole: Context) -> None:
    async def give_up(error: BaseException) -> None:
        async with incoming(whole, "", "") as (_, folder, _):
            folder.recording.write_bytes(b"RIFF")
            assert len(folders(whole)) == 1
            raise error

    for error in (ProblemError(Code.INVALID, "No."), KeyboardInterrupt(), asyncio.CancelledError()):
        with pytest.raises(type(error)):
            asyncio.run(give_up(error))
        assert folders(whole) == set()


def test_a_job_whose_making_was_not_heard_of_keeps_its_files(whole: Context) -> None:
    """The server commits and is gone before it says so: the job runs, whatever its owner was told."""
    transact = whole.transact

    async def lose(work: Any, *arguments: Any, **named: Any) -> Any:
        done = await transact(work, *arguments, **named)
        if isinstance(done, jobs.Job):
            raise sa.exc.OperationalError("COMMIT", None, Exception("the server has gone"))
        return done

    async def run() -> None:
        setattr(whole, "transact", lose)  # noqa: B010 (mypy would mind)
        with pytest.raises(sa.exc.OperationalError):
            await send(whole, b"RIFF")
        delattr(whole, "transact")
        [page] = [await whole.transact(jobs.page, "", None, 10)]
        assert {job.id for job in page} == folders(whole)
        assert len(page) == 1

    asyncio.run(run())


def test_an_upload_that_is_gone_is_told_of(whole: Context) -> None:
    async def run() -> None:
        with pytest.raises(ProblemError) as error:
            async with incoming(whole, "", "") as (id, folder, _):
                await submit(whole, id, folder, Request("talk.wav"), {"upload": new_id()}, "")
        assert error.value.code is Code.NOT_FOUND
        assert folders(whole) == set()

    asyncio.run(run())
