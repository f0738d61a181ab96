"""The stages of a job whose files lie in an object store, by workers that have nothing else in common."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import OutputError
from pipelines.pipeline import Stage
from service.files.artifacts import LEFT
from service.files.bucket import SCRATCH, SharedStorage
from service.files.objects import AwayError, Objects
from service.files.storage import Failure, Request, new_id
from service.parts import Parts, opened
from service.records import jobs
from service.records.jobs import JobState
from service.settings import Settings
from service.work import persistence
from service.work.children import Done, Failed, Outcome, Program
from service.work.deletion import delete
from service.work.runner import OVER, Runner

Work = Callable[[Path, Path], Awaitable[Outcome] | None]


class At:
    """A worker; its processes are what a test makes of them, and get the job's folder and the attempt's."""

    def __init__(self, parts: Parts, work: Work) -> None:
        self.parts, self.storage, self.work = parts, parts.storage, work
        self.runner = Runner(parts)
        self.runner.processes.run = self._run  # type: ignore[method-assign, assignment]

    async def _run(self, program: Program, request: dict[str, Any], *_: object) -> Outcome:
        attempt = Path(request["folder"] if "folder" in request else request["attempt"])
        done = self.work(attempt.parents[1], attempt)
        return await done if done else Done()

    def accepted(self, job: str, stage: str) -> str:
        with self.parts.engine.begin() as connection:
            return jobs.accepted(connection, job).get(stage, "")

    def left(self, job: str) -> set[str]:
        """What is in the store of a job's stages."""
        assert isinstance(self.storage, SharedStorage)
        return set(self.storage.objects.find(f"jobs/{job}/stages"))

    def perform(self, job: str, stage: Stage) -> str:
        return asyncio.run(self.outcome(job, stage))

    async def outcome(self, job: str, stage: Stage) -> str:
        """The code of its failure, or what it has left here."""
        code = await self.runner.perform(job, stage)
        return code or (self.storage.job(job).stage(stage) / LEFT).read_text()


def leave(content: str) -> Work:
    """What a stage leaves that does nothing else."""

    def work(job: Path, attempt: Path) -> None:
        (attempt / LEFT).write_text(content)

    return work


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Work], At]]:
    monkeypatch.setattr(persistence, "RETRY_INTERVAL", 0.01)
    settings = Settings(data_dir=tmp_path / "data", storage_url=f"file://{tmp_path}/store", min_free_mb=0)
    with ExitStack() as stack:
        yield lambda work: At(stack.enter_context(opened(settings)), work)


@pytest.fixture
def one(make: Callable[[Work], At]) -> At:
    return make(leave("one's"))


@pytest.fixture
def other(make: Callable[[Work], At]) -> At:
    return make(leave("other's"))


@pytest.fixture
def job(one: At) -> str:
    """One that has begun."""
    id = new_id()
    folder = one.storage.incoming(id)
    folder.recording.write_bytes(b"RIFF")
    folder.write_request(Request("talk.wav"))
    one.storage.admit(id)
    with one.parts.engine.begin() as connection:
        jobs.insert(connection, id, "", "")
        jobs.begin(connection, id)
    return id


def end(at: At, job: str) -> None:
    with at.parts.engine.begin() as connection:
        assert jobs.end(connection, job, JobState.CANCELLED)


# --------------------------------------------------------------------------- one after the other


def test_a_worker_goes_on_with_what_another_has_done(one: At, other: At, job: str) -> None:
    assert one.perform(job, Stage.DECODE) == "one's"
    seen = []

    def work(folder: Path, attempt: Path) -> None:
        seen.append({str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()})
        (attempt / LEFT).write_bytes((folder / "stages" / Stage.DECODE / LEFT).read_bytes())

    other.work = work
    assert other.perform(job, Stage.DETECT) == "one's"
    assert seen == [{"request.json", f"stages/decode/{LEFT}"}]
    assert one.perform(job, Stage.DETECT) == "one's"
    assert len(seen) == 1


