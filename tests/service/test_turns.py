"""Owners take turns: whoever sends many jobs holds up only themselves."""

from __future__ import annotations

import time
from dataclasses import dataclass

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from service.files.storage import new_id
from service.records import database, jobs, workflows
from service.records.jobs import JobState, fair_turn
from service.records.workflows import JOB, WEBHOOK, Queue, Workflows
from service.settings import Settings
from tests.support.postgres import PATIENCE

# --------------------------------------------------------------------------- the turns alone


@dataclass(eq=False)
class Model:
    """A job as a queue sees it: `turn`, then `number`, is its order."""

    owner: str
    number: int
    turn: int
    alone: bool  # nothing else of its owner waited or ran when it came
    state: JobState = JobState.QUEUED


class Line:
    """A queue of jobs that begin by turn, as the engine has them."""

    def __init__(self) -> None:
        self.jobs: list[Model] = []
        self.begun: list[Model] = []
        self.overtaken: dict[Model, list[str]] = {}  # the owners of those that began while a job waited

    def of(self, *states: JobState, owner: str = "") -> list[Model]:
        return [job for job in self.jobs if job.state in states and owner in ("", job.owner)]

    def send(self, owner: str) -> None:
        own = [job.turn for job in self.of(*jobs.ACTIVE, owner=owner)]
        turn = fair_turn(
            min((job.turn for job in self.of(JobState.QUEUED)), default=None),
            max((job.turn for job in self.of(JobState.RUNNING)), default=None),
            max(own, default=None),
        )
        self.jobs.append(Model(owner, len(self.jobs), turn, not own))

    def begin(self) -> bool:
        """False where none waits."""
        waiting = sorted(self.of(JobState.QUEUED), key=lambda job: (job.turn, job.number))
        for job in waiting[:1]:
            assert all(other.turn <= job.turn for other in self.of(JobState.RUNNING))
            job.state = JobState.RUNNING
            self.begun.append(job)
        for other in waiting[1:]:
            self.overtaken.setdefault(other, []).append(waiting[0].owner)
        return bool(waiting)

    def change(self, before: JobState, after: JobState, number: int) -> None:
        if some := self.of(before):
            some[number % len(some)].state = after


DEEDS = st.tuples(st.sampled_from(["send", "send", "begin", "begin", "end", "cancel"]), st.integers(0, 99))


@given(st.lists(DEEDS, max_size=100))
def test_owners_take_turns_whatever_happens(deeds: list[tuple[str, int]]) -> None:
    line = Line()
    for deed, number in deeds:
        match deed:
            case "send":
                line.send("aaaabbc"[number % 7])
            case "begin":
                line.begin()
            case "end":
                line.change(JobState.RUNNING, JobState.SUCCEEDED, number)
            case "cancel":
                line.change(JobState.QUEUED, JobState.CANCELLED, number)
    while line.begin():
        pass
    for owner in "abc":
        own = [job.number for job in line.begun if job.owner == owner]
        assert own == sorted(own), "the order of one owner stays"
    for job in line.begun:
        before = line.overtaken.get(job, [])
        assert not job.alone or len(before) == len({*before} - {job.owner}), "one of each other owner at most"


def test_nobody_waits_for_ever() -> None:
    """One whose job waits, while two others send without a pause."""
    line = Line()
    for owner in "aaaaaaaaab":
        line.send(owner)
    for _ in range(12):
        for owner in "ac":
            line.send(owner)
        line.begin()
        line.change(JobState.RUNNING, JobState.SUCCEEDED, 0)
    assert {job.owner for job in line.of(JobState.SUCCEEDED)} == {"a", "b", "c"}


# --------------------------------------------------------------------------- the queue itself


def test_one_job_waits_for_one_of_a_hundred(tables: sa.Engine, storage_settings: Settings) -> None:
    with database.one_at_a_time(tables, storage_settings):
        workflows.prepare(tables)
    queue = Queue(tables)
    owners = {new_id(): owner for owner in ["many"] * 100 + ["few", "few", "other"]}
    for id, owner in owners.items():
        with tables.begin() as connection:
            queue.enqueue(connection, JOB, id, turn=jobs.insert(connection, id, owner, ""))
    begun: list[str] = []

    async def body(id: str, number: int) -> None:
        begun.append(id)

    engine = Workflows(tables, "executor")
    engine.start({JOB: body, WEBHOOK: body}, 1)
    try:
        deadline = time.monotonic() + PATIENCE
        while len(begun) < 7:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        engine.stop()
        queue.close()
    sent = list(owners)
    assert begun[:7] == [sent[0], sent[100], sent[102], sent[1], sent[101], sent[2], sent[3]]
