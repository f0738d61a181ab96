"""The durable workflows, on DBOS Transact: what knows of it is in this file, and leaving it costs this file.

A job is a workflow under the job's id, a webhook another one. A step that is done is never run again; a
step that was interrupted is. What goes into the engine's tables is ids and hashes, never anything that a
user wrote.

Recovery is ours: every worker process has an id of its own and a lock (service/work/liveness.py), and what a
dead one had begun goes back to its queue, as the engine's own recovery puts it there: on the condition that
it is pending and still the dead one's. The public `resume_workflow` has no condition, and revives what was
cancelled.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions, Serializer, StepOptions, error

Result = TypeVar("Result")
Body = Callable[[str, int], Awaitable[None]]

APPLICATION = "turnwise"
VERSION = "pipeline-1"
"""Raised by hand when the steps of a workflow change; the engine's default, a hash of the code, would
strand the jobs that are under way at every upgrade."""

JOB, WEBHOOK = "job", "webhook"
QUEUES = {JOB: "jobs", WEBHOOK: "webhooks"}
POLLING_INTERVAL = 0.25
WEBHOOKS_AT_ONCE = 10
MANY = 1_000_000
"""Recovery attempts: deaths are counted by stage (records/jobs.py), and a takeover is nobody's fault."""

Cancelled = error.DBOSWorkflowCancelledError
Taken = error.DBOSWorkflowConflictIDError
"""Raised where somebody else has the workflow by now, to end this execution of it without an outcome."""


class JsonSerializer(Serializer):
    """What the engine stores, as JSON; its default is pickle."""

    def serialize(self, data: Any) -> str:
        if isinstance(data, BaseException):  # never with its message, which may quote a user's text
            return json.dumps({"error": type(data).__name__})
        return json.dumps(data)

    def deserialize(self, serialized_data: str) -> Any:
        data = json.loads(serialized_data)
        if isinstance(data, dict) and data.keys() == {"error"}:
            return RuntimeError(data["error"])
        return data

    def name(self) -> str:
        return "turnwise_json"


def prepare(engine: sa.Engine) -> None:
    """Makes or updates the engine's tables; a caller holds `database.one_at_a_time`."""
    _quiet()
    DBOS.migrate(engine.url.render_as_string(hide_password=False))


def _quiet() -> None:
    """Its log advertises a hosted console, and has a form of its own."""
    logger = logging.getLogger("dbos")
    logger.setLevel(logging.WARNING)
    logger.handlers.clear()
    logger.propagate = True
    logger.filters[:] = [_Seldom()]


class _Seldom(logging.Filter):
    """Lets the first line of every kind of message through once in a while: without a database there are
    twenty a second, of up to a hundred lines."""

    INTERVAL = 30.0
    EXPECTED = (error.DBOSAwaitedWorkflowCancelledError, error.DBOSNonExistentWorkflowError)
    """What the engine reports as a fault of a workflow that was cancelled, or deleted, while it ran."""
    PARKED = (
        "was cancelled during execution",
        "Asyncio task cancelled for workflow or step",
        "is no longer owned by this execution",  # the worker says itself what was taken over
    )

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        line = record.getMessage().partition("\n")[0]
        if record.exc_info and isinstance(record.exc_info[1], self.EXPECTED):
            return False
        if any(words in line for words in self.PARKED):
            return False
        kind, now = line.partition(":")[0][:60], time.monotonic()
        if now - self._said.get(kind, -self.INTERVAL) < self.INTERVAL:
            return False
        self._said[kind] = now
        record.msg, record.args = line, ()
        return True


class Queue:
    """Puts workflows into their queues, and takes them out: for the API."""

    def __init__(self, engine: sa.Engine) -> None:
        _quiet()
        self._client = _client(engine)

    def enqueue(
        self,
        connection: sa.Connection,
        kind: str,
        job: str,
        number: int = 0,
        delay: float = 0.0,
        turn: int = 1,
    ) -> None:
        """In the caller's transaction: what it writes is there and this will run, or neither.

        `number` tells workflows of one kind apart; `delay` is in seconds; the lowest `turn` begins first, of
        equal ones the oldest.
        """
        options: EnqueueOptions = {
            "workflow_name": kind,
            "queue_name": QUEUES[kind],
            "workflow_id": _workflow(kind, job, number),
            "app_version": VERSION,
            "priority": turn,
        }
        if delay:
            options["delay_seconds"] = delay
        self._client.enqueue_in_transaction(connection, options, job, number)

    def cancel(self, job: str) -> None:
        """Nothing of it begins any more; what runs is stopped within seconds by its worker."""
        self._client.cancel_workflow(_workflow(JOB, job))

    def forget(self, job: str) -> None:
        """Leaves nothing of it in the engine's tables, whatever the number of tries of its webhook."""
        prefixes = [f"{kind}-{job}-" for kind in QUEUES]
        found = self._client.list_workflows(workflow_id_prefix=prefixes, load_input=False, load_output=False)
        self._client.delete_workflows([status.workflow_id for status in found])

    def close(self) -> None:
        self._client.destroy()


