"""A worker process: runs jobs and webhooks from the queues, and recovers those of dead workers.

Twice a second it renews its own lock, requeues the jobs of dead workers and its own lost workflows (a full
disk can lose them), and ends workflows that others took over while it was cut off. At intervals it deletes
expired files.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from math import inf
from random import Random
from secrets import token_hex
from typing import Any

import sqlalchemy as sa
import structlog

from service.files.objects import AwayError
from service.observability import health
from service.parts import Parts
from service.records import jobs
from service.records.jobs import JobState
from service.records.workflows import JOB, WEBHOOK, Step, Taken, Workflows
from service.work import webhooks
from service.work.answering import INTERNAL
from service.work.deletion import delete
from service.work.liveness import FileLiveness, Liveness, PostgresLiveness
from service.work.runner import Runner
from service.work.webhooks import Verdict

log = structlog.get_logger("turnwise.worker")

SWEEP_INTERVAL = 0.5
CLEAN_INTERVAL = 30.0
LOST_SWEEPS = 20
"""Sweeps after which our own workflow counts as lost if it is pending but not running."""
STRAY_AGE = 3600.0
"""Seconds after which a folder that no job refers to is not an active upload any more."""


@dataclass(eq=False)
class Execution:
    """A workflow that runs in this process."""

    task: asyncio.Task[Any]
    taken: bool = False

    def end(self) -> None:
        """Ends it without an outcome, since another execution continues the workflow; from any thread."""
        if not self.taken:  # only once: its process may take a while to end
            self.taken = True
            self.task.get_loop().call_soon_threadsafe(self.task.cancel)


class Worker:
    """One worker; `start` returns at once, `stop` within seconds."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._settings = parts.settings
        self._storage = parts.storage
        self._queue = parts.queue
        self._executor = token_hex(8)
        self._liveness: Liveness = (
            FileLiveness(self._executor, parts.storage.executors)
            if parts.engine.dialect.name == "sqlite"
            else PostgresLiveness(self._executor, parts.engine.url)
        )
        self._workflows = Workflows(parts.engine, self._executor)
        self.runner = Runner(parts)
        self._persistence = self.runner.persistence
        self._newest: dict[str, Execution] = {}  # by workflow; one that was given back may run twice here
        self._unseen: Counter[str] = Counter()
        self._stopped = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep_until_stopped, name="sweeper", daemon=True)
        self._cleaner = threading.Thread()
        self._cleaned = self._searched = -inf

    def start(self) -> None:
        self._liveness.hold()
        self._take_over(self._workflows.pending())  # before younger jobs take their places
        self._workflows.start({JOB: self._job, WEBHOOK: self._webhook}, self._settings.concurrency)
        self._sweeper.start()
        log.info("worker started", executor=self._executor, concurrency=self._settings.concurrency)

    def stop(self) -> None:
        """Ends running workflows without an outcome: another worker, or the next start, continues them."""
        self._stopped.set()
        self.runner.stop()
        self._sweeper.join(timeout=2)
        if self._cleaner.is_alive():
            self._cleaner.join(timeout=1)
        self._workflows.stop()
        self.runner.release()
        self._liveness.release()
        health.forget_worker(self._storage.executors, self._executor)
        log.info("worker stopped", executor=self._executor)

    async def _job(self, job: str, number: int) -> None:
        async with self._seen(job):
            await self.runner.run(job)

    async def _webhook(self, job: str, number: int) -> None:
        """Makes one attempt; a retry is a later workflow of its own."""
        async with self._seen(job):
            wait = await Step("deliver").run(lambda: self._deliver(job, number))
            if wait >= 0:
                await self._persistence.transact(self._call_again, job, number + 1, wait)

    def _call_again(self, connection: sa.Connection, job: str, number: int, wait: float) -> None:
        """Queues a retry, unless the job is deleted: a deletion forgets only retries that exist."""
        if jobs.hold(connection, job):
            self._queue.enqueue(connection, WEBHOOK, job, number, wait)

    async def _deliver(self, job: str, number: int) -> float:
        """Returns the seconds until the next attempt, negative for none."""
        found = await self._persistence.transact(jobs.find, job)
        if found is None or found.finished is None:
            return -1.0
        try:
            request = await self._persistence.on_disk(self._storage.request, job)
        except FileNotFoundError:  # deleted a moment ago
            return -1.0
        body = webhooks.payload(job, found.state, found.finished, request.metadata)
        outcome = await webhooks.deliver(request.webhook, f"msg_{job}", time.time(), body, self._settings)
        log.info("webhook", job=job, attempt=number, outcome=outcome.verdict.value, reason=outcome.reason)
        again = outcome.verdict is Verdict.RETRY and number + 1 < self._settings.webhook_attempts
        delivered = outcome.verdict is Verdict.DELIVERED
        counted = "delivered" if delivered else "retried" if again else "failed"
        self._parts.metrics.webhooks.labels(counted).inc()
        if not again:
            return -1.0
        return max(outcome.retry_after, webhooks.wait(number, Random()))

    @asynccontextmanager
    async def _seen(self, job: str) -> AsyncIterator[None]:
        workflow = self._workflows.current
        async with self._alone(workflow):
            try:
                yield
            except sa.exc.DBAPIError as error:  # from the workflow engine: our own transactions are repeated
                reason = type(error).__name__
                log.warning("step was not recorded, it goes on from there", workflow=workflow, reason=reason)
                await self._persistence.persist(self._workflows.give_back, workflow)
            except Exception:  # the engine records that it failed, but not why
                log.exception("workflow broke", workflow=workflow)
                raise
            finally:  # a step may have been recorded after the deletion of its job
                if not self._stopped.is_set() and not await self._persistence.transact(jobs.find, job):
                    await self._persistence.persist(self._queue.forget, job, workflow)

    @asynccontextmanager
    async def _alone(self, workflow: str) -> AsyncIterator[None]:
        """Runs until another execution of the workflow begins, here or in another worker."""
        task = asyncio.current_task()
        assert task is not None
        execution = Execution(task)
        if older := self._newest.get(workflow):
            older.end()
        self._newest[workflow] = execution
        try:
            yield
        except asyncio.CancelledError:
            if not execution.taken:
                raise
            log.warning("workflow was taken over, it ends here", workflow=workflow)
            raise Taken(workflow) from None
        finally:
            if self._newest.get(workflow) is execution:
                del self._newest[workflow]

    def _sweep_until_stopped(self) -> None:
        while not self._stopped.wait(SWEEP_INTERVAL):
            with suppress(OSError):
                health.note_worker(self._storage.executors, self._executor)
            self._safely(self.sweep)

    def _safely(self, work: Callable[[], None]) -> None:
        """Logs errors: the next sweep repeats the work."""
        try:
            work()
        except (sa.exc.SQLAlchemyError, OSError, AwayError) as error:
            log.warning("sweep failed", reason=type(error).__name__)
        except Exception:
            log.exception("sweep failed")

    def sweep(self) -> None:
        """Makes one sweep."""
        self._liveness.hold()
        here = dict(self._newest)
        pending = self._workflows.pending()
        doubtful = {id: execution for id, execution in here.items() if pending.get(id) != self._executor}
        for workflow in self._workflows.taken(set(doubtful)) if doubtful else ():
            doubtful[workflow].end()  # another worker took it over while we were cut off
        self._take_over(pending)
        self._find_lost({workflow for workflow, executor in pending.items() if executor == self._executor})
        if time.monotonic() - self._cleaned > CLEAN_INTERVAL and not self._cleaner.is_alive():
            self._cleaned = time.monotonic()
            self._cleaner = threading.Thread(target=self._safely, args=(self._clean,), daemon=True)
            self._cleaner.start()  # apart: it may take long, and dead workers must be noticed meanwhile

    def _take_over(self, pending: dict[str, str]) -> None:
        """Requeues the workflows of dead workers."""
        others = set(pending.values()) - {self._executor, ""}
        dead = {executor for executor in others if self._liveness.is_dead(executor)}
        for executor in dead:
            log.warning("worker is dead, its jobs go on", executor=executor)
        for workflow, executor in pending.items():
            if executor in dead:
                self._workflows.give_back(workflow, executor)

    def _find_lost(self, ours: set[str]) -> None:
        lost = ours - self._newest.keys()
        self._unseen = Counter({workflow: self._unseen[workflow] + 1 for workflow in lost})
        for workflow, sweeps in self._unseen.items():
            if sweeps >= LOST_SWEEPS and not self._stopped.is_set():
                log.warning("workflow was lost, it goes on", workflow=workflow)
                self._workflows.give_back(workflow)

    def _clean(self) -> None:
        """Fails broken jobs, and deletes expired ones and stray files."""
        for job in self._workflows.broken():
            if self._parts.apply(self._queue.end, job, JobState.FAILED, failure=INTERNAL):
                log.error("workflow broke", job=job)
        if self._settings.retention_hours:
            before = time.time() - self._settings.retention_hours * 3600
            for job in self._parts.apply(jobs.expired, before):
                if not self._stopped.is_set():
                    delete(job, self._parts)
        health.forget_gone(self._storage.executors)
        self._storage.empty_trash()
        if time.monotonic() - self._searched > self._storage.search_seconds:
            self._searched = time.monotonic()
            self._parts.uploads.clean(self._settings.upload_hours)
            self._drop_strays()

    def _drop_strays(self) -> None:
        """Deletes files that belong neither to a job nor to an active upload."""
        ids = self._storage.ids()
        ids -= self._parts.apply(jobs.revisions, ids).keys()
        before = time.time() - STRAY_AGE
        for id in ids:
            if not self._stopped.is_set() and self._storage.changed(id) < before:
                self._storage.discard(id)
