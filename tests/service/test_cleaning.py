"""What a worker clears away now and then."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from service.files.storage import Request, Storage, new_id
from service.files.uploads import FolderUploads
from service.parts import Parts
from service.records import database, jobs
from service.records import workflows as durable
from service.records.jobs import JobState
from service.records.workflows import JOB, Queue
from service.settings import Settings
from service.work.worker import STRAY_AGE, Worker

HOUR = 3600.0


@pytest.fixture
def engine(storage_settings: Settings, tables: sa.Engine) -> sa.Engine:
    """Our tables and those of the workflows."""
    with database.one_at_a_time(tables, storage_settings):
        durable.prepare(tables)
    return tables


@pytest.fixture
def storage(storage_settings: Settings) -> Storage:
    storage = Storage(storage_settings.data_dir.resolve())
    storage.prepare()
    return storage


@pytest.fixture
def queue(engine: sa.Engine) -> Iterator[Queue]:
    queue = Queue(engine)
    yield queue
    queue.close()


@pytest.fixture
def worker(storage_settings: Settings, engine: sa.Engine, storage: Storage, queue: Queue) -> Worker:
    """One that keeps ended jobs for an hour, and does nothing by itself."""
    settings = storage_settings.model_copy(update={"retention_hours": 1.0})
    return Worker(Parts(settings, engine, storage, queue, FolderUploads(storage)))


def _job(engine: sa.Engine, storage: Storage, queue: Queue, notify: bool = False) -> str:
    """A job with its folder, queued."""
    id = new_id()
    storage.incoming(id).write_request(Request("talk.wav"))
    storage.admit(id)
    with engine.begin() as connection:
        jobs.insert(connection, id, "", "", notify=notify)
        queue.enqueue(connection, JOB, id)
    return id


def _end(engine: sa.Engine, id: str, ago: float) -> None:
    """As if it had ended so many seconds ago."""
    with engine.begin() as connection:
        assert jobs.end(connection, id, JobState.SUCCEEDED)
        change = sa.update(database.jobs).where(database.jobs.c.id == id)
        connection.execute(change.values(finished=time.time() - ago))


def _state(engine: sa.Engine, id: str) -> JobState | None:
    with engine.begin() as connection:
        found = jobs.find(connection, id)
    return found.state if found else None


def _table(engine: sa.Engine) -> sa.TableClause:
    schema = None if engine.dialect.name == "sqlite" else "dbos"
    return sa.table("workflow_status", sa.column("workflow_uuid"), sa.column("status"), schema=schema)


def _workflows(engine: sa.Engine, id: str) -> set[str]:
    table = _table(engine)
    with engine.begin() as connection:
        query = sa.select(table.c.workflow_uuid).where(table.c.workflow_uuid.contains(id))
        return {name.partition("-")[0] for name in connection.execute(query).scalars()}


def test_a_job_goes_when_its_time_is_up(
    worker: Worker, engine: sa.Engine, storage: Storage, queue: Queue
) -> None:
    old, young, queued = (_job(engine, storage, queue) for _ in range(3))
    _end(engine, old, ago=HOUR + 1)
    _end(engine, young, ago=HOUR - 60)
    worker._clean()
    assert [_state(engine, id) for id in (old, young, queued)] == [None, JobState.SUCCEEDED, JobState.QUEUED]
    assert [storage.job(id).path.exists() for id in (old, young, queued)] == [False, True, True]
    assert [_workflows(engine, id) for id in (old, young, queued)] == [set(), {"job"}, {"job"}]
    assert not [*(storage.root / "trash").iterdir()]


def test_a_job_whose_workflow_broke_fails_and_tells(
    worker: Worker, engine: sa.Engine, storage: Storage, queue: Queue
) -> None:
    told, quiet, ended = (_job(engine, storage, queue, notify) for notify in (True, False, True))
    _end(engine, ended, ago=0)
    table = _table(engine)
    with engine.begin() as connection:
        connection.execute(sa.update(table).values(status="ERROR"))
    for _ in range(2):
        worker._clean()
    assert [_state(engine, id) for id in (told, quiet)] == [JobState.FAILED] * 2
    assert _state(engine, ended) is JobState.SUCCEEDED
    assert _workflows(engine, told) == {"job", "webhook"}
    assert _workflows(engine, quiet) == _workflows(engine, ended) == {"job"}


def test_folders_that_nothing_refers_to_go_when_they_are_old(
    worker: Worker, engine: sa.Engine, storage: Storage, queue: Queue
) -> None:
    known = storage.job(_job(engine, storage, queue)).path
    stray, arriving, given_up = (storage.incoming(new_id()).path for _ in range(3))
    stray = storage.admit(stray.name).path
    for path in (known, stray, given_up):
        os.utime(path, (time.time() - STRAY_AGE - 60,) * 2)
    worker._clean()
    assert [path.exists() for path in (known, arriving, stray, given_up)] == [True, True, False, False]