def test_what_is_done_is_not_done_again(one: At, other: At, job: str) -> None:
    assert one.perform(job, Stage.STORE) == other.perform(job, Stage.STORE) == "one's"
    one.storage.leave(job)
    assert one.perform(job, Stage.STORE) == "one's"
    assert one.left(job) == {f"store/{one.accepted(job, Stage.STORE)}/{LEFT}"}


def test_why_a_stage_failed_is_said_elsewhere(one: At, other: At, job: str) -> None:
    async def fail(*_: object) -> Outcome:
        return Failed("no_speech", "“talk.wav” has no speech.")

    one.work = fail
    assert one.perform(job, Stage.DETECT) == "no_speech"
    assert other.storage.note(job, f"{Stage.DETECT}.message") == "“talk.wav” has no speech."
    assert one.left(job) == set()


def test_at_the_end_what_stays_counts_for_the_quota(one: At, job: str) -> None:
    one.perform(job, Stage.DECODE)
    one.perform(job, Stage.STORE)
    asyncio.run(one.runner._finish(job))
    with one.parts.engine.begin() as connection:
        kept = jobs.kept_bytes(connection, "")
    assert kept == one.storage.size_bytes(job) > len("RIFF")


# --------------------------------------------------------------------------- at the same time


def test_an_attempt_that_lost_takes_what_counts(one: At, other: At, job: str) -> None:
    """And leaves nothing."""

    async def late(folder: Path, attempt: Path) -> Outcome:
        (attempt / LEFT).write_text("one's")
        assert await other.outcome(job, Stage.STORE) == "other's"
        return Done()

    one.work = late
    assert one.perform(job, Stage.STORE) == "other's"
    assert one.left(job) == {f"store/{one.accepted(job, Stage.STORE)}/{LEFT}"}
    assert (one.storage.job(job).stage(Stage.STORE) / LEFT).read_text() == "other's"
    assert not list(one.storage.job(job).path.glob("attempts/*"))


