"""A worker that loses sight of its workflows, or cannot write down what they did."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.files.storage import Request, Storage, new_id
from service.parts import opened
from service.records import database, jobs
from service.records.jobs import JobState
from service.records.workflows import JOB, Queue, Step, Taken
from service.running.working import CUT_SHORT
from service.settings import Settings
from service.work.deletion import delete
from service.work.webhooks import Outcome, Verdict
from service.work.worker import LOST_SWEEPS, Worker

PATIENCE = 60.0


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """One that has not been started."""
    with opened(Settings(data_dir=tmp_path / "data")) as parts:
        yield Worker(parts)


def until(what: Callable[[], object]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def queued(worker: Worker) -> str:
    """A job that nobody has begun."""
    id = new_id()
    with worker._parts.engine.begin() as connection:
        jobs.insert(connection, id, "", "")
        worker._queue.enqueue(connection, JOB, id)
    return id


def test_a_step_that_could_not_be_recorded_goes_on_from_there(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a full disk, of which the engine makes an error in the workflow."""
    runs: list[str] = []

    async def run(job: str) -> None:
        runs.append(job)
        if len(runs) == 1:
            raise sa.exc.OperationalError("INSERT", {}, Exception("database or disk is full"))

    monkeypatch.setattr(worker.runner, "run", run)
    id = queued(worker)
    worker.start()
    try:
        until(lambda: len(runs) == 2 and not worker._workflows.pending())
        assert runs == [id, id]
        assert worker._workflows.broken() == []
    finally:
        worker.stop()


