"""The workflows: nothing without its transaction, nothing after it was forgotten, no step twice; and what of
DBOS we lean on."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dbos
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from service.files.storage import new_id
from service.records import database
from service.records import workflows as durable
from service.records.workflows import JOB, QUEUES, VERSION, WEBHOOK, JsonSerializer, Queue, Step, Workflows
from service.settings import Settings
from tests.support.postgres import PATIENCE, Server

# --------------------------------------------------------------------------- what is stored

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text().filter(lambda key: key != "error"), inner)
    ),
    max_leaves=6,
)


@given(VALUES)
def test_what_is_stored_comes_back_and_is_json(value: object) -> None:
    serializer = JsonSerializer()
    stored = serializer.serialize(value)
    assert json.loads(stored) == value
    assert serializer.deserialize(stored) == value


@given(st.text())
def test_an_error_is_stored_without_its_words(words: str) -> None:
    serializer = JsonSerializer()
    stored = serializer.serialize(ValueError(f"canary {words}"))
    assert stored == '{"error": "ValueError"}'
    error = serializer.deserialize(stored)
    assert isinstance(error, RuntimeError)
    assert str(error) == "ValueError"


def test_what_is_no_json_is_not_stored_otherwise() -> None:
    for value in (b"bytes", object(), {1, 2}):
        with pytest.raises(TypeError):
            JsonSerializer().serialize(value)
    assert (
        JsonSerializer().name() == "turnwise_json"
    )  # what is stored under another name cannot be read again


# --------------------------------------------------------------------------- the queue


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.acceptance)])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """With the tables of the workflows; one for all tests, since those take seconds to make."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("durable"))
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgres")
        settings = settings.model_copy(update={"database_url": server.create_database()})
    made = database.connect(settings)
    with database.one_at_a_time(made, settings):
        durable.prepare(made)
    yield made
    made.dispose()


@pytest.fixture
def queue(engine: sa.Engine) -> Iterator[Queue]:
    """Empty before and after."""
    made = Queue(engine)
    yield made
    for row in rows(engine)["workflow_status"]:
        made.forget(row["workflow_uuid"].split("-")[1])
    made.close()


def rows(engine: sa.Engine) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""
    found: dict[str, list[dict[str, Any]]] = {}
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        schemas = ["public", "dbos"] if engine.dialect.name == "postgresql" else [None]
        for schema in schemas:
            for name in inspector.get_table_names(schema):
                table = sa.Table(name, sa.MetaData(), schema=schema, autoload_with=connection)
                found[name] = [dict(row._mapping) for row in connection.execute(sa.select(table))]
    return found


def mentions(engine: sa.Engine, text: str) -> set[str]:
    """The tables with a row that holds it anywhere."""
    return {name for name, found in rows(engine).items() if any(text in repr(row) for row in found)}


def status(engine: sa.Engine, job: str) -> dict[str, str]:
    return {
        row["workflow_uuid"]: row["status"]
        for row in rows(engine)["workflow_status"]
        if job in row["workflow_uuid"]
    }


def test_what_is_rolled_back_was_never_there(engine: sa.Engine, queue: Queue) -> None:
    job = new_id()
    before = rows(engine)
    with engine.connect() as connection:
        queue.enqueue(connection, JOB, job)
        queue.enqueue(connection, WEBHOOK, job, 3, 10.0)
        connection.rollback()
    assert rows(engine) == before
    assert mentions(engine, job) == set()


def test_what_is_committed_waits_in_its_queue(engine: sa.Engine, queue: Queue) -> None:
    job = new_id()
    with engine.begin() as connection:
        queue.enqueue(connection, JOB, job)
        queue.enqueue(connection, WEBHOOK, job, 1)
        queue.enqueue(connection, WEBHOOK, job, 2, 60.0)
    waiting = {row["workflow_uuid"]: row for row in rows(engine)["workflow_status"]}
    assert len(waiting) == 3
    assert {id: row["queue_name"] for id, row in waiting.items()} == {
        f"job-{job}-0": QUEUES[JOB],
        f"webhook-{job}-1": QUEUES[WEBHOOK],
        f"webhook-{job}-2": QUEUES[WEBHOOK],
    }
    assert {row["application_version"] for row in waiting.values()} == {VERSION}
    assert list(status(engine, job).values()) == ["ENQUEUED", "ENQUEUED", "DELAYED"]


def test_cancelling_takes_a_job_out(engine: sa.Engine, queue: Queue) -> None:
    job, other = new_id(), new_id()
    with engine.begin() as connection:
        queue.enqueue(connection, JOB, job)
        queue.enqueue(connection, JOB, other)
    queue.cancel(job)
    queue.cancel(job)
    assert status(engine, job) == {f"job-{job}-0": "CANCELLED"}
    assert status(engine, other) == {f"job-{other}-0": "ENQUEUED"}


def test_forgetting_leaves_nothing(engine: sa.Engine, queue: Queue) -> None:
    job, other = new_id(), new_id()
    with engine.begin() as connection:
        for each in (job, other):
            queue.enqueue(connection, JOB, each)
            for number in range(8):
                queue.enqueue(connection, WEBHOOK, each, number, 3600.0)
    assert mentions(engine, job)
    queue.forget(job)
    assert mentions(engine, job) == set()
    assert len(status(engine, other)) == 9
    queue.forget(job)
    queue.forget(new_id())