def _client(engine: sa.Engine) -> DBOSClient:
    """A way to the engine's tables that raises where they are out of reach, and does not sleep for a minute
    until it tries again."""
    return DBOSClient(
        system_database_engine=engine,
        serializer=JsonSerializer(),
        application_name=APPLICATION,
        lazy=True,
        retry_connection_errors=False,
    )


_bodies: dict[str, Body] = {}


@DBOS.workflow(name=JOB, max_recovery_attempts=MANY)
async def _job(job: str, number: int) -> None:
    await _bodies[JOB](job, number)


@DBOS.workflow(name=WEBHOOK, max_recovery_attempts=MANY)
async def _webhook(job: str, number: int) -> None:
    await _bodies[WEBHOOK](job, number)


class Workflows:
    """Runs workflows in this process, on an event loop of the engine's: for workers. One at a time in a
    process."""

    def __init__(self, engine: sa.Engine, executor: str) -> None:
        self._executor = executor
        self._client = _client(engine)
        self._config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_engine": engine,
            "application_version": VERSION,
            "executor_id": executor,
            "serializer": JsonSerializer(),
            "log_level": "WARNING",
            "run_migrations": False,
        }

    def start(self, bodies: dict[str, Body], concurrency: int) -> None:
        """Begins to take workflows from the queues. `bodies` runs each kind, given the job's id."""
        _bodies.update(bodies)
        engine = DBOS(config=self._config)
        _quiet()
        limits = {JOB: concurrency, WEBHOOK: WEBHOOKS_AT_ONCE}
        for kind, name in QUEUES.items():
            _listen(engine, name, limits[kind])
        DBOS.launch()

    def stop(self) -> None:
        """Begins nothing more; what runs is left as it is, for whoever takes it over."""
        DBOS.destroy()
        self._client.destroy()

    def pending(self) -> dict[str, str]:
        """Of every workflow that has begun and not ended: its id → its executor."""
        begun = self._client.list_workflows(
            status="PENDING", app_version=VERSION, load_input=False, load_output=False
        )
        return {status.workflow_id: status.executor_id or "" for status in begun}

    def taken(self, ids: set[str]) -> set[str]:
        """Those that are given back, or somebody else's by now."""
        found = self._client.list_workflows(
            workflow_ids=list(ids), status=["PENDING", "ENQUEUED"], load_input=False, load_output=False
        )
        ours = ("PENDING", self._executor)
        return {status.workflow_id for status in found if (status.status, status.executor_id) != ours}

    def broken(self) -> list[str]:
        """Jobs whose workflow ended by an error that its body should have caught."""
        ended = self._client.list_workflows(
            status=["ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"], name=JOB, load_input=False, load_output=False
        )
        return [_job_of(status.workflow_id) for status in ended]

    @property
    def current(self) -> str:
        """Id of the workflow that the caller is the body of."""
        return DBOS.workflow_id or ""

    def give_back(self, workflow: str, executor: str = "") -> None:
        """Into its queue with what that process, or this one, has begun and will not end; nothing if somebody
        else has it by now. An execution of it that is under way all the same ends at its next step."""
        _reenqueue(self._client, workflow, executor or self._executor)


PRIVATE = {
    "_registry": "a queue whose limit is this worker's own",
    "_register_internal_queue": "a queue whose limit is this worker's own",
    "internal_queue_map": "another limit when a worker starts again in this process",
    "_sys_db": "giving back what a dead worker had begun",
    "reenqueue_for_recovery": "giving back only what is pending and still the dead worker's",
}
"""Names that a release may take away, used below and nowhere else, and what each is needed for."""


def _listen(engine: DBOS, name: str, limit: int) -> None:
    """Not DBOS.register_queue: its queues have one limit for all workers, that of the last to start."""
    engine._registry.internal_queue_map.pop(name, None)
    engine._registry._register_internal_queue(
        name, worker_concurrency=limit, polling_interval_sec=POLLING_INTERVAL
    )


def _reenqueue(client: DBOSClient, workflow: str, holder: str) -> None:
    """Not DBOSClient.resume_workflow, which has no condition and revives what was cancelled."""
    client._sys_db.reenqueue_for_recovery(workflow, [holder], QUEUES[_kind_of(workflow)])


class Step:
    """A place in a workflow, taken in the order of the code, to be run at any later time, beside others
    too."""

    def __init__(self, name: str) -> None:
        self._options: StepOptions = {"name": name, "preemptible": True}
        self._reserved = DBOS.reserve_step()

    async def run(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """What `work` returns, or returned when it was run before. Cancelled with its workflow."""

        async def run() -> Result:  # the engine wants to see that it is asynchronous
            return await work()

        return await self._reserved.run_async(self._options, run)


def _workflow(kind: str, job: str, number: int = 0) -> str:
    return f"{kind}-{job}-{number}"


def _kind_of(workflow: str) -> str:
    return workflow.partition("-")[0]


def _job_of(workflow: str) -> str:
    return workflow.split("-")[1]
