"""Jobs as the API shows them: the rows of `jobs` and `stages`, and every change made to them.

    queued ──► running ──► succeeded
       │          ├──────► failed
       └──────────┴──────► cancelled

A job that has ended never changes again. Every function takes a connection inside the caller's transaction,
and changes the job before its stages: always in this order, so that no two transactions deadlock.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

import sqlalchemy as sa

from pipelines.pipeline import Stage
from service.records import database as db


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self not in ACTIVE


ACTIVE = (JobState.QUEUED, JobState.RUNNING)


class StageState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class StageProgress:
    """How far a stage has got; `fraction` in [0, 1] never falls."""

    stage: Stage
    state: StageState
    fraction: float
    started: float | None
    finished: float | None
    accepted: str = ""  # the attempt whose files count, where storage is shared


@dataclass(frozen=True, slots=True)
class Job:
    """One job; times in seconds since 1970. `revision` grows with every change that a watcher can see."""

    id: str
    owner: str
    state: JobState
    failed_stage: str
    failure: str
    created: float
    started: float | None
    finished: float | None
    revision: int
    notify: bool
    stages: tuple[StageProgress, ...]

    @property
    def stage(self) -> str:
        """The last stage that is running, "" where none is."""
        newest = reversed(self.stages)
        return next((progress.stage for progress in newest if progress.state is StageState.RUNNING), "")

    def accepted(self, stage: Stage) -> str:
        """The attempt at a stage that counts, where storage is shared; "" where none does yet."""
        return next((progress.accepted for progress in self.stages if progress.stage == stage), "")

    @property
    def fraction(self) -> float:
        """Share of the work that is done, each stage weighted by its usual cost."""
        if self.state is JobState.SUCCEEDED:
            return 1.0
        return sum(WEIGHTS.get(progress.stage, 1) * progress.fraction for progress in self.stages) / TOTAL


WEIGHTS = {Stage.DECODE: 5, Stage.DETECT: 3, Stage.TRANSCRIBE: 60, Stage.DIARIZE: 20, Stage.ALIGN: 8}
TOTAL = sum(WEIGHTS.get(stage, 1) for stage in Stage)


def insert(
    connection: sa.Connection,
    id: str,
    owner: str,
    fingerprint: str,
    idempotency: str | None = None,
    notify: bool = False,
    size_bytes: int = 0,
) -> int:
    """Adds a queued job; returns its turn. Raises IntegrityError where its idempotency hash is taken."""
    turn = _next_turn(connection, owner)
    asked = {"id": id, "owner": owner, "fingerprint": fingerprint, "idempotency": idempotency}
    made = {"notify": notify, "size_bytes": size_bytes, "turn": turn, "created": time.time(), "revision": 1}
    connection.execute(sa.insert(db.jobs).values(**asked, **made, state=JobState.QUEUED))
    rows = [
        {"job": id, "stage": stage, "state": StageState.PENDING, "fraction": 0.0, "attempts": 0}
        for stage in Stage
    ]
    connection.execute(sa.insert(db.stages), rows)
    return turn


def _next_turn(connection: sa.Connection, owner: str) -> int:
    """Of a new job. A caller sees to it that no other transaction asks for the same owner meanwhile."""
    turn, state = db.jobs.c.turn, db.jobs.c.state
    found = sa.select(
        sa.func.min(turn).filter(state == JobState.QUEUED),
        sa.func.max(turn).filter(state == JobState.RUNNING),
        sa.func.max(turn).filter(db.jobs.c.owner == owner),
    ).where(state.in_(ACTIVE))
    return fair_turn(*connection.execute(found).one())


def fair_turn(waiting: int | None, running: int | None, own: int | None) -> int:
    """Of a new job: start-time fair queuing (Demers, Keshav and Shenker 1989), where every job costs one.

    `waiting` is the lowest turn that waits, `running` the highest that runs, `own` the highest of the same
    owner; None where there is none. Jobs begin by turn, equal ones by time: before the only one
    of an owner at most one of each other's.
    """
    now = running or 1 if waiting is None else waiting
    return max(now, (own or 0) + 1)


def find(connection: sa.Connection, id: str) -> Job | None:
    return next(iter(_load(connection, sa.select(db.jobs).where(db.jobs.c.id == id))), None)


def find_all(connection: sa.Connection, ids: Iterable[str]) -> list[Job]:
    query = sa.select(db.jobs)
    return [job for some in _batches(ids) for job in _load(connection, query.where(db.jobs.c.id.in_(some)))]


def find_repeated(connection: sa.Connection, idempotency: str) -> tuple[str, str] | None:
    """Id and fingerprint of the job that was made with this idempotency hash."""
    query = sa.select(db.jobs.c.id, db.jobs.c.fingerprint).where(db.jobs.c.idempotency == idempotency)
    row = connection.execute(query).one_or_none()
    return (row.id, row.fingerprint) if row else None


def page(
    connection: sa.Connection, owner: str, state: JobState | None, limit: int, after: str = ""
) -> list[Job]:
    """Jobs, newest first; only those made before the job `after`, if one is given."""
    query = sa.select(db.jobs).where(db.jobs.c.owner == owner)
    if state is not None:
        query = query.where(db.jobs.c.state == state)
    if after:
        query = query.where(db.jobs.c.id < after)
    return _load(connection, query.order_by(db.jobs.c.id.desc()).limit(limit))


def revisions(connection: sa.Connection, ids: Iterable[str]) -> dict[str, int]:
    query = sa.select(db.jobs.c.id, db.jobs.c.revision)
    return {
        row.id: row.revision
        for some in _batches(ids)
        for row in connection.execute(query.where(db.jobs.c.id.in_(some)))
    }


def count_active(connection: sa.Connection, owner: str) -> int:
    query = sa.select(sa.func.count()).where(db.jobs.c.owner == owner, db.jobs.c.state.in_(ACTIVE))
    return connection.execute(query).scalar_one()


def kept_bytes(connection: sa.Connection, owner: str) -> int:
    """What all jobs of an owner take."""
    query = sa.select(sa.func.coalesce(sa.func.sum(db.jobs.c.size_bytes), 0)).where(db.jobs.c.owner == owner)
    return int(connection.execute(query).scalar_one())


def resize(connection: sa.Connection, id: str, size_bytes: int) -> None:
    """What its files take by now; no watcher sees it."""
    connection.execute(sa.update(db.jobs).where(db.jobs.c.id == id).values(size_bytes=size_bytes))


def count_by_state(connection: sa.Connection) -> dict[str, int]:
    query = sa.select(db.jobs.c.state, sa.func.count()).group_by(db.jobs.c.state)
    return dict.fromkeys(JobState, 0) | {row[0]: row[1] for row in connection.execute(query)}


def oldest_seconds(connection: sa.Connection) -> float:
    """How long the oldest waiting job has waited; 0 where none waits."""
    query = sa.select(sa.func.min(db.jobs.c.created)).where(db.jobs.c.state == JobState.QUEUED)
    created = connection.execute(query).scalar_one()
    return 0.0 if created is None else max(0.0, time.time() - created)


def expired(connection: sa.Connection, before: float) -> list[str]:
    """Ids of the jobs that ended before a time."""
    query = sa.select(db.jobs.c.id).where(db.jobs.c.state.not_in(ACTIVE), db.jobs.c.finished < before)
    return list(connection.execute(query).scalars())


def _batches(ids: Iterable[str]) -> Iterator[list[str]]:
    """Splits ids, since databases limit the length of a query."""
    wanted = iter(ids)
    while some := list(islice(wanted, 1000)):
        yield some


def _load(connection: sa.Connection, query: sa.Select[tuple[object, ...]]) -> list[Job]:
    rows = connection.execute(query).all()
    of_jobs = sa.select(db.stages).where(db.stages.c.job.in_([row.id for row in rows]))
    stages = {(row.job, row.stage): row for row in connection.execute(of_jobs)}
    return [
        Job(
            id=row.id,
            owner=row.owner,
            state=JobState(row.state),
            failed_stage=row.failed_stage,
            failure=row.failure,
            created=row.created,
            started=row.started,
            finished=row.finished,
            revision=row.revision,
            notify=row.notify,
            stages=tuple(
                StageProgress(s, StageState(r.state), r.fraction, r.started, r.finished, r.accepted)
                for s in Stage
                if (r := stages.get((row.id, s)))
            ),
        )
        for row in rows
    ]


def begin(connection: sa.Connection, id: str) -> bool:
    """Sets a queued job running; False where it has ended or is gone, and must not run."""
    started = sa.func.coalesce(db.jobs.c.started, time.time())
    _change(connection, id, db.jobs.c.state == JobState.QUEUED, state=JobState.RUNNING, started=started)
    return _is_running(connection, id)


def _is_running(connection: sa.Connection, id: str) -> bool:
    state = connection.execute(sa.select(db.jobs.c.state).where(db.jobs.c.id == id)).scalar_one_or_none()
    return state == JobState.RUNNING


def has_ended(connection: sa.Connection, id: str) -> bool:
    """Whether the job has ended or is gone."""
    query = sa.select(db.jobs.c.id).where(db.jobs.c.id == id, db.jobs.c.state.in_(ACTIVE))
    return connection.execute(query).scalar_one_or_none() is None


def end(
    connection: sa.Connection, id: str, state: JobState, failed_stage: str = "", failure: str = ""
) -> bool:
    """Moves a job to a final state; False where it is in one already, or is gone."""
    values = {"state": state, "failed_stage": failed_stage, "failure": failure, "finished": time.time()}
    if not _change(connection, id, db.jobs.c.state.in_(ACTIVE), **values):
        return False
    running = sa.and_(db.stages.c.job == id, db.stages.c.state == StageState.RUNNING)
    connection.execute(sa.update(db.stages).where(running).values(state=StageState.CANCELLED))
    return True


def delete(connection: sa.Connection, id: str) -> None:
    connection.execute(sa.delete(db.jobs).where(db.jobs.c.id == id))


def hold(connection: sa.Connection, id: str) -> bool:
    """Keeps others from deleting the job until this transaction ends; False where it is gone."""
    query = sa.select(db.jobs.c.id).where(db.jobs.c.id == id).with_for_update(read=True, key_share=True)
    return connection.execute(query).scalar_one_or_none() is not None


def count_attempts(connection: sa.Connection, id: str, stage: Stage) -> int:
    """How many attempts at a stage have neither ended nor been released."""
    query = sa.select(db.stages.c.attempts).where(_stage(id, stage))
    return connection.execute(query).scalar_one_or_none() or 0


def begin_stage(connection: sa.Connection, id: str, stage: Stage) -> int:
    """Counts an attempt at a stage and returns `count_attempts`; 0 where the job has ended, or is gone."""
    if not _change(connection, id, db.jobs.c.state == JobState.RUNNING):
        return 0
    attempts, started = db.stages.c.attempts, sa.func.coalesce(db.stages.c.started, time.time())
    change = sa.update(db.stages).where(_stage(id, stage)).returning(attempts)
    values = {"state": StageState.RUNNING, "attempts": attempts + 1, "started": started}
    return int(connection.execute(change.values(values)).scalar_one())


def advance_stage(connection: sa.Connection, id: str, stage: Stage, fraction: float) -> bool:
    """Advances a stage, never backwards: one that is run again shows nothing until it is further than before.

    False where the job has ended, or is gone.
    """
    row = _stage(id, stage)
    before = connection.execute(sa.select(db.stages.c.fraction).where(row)).scalar_one_or_none()
    if before is not None and before < fraction and _change(connection, id, db.jobs.c.state.in_(ACTIVE)):
        connection.execute(sa.update(db.stages).where(row).values(fraction=fraction))
    return _is_running(connection, id)


def accept(connection: sa.Connection, id: str, stage: Stage, attempt: str) -> bool:
    """Makes an attempt the one that counts; False where another one does, or the job has ended or is gone."""
    row = sa.and_(_stage(id, stage), db.stages.c.accepted == "")
    if _change(connection, id, db.jobs.c.state == JobState.RUNNING):
        connection.execute(sa.update(db.stages).where(row).values(accepted=attempt))
    return accepted(connection, id).get(stage) == attempt


def accepted(connection: sa.Connection, id: str) -> dict[str, str]:
    """The attempt that counts for each stage, "" where none does yet."""
    query = sa.select(db.stages.c.stage, db.stages.c.accepted).where(db.stages.c.job == id)
    return {row.stage: row.accepted for row in connection.execute(query)}


def release_stage(connection: sa.Connection, id: str, stage: Stage) -> None:
    """Uncounts an attempt that was interrupted through no fault of its own."""
    row = sa.and_(_stage(id, stage), db.stages.c.attempts > 0)
    connection.execute(sa.update(db.stages).where(row).values(attempts=db.stages.c.attempts - 1))


def end_stage(connection: sa.Connection, id: str, stage: Stage, state: StageState) -> None:
    values: dict[str, object] = {"state": state, "attempts": 0, "finished": time.time()}
    if state is StageState.SUCCEEDED:
        values["fraction"] = 1.0
    if _change(connection, id, db.jobs.c.state.in_(ACTIVE)):
        connection.execute(sa.update(db.stages).where(_stage(id, stage)).values(values))


def _stage(id: str, stage: Stage) -> sa.ColumnElement[bool]:
    return sa.and_(db.stages.c.job == id, db.stages.c.stage == stage)


def _change(
    connection: sa.Connection, id: str, *conditions: sa.ColumnElement[bool], **values: object
) -> bool:
    update = sa.update(db.jobs).where(db.jobs.c.id == id, *conditions)
    return connection.execute(update.values(revision=db.jobs.c.revision + 1, **values)).rowcount > 0