def test_tries_beyond_the_present_number_are_forgotten_too(engine: sa.Engine, queue: Queue) -> None:
    """As after TURNWISE_WEBHOOK_ATTEMPTS was lowered."""
    job = new_id()
    with engine.begin() as connection:
        queue.enqueue(connection, WEBHOOK, job, 40, 3600.0)
    queue.forget(job)
    assert mentions(engine, job) == set()


def test_its_log_is_ours() -> None:
    logger = logging.getLogger("dbos")
    logger.addHandler(logging.NullHandler())
    durable._quiet()
    assert (logger.handlers, logger.level, logger.propagate) == ([], logging.WARNING, True)


# --------------------------------------------------------------------------- running


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def no_webhook(job: str, number: int) -> None:
    raise AssertionError("there is none")


def test_a_job_goes_on_where_a_dead_process_left_it(engine: sa.Engine, queue: Queue) -> None:
    """One executor hangs in the second step and is gone; another one takes over."""
    ran: Counter[str] = Counter()
    results: list[list[str]] = []
    hangs = threading.Event()
    job, bad = new_id(), new_id()

    async def work(name: str) -> str:
        ran[name] += 1
        if name == "second" and ran[name] == 1:
            hangs.set()
            await asyncio.Event().wait()
        return f"{name} {ran[name]}"

    async def body(id: str, number: int) -> None:
        if id == bad:
            raise ValueError("canary")
        steps = {name: Step(name) for name in ("first", "second", "beside")}

        async def step(name: str) -> str:
            return await steps[name].run(lambda: work(name))

        results.append([await step("first"), *await asyncio.gather(step("second"), step("beside"))])

    with engine.begin() as connection:
        queue.enqueue(connection, JOB, job)
    first = Workflows(engine, "first executor")
    first.start({JOB: body, WEBHOOK: no_webhook}, 2)
    assert hangs.wait(PATIENCE)
    wait_until(lambda: ran["beside"] == 1)
    assert first.pending() == {f"job-{job}-0": "first executor"}
    first.stop()
    second = Workflows(engine, "second executor")
    second.start({JOB: body, WEBHOOK: no_webhook}, 2)
    try:
        assert second.pending() == {f"job-{job}-0": "first executor"}
        second.give_back(f"job-{job}-0", "nobody")
        assert second.pending() == {f"job-{job}-0": "first executor"}
        second.give_back(f"job-{job}-0", "first executor")
        wait_until(lambda: bool(results))
        with engine.begin() as connection:
            queue.enqueue(connection, JOB, bad)
        wait_until(lambda: second.broken() == [bad])
        wait_until(lambda: not second.pending())
    finally:
        second.stop()
    assert results == [["first 1", "second 2", results[0][2]]]
    assert ran["first"] == 1
    assert mentions(engine, "canary") == set()
    for each in (job, bad):
        queue.forget(each)
        assert mentions(engine, each) == set()


# --------------------------------------------------------------------------- what we lean on


UNDERSCORED = {name for name in durable.PRIVATE if name.startswith("_")}
OWNERS: dict[str, Callable[[], Iterable[str]]] = {
    "_registry": lambda: dbos.DBOS.__init__.__code__.co_names,
    "_register_internal_queue": lambda: dir(import_module("dbos._dbos").DBOSRegistry),
    "internal_queue_map": lambda: vars(import_module("dbos._dbos").DBOSRegistry()),
    "_sys_db": lambda: dbos.DBOSClient.__init__.__code__.co_names,
    "reenqueue_for_recovery": lambda: dir(import_module("dbos._sys_db").SystemDatabase),
}
"""Where each private name is to be found."""


@pytest.mark.parametrize("name", durable.PRIVATE)
def test_every_private_name_is_still_there(name: str) -> None:
    said = f"DBOS {version('dbos')} has no {name} any more, which is needed for {durable.PRIVATE[name]}."
    assert name in OWNERS[name](), said


def test_what_of_dbos_is_not_promised_is_known() -> None:
    tree = ast.parse(Path(durable.__file__).read_text("utf-8"))
    names = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names |= {part for module in modules for part in module.split(".")}
    assert {name for name in names if name.startswith("_") and not name.startswith("__")} == UNDERSCORED


def test_what_of_dbos_is_not_promised_is_still_there() -> None:
    """An upgrade of DBOS that takes one of these away fails here, before it fails a job."""
    system = import_module("dbos._sys_db").SystemDatabase
    registry = import_module("dbos._dbos").DBOSRegistry
    inspect.signature(system.reenqueue_for_recovery).bind(None, "workflow", ["executor"], "queue")
    queue = inspect.signature(registry._register_internal_queue)
    queue.bind(None, "name", worker_concurrency=1, polling_interval_sec=0.5)
    assert isinstance(registry().internal_queue_map, dict)
    assert issubclass(durable.Cancelled, BaseException)
    assert inspect.signature(dbos.DBOS.reserve_step).parameters.keys() == set()
    assert inspect.iscoroutinefunction(import_module("dbos._dbos").StepReservation.run_async)
    client = inspect.signature(dbos.DBOSClient).parameters
    assert {"system_database_engine", "serializer", "lazy", "retry_connection_errors"} <= client.keys()
    inspect.signature(dbos.DBOSClient.enqueue_in_transaction).bind(None, None, {}, "job", 0)
    inspect.signature(dbos.DBOSClient.delete_workflows).bind(None, ["workflow"])
    assert {"name", "preemptible"} <= dbos.StepOptions.__annotations__.keys()
    assert {"workflow_name", "queue_name", "workflow_id", "app_version", "delay_seconds"} <= set(
        dbos.EnqueueOptions.__annotations__
    )
