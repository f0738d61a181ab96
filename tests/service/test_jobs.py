"""The rows of jobs and stages, against a model in plain Python: whatever is done to them, in any order."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from pipelines.pipeline import Stage
from service.files.storage import new_id
from service.records import database, jobs
from service.records.jobs import ACTIVE, Job, JobState, StageState
from service.settings import Settings

ENDS = [state for state in JobState if state.ended]
OWNERS = ["", "1234567890abcdef", "fedcba0987654321"]
TRIED = st.sampled_from([Stage.DECODE, Stage.TRANSCRIBE, Stage.STORE])  # few, so that much happens to each
FRACTIONS = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class StageModel:
    state: StageState = StageState.PENDING
    fraction: float = 0.0
    attempts: int = 0
    accepted: str = ""


@dataclass
class JobModel:
    """What is known of a job, kept in the simplest way."""

    id: str
    owner: str
    idempotency: str | None
    notify: bool
    state: JobState = JobState.QUEUED
    failed_stage: str = ""
    failure: str = ""
    revision: int = 1
    stages: dict[str, StageModel] = field(default_factory=lambda: {stage: StageModel() for stage in Stage})

    @property
    def active(self) -> bool:
        return self.state in ACTIVE


class Machine(RuleBasedStateMachine):
    """Any changes in any order; after each of them rows and model agree, and no promise is broken."""

    ids = Bundle("ids")

    engine: sa.Engine

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, JobModel] = {}
        self.seen: dict[str, Job] = {}
        with self.engine.begin() as connection:
            connection.execute(sa.delete(database.jobs))

    # ---------------------------------------------------------------- changes

    @rule(
        target=ids,
        owner=st.sampled_from(OWNERS),
        key=st.sampled_from(["", "", "a", "b"]),
        notify=st.booleans(),
    )
    def insert(self, owner: str, key: str, notify: bool) -> str:
        id, idempotency = new_id(), digest(owner + key) if key else None
        taken = [job for job in self.model.values() if idempotency and job.idempotency == idempotency]
        try:
            with self.engine.begin() as connection:
                jobs.insert(connection, id, owner, digest(id), idempotency, notify)
        except sa.exc.IntegrityError:
            assert taken
            id = taken[0].id
        else:
            assert not taken
            self.model[id] = JobModel(id, owner, idempotency, notify)
        return id

    @rule(id=ids)
    def begin(self, id: str) -> None:
        job = self.model.get(id)
        with self.engine.begin() as connection:
            runs = jobs.begin(connection, id)
        if job and job.state is JobState.QUEUED:
            job.state, job.revision = JobState.RUNNING, job.revision + 1
        assert runs == (job is not None and job.state is JobState.RUNNING)

    @rule(id=ids, state=st.sampled_from(ENDS), stage=TRIED)
    def end(self, id: str, state: JobState, stage: Stage) -> None:
        job = self.model.get(id)
        failure = (stage, "no_speech") if state is JobState.FAILED else ("", "")
        with self.engine.begin() as connection:
            ended = jobs.end(connection, id, state, *failure)
        assert ended == (job is not None and job.active)
        if job and ended:
            job.state, job.revision = state, job.revision + 1
            job.failed_stage, job.failure = failure
            for progress in job.stages.values():
                if progress.state is StageState.RUNNING:
                    progress.state = StageState.CANCELLED

    @rule(id=ids, stage=TRIED)
    def begin_stage(self, id: str, stage: Stage) -> None:
        job = self.model.get(id)
        with self.engine.begin() as connection:
            attempts = jobs.begin_stage(connection, id, stage)
        if job is None or job.state is not JobState.RUNNING:
            assert attempts == 0
            return
        progress = job.stages[stage]
        progress.state, progress.attempts, job.revision = (
            StageState.RUNNING,
            progress.attempts + 1,
            job.revision + 1,
        )
        assert attempts == progress.attempts

    @rule(id=ids, stage=TRIED, fraction=FRACTIONS)
    def advance_stage(self, id: str, stage: Stage, fraction: float) -> None:
        job = self.model.get(id)
        with self.engine.begin() as connection:
            goes_on = jobs.advance_stage(connection, id, stage, fraction)
        assert goes_on == (job is not None and job.state is JobState.RUNNING)
        if job and job.active and fraction > job.stages[stage].fraction:
            job.stages[stage].fraction, job.revision = fraction, job.revision + 1

    @rule(id=ids, stage=TRIED)
    def release_stage(self, id: str, stage: Stage) -> None:
        with self.engine.begin() as connection:
            jobs.release_stage(connection, id, stage)
        if job := self.model.get(id):
            job.stages[stage].attempts = max(0, job.stages[stage].attempts - 1)

    @rule(
        id=ids,
        stage=TRIED,
        state=st.sampled_from([StageState.SUCCEEDED, StageState.FAILED, StageState.CANCELLED]),
    )
    def end_stage(self, id: str, stage: Stage, state: StageState) -> None:
        job = self.model.get(id)
        with self.engine.begin() as connection:
            jobs.end_stage(connection, id, stage, state)
        if job and job.active:
            fraction = 1.0 if state is StageState.SUCCEEDED else job.stages[stage].fraction
            job.stages[stage] = StageModel(state, fraction, 0, job.stages[stage].accepted)
            job.revision += 1

    @rule(id=ids, stage=TRIED, attempt=st.sampled_from(["one", "other"]))
    def accept(self, id: str, stage: Stage, attempt: str) -> None:
        job = self.model.get(id)
        with self.engine.begin() as connection:
            counts = jobs.accept(connection, id, stage, attempt)
        if job and job.state is JobState.RUNNING:
            job.stages[stage].accepted = job.stages[stage].accepted or attempt
            job.revision += 1
        assert counts == (job is not None and job.stages[stage].accepted == attempt)

    @rule(id=ids)
    def delete(self, id: str) -> None:
        with self.engine.begin() as connection:
            jobs.delete(connection, id)
        self.model.pop(id, None)
        self.seen.pop(id, None)

    @rule(id=ids)
    def change_and_take_back(self, id: str) -> None:
        with self.engine.connect() as connection:
            jobs.begin(connection, id)
            jobs.begin_stage(connection, id, Stage.DECODE)
            jobs.end(connection, id, JobState.CANCELLED)
            connection.rollback()

    # ---------------------------------------------------------------- what must be so

    @invariant()
    def rows_and_model_agree(self) -> None:
        with self.engine.connect() as connection:
            found = {job.id: job for job in jobs.find_all(connection, self.model)}
            for model in self.model.values():
                attempts_at_last = jobs.count_attempts(connection, model.id, Stage.STORE)
                assert attempts_at_last == model.stages[Stage.STORE].attempts
            assert jobs.count_attempts(connection, "gone", Stage.STORE) == 0
            accepted = {id: jobs.accepted(connection, id) for id in self.model}
            assert jobs.accepted(connection, "gone") == {}
            ended = {id for id in (*self.model, "gone") if jobs.has_ended(connection, id)}
            columns = (database.stages.c.job, database.stages.c.stage, database.stages.c.attempts)
            attempts = {(job, stage): count for job, stage, count in connection.execute(sa.select(*columns))}
        assert found.keys() == self.model.keys()
        assert len(attempts) == len(Stage) * len(self.model)  # no stage of a job that is gone
        assert ended == {"gone"} | {id for id, model in self.model.items() if model.state.ended}
        for id, model in self.model.items():
            job = found[id]
            assert (job.owner, job.notify, job.state) == (model.owner, model.notify, model.state)
            assert (job.failed_stage, job.failure) == (model.failed_stage, model.failure)
            assert job.revision == model.revision
            assert accepted[id] == {stage: model.stages[stage].accepted for stage in Stage}
            assert tuple(progress.stage for progress in job.stages) == tuple(Stage)
            for progress in job.stages:
                known = model.stages[progress.stage]
                assert (progress.state, progress.fraction) == (known.state, known.fraction)
                assert job.accepted(progress.stage) == progress.accepted == known.accepted
                assert attempts[id, progress.stage] == known.attempts
        for id, job in found.items():
            if id in self.seen:
                check_promises(self.seen[id], job)
        self.seen = found

    @invariant()
    def questions_have_the_answers_of_the_model(self) -> None:
        with self.engine.connect() as connection:
            for owner in OWNERS:
                active = [job for job in self.model.values() if job.active and job.owner == owner]
                assert jobs.count_active(connection, owner) == len(active)
            states = [job.state for job in self.model.values()]
            assert jobs.count_by_state(connection) == {state: states.count(state) for state in JobState}
            assert jobs.revisions(connection, [*self.model, "gone"]) == {
                id: job.revision for id, job in self.model.items()
            }
            for job in self.model.values():
                if job.idempotency:
                    assert jobs.find_repeated(connection, job.idempotency) == (job.id, digest(job.id))
            assert jobs.find(connection, "gone") is None
            assert jobs.find_repeated(connection, digest("gone")) is None
            assert set(jobs.expired(connection, 1e12)) == {
                id for id, job in self.model.items() if not job.active
            }
            assert jobs.expired(connection, 1.0) == []


def check_promises(before: Job, after: Job) -> None:
    """What holds whatever was done in between."""
    if before.state.ended:
        assert after == before
    assert after.fraction >= before.fraction
    assert all(new.fraction >= old.fraction for old, new in zip(before.stages, after.stages, strict=True))
    assert (after.started or 0) >= (before.started or 0)
    assert before.started in (None, after.started)
    if replace(after, revision=before.revision) != before:
        assert after.revision > before.revision
    assert after.revision >= before.revision
    assert (after.finished is not None) == after.state.ended
    if after.state is JobState.SUCCEEDED:
        assert after.fraction == 1.0


def test_rows_do_what_the_model_does(tables: sa.Engine) -> None:
    class Bound(Machine):
        engine = tables

    run_state_machine_as_test(
        Bound,
        settings=settings(
            max_examples=8 if tables.dialect.name == "sqlite" else 2,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_question_is_too_long(tables: sa.Engine) -> None:
    ids = [new_id() for _ in range(2500)]
    lengths = []

    def note(connection: object, cursor: object, statement: str, parameters: Sized, *_: object) -> None:
        lengths.append(len(parameters))

    with tables.begin() as connection:
        jobs.insert(connection, ids[2400], "", "")
        sa.event.listen(tables, "before_cursor_execute", note)
        assert jobs.revisions(connection, ids) == {ids[2400]: 1}
        assert [job.id for job in jobs.find_all(connection, ids)] == [ids[2400]]
    assert max(lengths) <= 1000


# --------------------------------------------------------------------------- pages


def make(engine: sa.Engine, count: int, change: Callable[[int], JobState | None]) -> list[Job]:
    """Jobs of two owners in turn, the newest first."""
    ids = [new_id() for _ in range(count)]
    with engine.begin() as connection:
        for number, id in enumerate(ids):
            jobs.insert(connection, id, OWNERS[number % 2], digest(id))
            jobs.begin(connection, id)
            if state := change(number):
                jobs.end(connection, id, state)
        return sorted(jobs.find_all(connection, ids), key=lambda job: job.id, reverse=True)


def test_pages_are_the_sorted_list_in_pieces(tables: sa.Engine) -> None:
    everything = make(tables, 20, lambda number: JobState.FAILED if number % 3 == 0 else None)
    states = (None, JobState.FAILED, JobState.RUNNING, JobState.QUEUED)
    for owner, state, limit in product(OWNERS, states, (1, 2, 5, 100)):
        wanted = [job for job in everything if job.owner == owner and state in (None, job.state)]
        pages: list[Job] = []
        with tables.connect() as connection:
            while page := jobs.page(connection, owner, state, limit, pages[-1].id if pages else ""):
                assert len(page) <= limit
                pages += page
        assert pages == wanted


@pytest.mark.parametrize("after", ["", "f" * 32])
@pytest.mark.parametrize("state", [None, JobState.FAILED])
def test_a_page_is_read_from_an_index_and_not_sorted(
    tmp_path: Path, after: str, state: JobState | None
) -> None:
    engine = database.connect(Settings(data_dir=tmp_path))
    database.migrate(engine)
    asked: list[tuple[str, Any]] = []

    def note(connection: object, cursor: object, statement: str, parameters: object, *_: object) -> None:
        asked.append((statement, parameters))

    with engine.connect() as connection:
        sa.event.listen(engine, "before_cursor_execute", note)
        jobs.page(connection, OWNERS[0], state, 20, after)
        statement, parameters = asked[0]
        plan = [str(row) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    engine.dispose()
    assert any("INDEX jobs_by_owner" in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan


def test_a_job_that_comes_meanwhile_moves_no_page(tables: sa.Engine) -> None:
    before = [job for job in make(tables, 6, lambda number: None) if job.owner == OWNERS[0]]
    with tables.begin() as connection:
        first = jobs.page(connection, OWNERS[0], None, 1)
        id = "f" * 32
        jobs.insert(connection, id, OWNERS[0], digest(id))
        rest = jobs.page(connection, OWNERS[0], None, 100, first[-1].id)
        assert first + rest == before
        assert jobs.page(connection, OWNERS[0], None, 100)[0].id == id


# --------------------------------------------------------------------------- several at once


def at_once(engine: sa.Engine, count: int, change: Callable[[sa.Connection, int], int]) -> list[int]:
    """What each of many transactions at the same time returned."""

    def run(number: int) -> int:
        with engine.begin() as connection:
            return change(connection, number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_no_attempt_is_lost_among_many(tables: sa.Engine) -> None:
    [job] = make(tables, 1, lambda number: None)
    counted = at_once(tables, 12, lambda connection, _: jobs.begin_stage(connection, job.id, Stage.ALIGN))
    assert sorted(counted) == list(range(1, 13))
    with tables.connect() as connection:
        found = jobs.find(connection, job.id)
    assert found is not None
    assert found.revision == job.revision + 12


def test_attempts_count_until_one_ends_or_is_given_back(tables: sa.Engine) -> None:
    [job] = make(tables, 1, lambda number: None)
    with tables.begin() as connection:
        assert [jobs.begin_stage(connection, job.id, Stage.ALIGN) for _ in range(3)] == [1, 2, 3]
        assert jobs.begin_stage(connection, job.id, Stage.ROLES) == 1
        jobs.release_stage(connection, job.id, Stage.ALIGN)
        assert jobs.begin_stage(connection, job.id, Stage.ALIGN) == 3
        jobs.end_stage(connection, job.id, Stage.ALIGN, StageState.SUCCEEDED)
        assert jobs.count_attempts(connection, job.id, Stage.ALIGN) == 0
        jobs.release_stage(connection, job.id, Stage.ALIGN)
        assert jobs.begin_stage(connection, job.id, Stage.ALIGN) == 1


def test_a_job_ends_once(tables: sa.Engine) -> None:
    [job] = make(tables, 1, lambda number: None)
    ended = at_once(tables, 9, lambda connection, number: jobs.end(connection, job.id, ENDS[number % 3]))
    assert sorted(ended) == [False] * 8 + [True]


def test_one_attempt_of_many_counts(tables: sa.Engine) -> None:
    [job] = make(tables, 1, lambda number: None)
    counts = at_once(
        tables, 8, lambda connection, number: jobs.accept(connection, job.id, Stage.ALIGN, str(number))
    )
    assert sorted(counts) == [False] * 7 + [True]
    with tables.begin() as connection:
        assert jobs.accepted(connection, job.id)["align"] == str(counts.index(True))
        assert jobs.accept(connection, job.id, Stage.ALIGN, str(counts.index(True)))


@pytest.mark.parametrize("first", ["end", "delete", "accept"])
def test_no_attempt_counts_that_comes_after_the_end(tables: sa.Engine, first: str) -> None:
    """Whichever of two comes first is over before the other begins."""
    [job] = make(tables, 1, lambda number: None)
    with tables.begin() as connection:
        jobs.begin_stage(connection, job.id, Stage.ALIGN)
    changes: dict[str, Callable[[sa.Connection], object]] = {
        "end": lambda connection: jobs.end(connection, job.id, JobState.CANCELLED),
        "delete": lambda connection: jobs.delete(connection, job.id),
        "accept": lambda connection: jobs.accept(connection, job.id, Stage.ALIGN, "one"),
    }

    def run(change: Callable[[sa.Connection], object]) -> object:
        with tables.begin() as connection:
            return change(connection)

    second = changes["end" if first == "accept" else "accept"]
    with ThreadPoolExecutor(1) as pool:
        with tables.begin() as connection:
            changes[first](connection)
            waiting = pool.submit(run, second)
            time.sleep(0.1)
            assert not waiting.done()
        assert waiting.result() is (first == "accept")
    with tables.begin() as connection:
        accepted = jobs.accepted(connection, job.id)
    assert accepted.get("align", "") == ("one" if first == "accept" else "")


def test_one_key_is_one_job(tables: sa.Engine) -> None:
    def insert(connection: sa.Connection, number: int) -> int:
        try:
            jobs.insert(connection, f"{number:032x}", "", digest("same"), digest("key"))
        except sa.exc.IntegrityError:
            connection.rollback()
            return 0
        return 1

    assert sorted(at_once(tables, 8, insert)) == [0] * 7 + [1]


def test_a_deleted_job_leaves_no_row(tables: sa.Engine) -> None:
    gone, kept = make(tables, 2, lambda number: None)
    with tables.begin() as connection:
        jobs.begin_stage(connection, gone.id, Stage.DECODE)
        jobs.delete(connection, gone.id)
        assert jobs.begin(connection, gone.id) is False
        assert jobs.begin_stage(connection, gone.id, Stage.DECODE) == 0
        left = set(connection.execute(sa.select(database.stages.c.job)).scalars())
    assert left == {kept.id}


def test_the_furthest_stage_at_work_is_shown(tables: sa.Engine) -> None:
    [job] = make(tables, 1, lambda number: None)
    shown = []
    with tables.begin() as connection:
        for change in (
            lambda: None,
            lambda: jobs.begin_stage(connection, job.id, Stage.TRANSCRIBE),
            lambda: jobs.begin_stage(connection, job.id, Stage.DIARIZE),
            lambda: jobs.end_stage(connection, job.id, Stage.DIARIZE, StageState.SUCCEEDED),
            lambda: jobs.end(connection, job.id, JobState.SUCCEEDED),
        ):
            change()
            found = jobs.find(connection, job.id)
            assert found is not None
            shown.append((found.stage, found.fraction))
    assert [stage for stage, _ in shown] == ["", "transcribe", "diarize", "transcribe", ""]
    assert all(before <= after for (_, before), (_, after) in pairwise(shown))
    assert shown[-1][1] == 1.0
