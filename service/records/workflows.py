"""The durable workflows, on DBOS Transact, which only this file knows about.

A job is a workflow under the job's id, a webhook is another. A step that is done is never run again; a step
that was interrupted is. Only ids and codes go into the engine's tables, never anything that a user wrote.

Recovery is our own: every worker process has an id and a lock (service/work/liveness.py), and what a dead one
had begun goes back to its queue as the engine's own recovery puts it there: only if it is pending and still
belongs to the dead one.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions, Serializer, StepOptions, error

from service.records import jobs
from service.records.jobs import JobState

Result = TypeVar("Result")
Body = Callable[[str, int], Awaitable[None]]

APPLICATION = "turnwise"
VERSION = "pipeline-1"
"""Raised by hand when the steps of a workflow change; the engine's default, a hash of the code, would
strand the jobs in progress at every upgrade."""

JOB, WEBHOOK = "job", "webhook"
QUEUES = {JOB: "jobs", WEBHOOK: "webhooks"}
POLLING_INTERVAL = 0.25
WEBHOOKS_AT_ONCE = 10
MANY = 1_000_000
"""Recovery attempts allowed: crashes are counted by stage (records/jobs.py), and a takeover is not one."""

Cancelled = error.DBOSWorkflowCancelledError
Taken = error.DBOSWorkflowConflictIDError
"""Raised where another worker has the workflow by now, to end this execution without an outcome."""


class JsonSerializer(Serializer):
    """Stores the engine's values as JSON; its default is pickle."""

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
    """Makes or updates the engine's tables; the caller holds `database.one_at_a_time`."""
    _quiet()
    DBOS.migrate(engine.url.render_as_string(hide_password=False))


def _quiet() -> None:
    """Tames DBOS's log, which advertises a hosted console and has its own format."""
    logger = logging.getLogger("dbos")
    logger.setLevel(logging.WARNING)
    logger.handlers.clear()
    logger.propagate = True
    logger.filters[:] = [_Seldom()]


class _Seldom(logging.Filter):
    """Lets the first line of each kind of message through once per interval: without a database there are
    twenty messages a second, of up to a hundred lines."""

    INTERVAL = 30.0
    EXPECTED = (error.DBOSAwaitedWorkflowCancelledError, error.DBOSNonExistentWorkflowError)
    """What the engine reports as an error when a workflow is cancelled, or deleted, while it runs."""
    PARKED = (
        "was cancelled during execution",
        "Asyncio task cancelled for workflow or step",
        "is no longer owned by this execution",  # the worker itself logs what was taken over
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
    """Puts workflows into their queues and takes them out, for the API."""

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
        """Adds a workflow in the caller's transaction: either both take effect, or neither.

        `number` distinguishes a job's workflows of one kind; `delay` is in seconds; the lowest `turn` starts
        first, and among equal ones the oldest.
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

    def end(
        self, connection: sa.Connection, job: str, state: JobState, failed_stage: str = "", failure: str = ""
    ) -> bool:
        """Ends a job and adds its webhook, if it has one; False where it had ended already, or is gone."""
        ended = jobs.end(connection, job, state, failed_stage, failure)
        if ended and (found := jobs.find(connection, job)) and found.notify:
            self.enqueue(connection, WEBHOOK, job)
        return ended

    def cancel(self, job: str) -> None:
        """Starts nothing more of a job; its worker stops what is running within seconds."""
        self._client.cancel_workflow(_workflow(JOB, job))

    def forget(self, job: str, *workflows: str) -> None:
        """Leaves nothing of a job in the engine's tables, however often its webhook was tried, nor of these
        workflows: steps that were recorded after an earlier `forget` belong to no workflow that is listed."""
        prefixes = [f"{kind}-{job}-" for kind in QUEUES]
        found = self._client.list_workflows(workflow_id_prefix=prefixes, load_input=False, load_output=False)
        self._client.delete_workflows([*workflows, *(status.workflow_id for status in found)])

    def close(self) -> None:
        self._client.destroy()


def _client(engine: sa.Engine) -> DBOSClient:
    """A client of the engine's tables that raises where they are out of reach, instead of retrying after a
    minute's sleep."""
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
    """Runs workflows in this process, on the engine's own event loop, for workers. One per process."""

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
        """Starts taking workflows from the queues; `bodies` has the function that runs each kind."""
        _bodies.update(bodies)
        engine = DBOS(config=self._config)
        _quiet()
        registry = engine._registry
        for kind, limit in ((JOB, concurrency), (WEBHOOK, WEBHOOKS_AT_ONCE)):
            registry.internal_queue_map.pop(QUEUES[kind], None)
            registry._register_internal_queue(
                QUEUES[kind], worker_concurrency=limit, polling_interval_sec=POLLING_INTERVAL
            )
        DBOS.launch()

    def stop(self) -> None:
        """Starts nothing more; what is running is left for another worker to take over."""
        DBOS.destroy()
        self._client.destroy()

    def pending(self) -> dict[str, str]:
        """Every workflow that has begun and not ended, by id, with its executor."""
        begun = self._client.list_workflows(
            status="PENDING", app_version=VERSION, load_input=False, load_output=False
        )
        return {status.workflow_id: status.executor_id or "" for status in begun}

    def taken(self, ids: set[str]) -> set[str]:
        """Those that were given back, or that belong to another worker by now."""
        found = self._client.list_workflows(
            workflow_ids=list(ids), status=["PENDING", "ENQUEUED"], load_input=False, load_output=False
        )
        ours = ("PENDING", self._executor)
        return {status.workflow_id for status in found if (status.status, status.executor_id) != ours}

    def broken(self) -> list[str]:
        """Jobs whose workflow ended with an error that its body should have caught."""
        ended = self._client.list_workflows(
            status=["ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"], name=JOB, load_input=False, load_output=False
        )
        return [status.workflow_id.split("-")[1] for status in ended]

    @property
    def current(self) -> str:
        """Id of the workflow that the caller is part of."""
        return DBOS.workflow_id or ""

    def give_back(self, workflow: str, executor: str = "") -> None:
        """Puts a workflow that the executor (by default this one) has begun and will not end back in its
        queue, unless another one has it by now. Where it is still being run, that ends at its next step."""
        queue = QUEUES[workflow.partition("-")[0]]
        self._client._sys_db.reenqueue_for_recovery(workflow, [executor or self._executor], queue)


PRIVATE = {
    "_registry": "a queue whose limit is this worker's own",
    "_register_internal_queue": "a queue whose limit is this worker's own",
    "internal_queue_map": "another limit when a worker starts again in this process",
    "_sys_db": "giving back what a dead worker had begun",
    "reenqueue_for_recovery": "giving back only what is pending and still the dead worker's",
}
"""Private names, which any release may remove, and what each is needed for. Public are DBOS.register_queue,
whose queues have one limit for all workers, that of the last to start, and DBOSClient.resume_workflow, which
has no condition and revives what was cancelled."""


class Step:
    """A place in a workflow, reserved in the order of the code and run at any later time, even in parallel
    with others."""

    def __init__(self, name: str) -> None:
        self._options: StepOptions = {"name": name, "preemptible": True}
        self._reserved = DBOS.reserve_step()

    async def run(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Returns what `work` returns, or returned in an earlier run. Cancelled with its workflow."""

        async def run() -> Result:  # the engine checks that it is asynchronous
            return await work()

        return await self._reserved.run_async(self._options, run)


def _workflow(kind: str, job: str, number: int = 0) -> str:
    return f"{kind}-{job}-{number}"