@pytest.mark.parametrize("moment", ["working", "publishing", "published"])
@pytest.mark.parametrize("way", ["cancelled", "deleted"])
def test_an_attempt_at_a_job_that_is_over_leaves_nothing(
    one: At, other: At, job: str, moment: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reach(here: str) -> None:
        if here == moment:
            end(other, job) if way == "cancelled" else delete(job, other.parts)

    def work(folder: Path, attempt: Path) -> None:
        for name in ("a", LEFT, "z"):
            (attempt / name).write_text("one's")
        reach("working")

    put, publish, count = Objects.put, SharedStorage.publish, iter(range(99))

    def put_one(objects: Objects, name: str, path: Path) -> None:
        if next(count) == 1:
            reach("publishing")
        put(objects, name, path)

    def publish_all(storage: SharedStorage, *args: Any) -> bool:
        published = publish(storage, *args)
        reach("published")
        return published

    one.work = work
    monkeypatch.setattr(Objects, "put", put_one)
    monkeypatch.setattr(SharedStorage, "publish", publish_all)
    assert one.perform(job, Stage.STORE) == OVER
    assert one.accepted(job, Stage.STORE) == ""
    assert one.left(job) == set()
    asyncio.run(one.runner._finish(job))
    assert one.storage.ids() == ({job} if way == "cancelled" else set())


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("moment", ["published", "accepted"])
def test_what_counts_stays_where_its_step_is_cancelled(
    one: At, other: At, job: str, moment: str, before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where another worker has taken the job over meanwhile, and looks for what the database names."""
    tasks: list[asyncio.Task[Any]] = []

    def cancelling(change: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            if before:
                tasks[0].get_loop().call_soon_threadsafe(tasks[0].cancel)
            done = change(*args)
            if not before:
                tasks[0].get_loop().call_soon_threadsafe(tasks[0].cancel)
            return done

        return call

    async def run() -> None:
        tasks.append(asyncio.create_task(one.runner.perform(job, Stage.STORE)))
        with suppress(asyncio.CancelledError):
            await tasks[0]

    with monkeypatch.context() as patch:
        if moment == "published":
            patch.setattr(SharedStorage, "publish", cancelling(SharedStorage.publish))
        else:
            patch.setattr(jobs, "accept", cancelling(jobs.accept))
        asyncio.run(run())
    attempt = one.accepted(job, Stage.STORE)
    assert attempt
    assert one.left(job) == {f"store/{attempt}/{LEFT}"}
    assert other.perform(job, Stage.STORE) == "one's"


# --------------------------------------------------------------------------- what is away, or full


@pytest.mark.parametrize("error", [AwayError("gone"), OSError(errno.ENOSPC, "full")], ids=["away", "full"])
@pytest.mark.parametrize("name", ["find", "get", "put", "write"])
def test_a_worker_waits_and_goes_on(
    one: At, other: At, job: str, name: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert one.perform(job, Stage.DECODE) == "one's"
    real, fails = getattr(Objects, name), iter(range(3))

    def fail(*args: Any) -> Any:
        if next(fails, None) is not None:
            raise error
        return real(*args)

    async def refuse(*_: object) -> Outcome:
        return Failed("no_speech", "No.")

    monkeypatch.setattr(Objects, name, fail)
    if name == "write":
        other.work = refuse
        assert other.perform(job, Stage.DETECT) == "no_speech"
        assert one.storage.note(job, f"{Stage.DETECT}.message") == "No."
    else:
        assert other.perform(job, Stage.DETECT) == "other's"
    assert next(fails, None) is None
    with one.parts.engine.begin() as connection:
        assert jobs.count_attempts(connection, job, Stage.DETECT) == 0


def test_a_stage_that_goes_on_without_the_store_is_not_done_twice(
    one: At, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its attempt waits until it can be published, and nothing is computed again."""
    put = Objects.put
    worked: list[str] = []

    def fail(objects: Objects, name: str, path: Path) -> None:
        if len(worked) < 5:
            worked.append("failed")
            raise AwayError("gone")
        put(objects, name, path)

    def work(folder: Path, attempt: Path) -> None:
        worked.append("worked")
        (attempt / LEFT).write_text("one's")

    one.work = work
    monkeypatch.setattr(Objects, "put", fail)
    assert one.perform(job, Stage.STORE) == "one's"
    assert worked == ["worked", *["failed"] * 4]


def test_a_store_that_is_away_at_the_beginning_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(objects: Objects) -> None:
        raise AwayError("ConnectionRefusedError")

    monkeypatch.setattr(Objects, "prepare", fail)
    settings = Settings(data_dir=tmp_path / "data", storage_url=f"file://{tmp_path}/store")
    with ExitStack() as stack, pytest.raises(OutputError, match=r"store cannot be .* \(ConnectionRefused"):
        stack.enter_context(opened(settings))
    assert list((tmp_path / "data" / SCRATCH).iterdir()) == []


def test_a_job_is_deleted_as_a_whole_or_later(one: At, job: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.rename(tmp_path / "away")
    with pytest.raises(AwayError):
        delete(job, one.parts)
    (tmp_path / "away").rename(store)
    with one.parts.engine.begin() as connection:
        assert jobs.find(connection, job) is not None
    delete(job, one.parts)
    with one.parts.engine.begin() as connection:
        assert jobs.find(connection, job) is None
    assert not list(store.rglob("*.json"))


def test_a_job_whose_files_were_lost_is_a_fault_of_ours(
    one: At, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one that says nothing of itself."""

    async def find_nothing(job: str) -> Failure:
        return Failure(Stage.ALIGN, OVER, "")

    monkeypatch.setattr(one.runner, "_stages", find_nothing)
    asyncio.run(one.runner.run(job))
    with one.parts.engine.begin() as connection:
        ended = jobs.find(connection, job)
    assert ended is not None
    assert (ended.state, ended.failed_stage, ended.failure) == (JobState.FAILED, "align", "internal")