@pytest.mark.parametrize("by", ["another", "itself"])
def test_what_was_taken_over_ends_here(worker: Worker, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """As of a worker that was cut off for a while: by another one, or by itself where that was first."""
    begun: list[str] = []
    ended: list[str] = []

    async def run(job: str) -> None:
        begun.append(job)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(2.0)  # as long as its process takes to be gone
            ended.append(job)

    monkeypatch.setattr(worker.runner, "run", run)
    id = queued(worker)
    worker.start()
    try:
        until(lambda: begun)
        if by == "another":
            take = sa.text("UPDATE workflow_status SET executor_id = 'another', owner_xid = 'another'")
            monkeypatch.setattr(worker._liveness, "is_dead", lambda executor: False)
            with worker._parts.engine.begin() as connection:
                connection.execute(take)
        else:
            worker._workflows.give_back(f"job-{id}-0")
        until(lambda: ended)
        assert len(begun) == (1 if by == "another" else 2)
        assert ended == [id]
        owner = "another" if by == "another" else worker._executor
        assert worker._workflows.pending() == {f"job-{id}-0": owner}
        assert worker._workflows.broken() == []
    finally:
        worker.stop()


@pytest.mark.parametrize("end", [JobState.CANCELLED, None])
def test_only_of_an_ended_job_what_was_left_goes(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, end: JobState | None
) -> None:
    """A job that is cancelled before a step is recorded is taken away, as one that another worker has."""
    id = new_id()
    left = worker._storage.job(id).stage("decode")
    left.mkdir(parents=True)
    with worker._parts.engine.begin() as connection:
        jobs.insert(connection, id, "", "")

    async def stages(job: str) -> None:
        if end:
            await worker._persistence.transact(jobs.end, job, end)
        raise Taken(job)

    monkeypatch.setattr(worker.runner, "_stages", stages)
    with pytest.raises(Taken):
        asyncio.run(worker.runner.run(id))
    assert left.is_dir() is (end is None)


def test_what_is_lost_is_given_back_once_and_not_while_it_runs(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    monkeypatch.setattr(worker._workflows, "give_back", given.append)

    async def execute(workflow: str) -> None:
        async with worker._alone(workflow):
            await asyncio.Event().wait()

    async def sweep() -> None:
        tasks = []
        for workflow in ("twice", "once", "twice"):
            tasks.append(asyncio.create_task(execute(workflow)))
            await asyncio.sleep(0.01)
        with pytest.raises(Taken):  # the first of its two executions has ended
            await tasks[0]
        for _ in range(LOST_SWEEPS - 1):
            worker._find_lost({"twice", "once", "lost"})
        assert given == []
        worker._find_lost({"twice", "once"})  # it ended after all
        for _ in range(LOST_SWEEPS):
            worker._find_lost({"twice", "once", "lost"})
        assert given == ["lost"]
        for task in tasks:
            task.cancel()

    asyncio.run(sweep())


def test_the_engine_says_every_kind_of_thing_once_in_a_while(
    worker: Worker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("service.records.workflows.time.monotonic", lambda: now)
    logger = logging.getLogger("dbos")
    for _ in range(3):
        for queue in ("jobs", "webhooks"):
            logger.warning(f"Exception in the thread for {queue}: no connection, at {_}\nTraceback")
    assert [record.getMessage().partition(", ")[2] for record in caplog.records] == ["at 0", "at 0"]
    now += 60
    logger.warning("Exception in the thread for jobs: no connection")
    assert len(caplog.records) == 3


@pytest.mark.parametrize("away", ["cancelled", "deleted", "broken"])
def test_only_a_fault_is_an_alarm(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, away: str
) -> None:
    """A job that its owner cancels or deletes while it runs is nobody's fault."""
    begun: list[str] = []
    id = queued(worker)

    async def stage() -> None:
        begun.append("")
        if away == "broken":
            raise ValueError("canary")
        while await worker._persistence.transact(jobs.find, id):  # as the runner attends to it
            await asyncio.sleep(0.05)

    async def run(job: str) -> None:
        await Step("stage").run(stage)

    monkeypatch.setattr(worker.runner, "run", run)
    worker.start()
    try:
        until(lambda: begun)
        if away == "deleted":
            delete(id, worker._parts)
        elif away == "cancelled":
            worker._queue.cancel(id)
        until(lambda: not worker._newest)
        until(lambda: not worker._workflows.pending())
        time.sleep(1.0)  # for what the engine says last
    finally:
        worker.stop()
    alarms = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert bool(alarms) is (away == "broken"), [record.getMessage() for record in alarms]


@pytest.mark.parametrize("ends", ["returns", "raises"])
def test_a_step_recorded_after_the_deletion_of_its_job_is_gone(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """PostgreSQL lets a deletion pass between the look at the workflow and the record of its step."""
    queued(worker)
    ran: list[str] = []
    record = (
        "INSERT INTO operation_outputs (workflow_uuid, function_id, function_name) VALUES (:id, 1, 'decode')"
    )

    async def run(job: str) -> None:
        await asyncio.to_thread(delete, job, worker._parts)
        with worker._parts.engine.begin() as connection:
            connection.execute(sa.text(record), {"id": f"job-{job}-0"})
        ran.append(job)
        if ends == "raises":
            raise Taken(job)

    monkeypatch.setattr(worker.runner, "run", run)
    worker.start()
    try:
        until(lambda: ran and not worker._newest)
    finally:
        worker.stop()
    with worker._parts.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM operation_outputs")).scalar_one() == 0


@pytest.mark.parametrize(
    ("verdict", "number", "counted"),
    [
        (Verdict.DELIVERED, 0, "delivered"),
        (Verdict.RETRY, 0, "retried"),
        (Verdict.RETRY, 7, "failed"),
        (Verdict.GIVEN_UP, 0, "failed"),
    ],
)
def test_tries_of_webhooks_are_counted(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, verdict: Verdict, number: int, counted: str
) -> None:
    async def deliver(*_: object) -> Outcome:
        return Outcome(verdict, "")

    monkeypatch.setattr("service.work.webhooks.deliver", deliver)
    job = queued(worker)
    folder = worker._storage.incoming(job)
    folder.write_request(Request("talk.wav", webhook="https://hooks.example.org/"))
    worker._storage.admit(job)
    with worker._parts.engine.begin() as connection:
        jobs.end(connection, job, JobState.SUCCEEDED)
    wait = asyncio.run(worker._deliver(job, number))
    assert (wait >= 0) is (counted == "retried")
    registry = worker._parts.metrics.registry
    outcomes = ("delivered", "retried", "failed")
    found = {
        each: registry.get_sample_value("turnwise_webhooks_total", {"outcome": each}) for each in outcomes
    }
    assert found == {each: float(each == counted) for each in outcomes}


def test_the_age_of_the_oldest_waiting_job(worker: Worker) -> None:
    with worker._parts.engine.begin() as connection:
        assert jobs.oldest_seconds(connection) == 0.0
    first, _ = queued(worker), queued(worker)
    with worker._parts.engine.begin() as connection:
        connection.execute(sa.update(database.jobs).where(database.jobs.c.id == first).values(created=1000.0))
        assert jobs.oldest_seconds(connection) > 1_000_000
        jobs.begin(connection, first)
        assert jobs.oldest_seconds(connection) < 1_000_000


@pytest.mark.parametrize(("broken", "is_left"), [("cancel", True), ("discard", False)])
def test_a_deletion_that_fails_says_so(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, broken: str, is_left: bool
) -> None:
    """The caller sends it again, or the worker removes the rest."""

    def fail(*_: object) -> None:
        raise OSError("the disk does not answer")

    id = queued(worker)
    monkeypatch.setattr(*{"cancel": (Queue, "cancel"), "discard": (Storage, "discard")}[broken], fail)
    with pytest.raises(OSError, match="does not answer"):
        delete(id, worker._parts)
    with worker._parts.engine.connect() as connection:
        assert bool(jobs.find(connection, id)) is is_left
        workflows = connection.execute(sa.text("SELECT count(*) FROM workflow_status")).scalar()
    assert bool(workflows) is is_left


def test_a_process_that_had_to_be_ended_says_so() -> None:
    """Neither success, nor what an exception ends with."""
    code = (
        "import time; from service.running import working; working.LAST_RESORT = 0.1;"
        " working.end_in_any_case(); time.sleep(60)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == CUT_SHORT
    assert CUT_SHORT not in (0, 1)
