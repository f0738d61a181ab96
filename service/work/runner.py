"""Leads a job through its stages, each in a process of its own.

    decode ─► detect ─┬─► transcribe ─┬─► align ─► attribute ─► roles ─► reconcile ─► store
                      └─► diarize ────┘

A stage writes into a folder of the attempt's own, which becomes the stage's when it is complete on the
disk; so what is done stays done, whatever is killed in between. What a stage says about itself is never
raised: the engine would store it, with the words of a user in it.
"""

from __future__ import annotations

import asyncio
import errno
import json
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import asdict
from hashlib import file_digest
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
import structlog

from pipelines.pipeline import PLAN, Detected, Stage
from service.files import artifacts
from service.files.objects import AwayError
from service.files.storage import FAILURE, Failure, JobFolder
from service.observability.telemetry import tracer
from service.parts import Parts
from service.problems import snake
from service.records import jobs
from service.records.jobs import JobState, StageState
from service.records.workflows import WEBHOOK, Cancelled, Step, Taken
from service.settings import MEBIBYTE
from service.work import stage_process
from service.work.children import (
    INTERNAL,
    Died,
    Done,
    Failed,
    Outcome,
    Processes,
    Program,
    TimedOut,
    arguments,
    program,
)

log = structlog.get_logger("turnwise.runner")

P = ParamSpec("P")
Result = TypeVar("Result")

PROGRESS_INTERVAL = 1.0
"""Seconds between two writes of a stage's progress."""
RETRY_INTERVAL = 1.0
"""Seconds between two tries to reach a database that is away, or a disk that is full."""

CLOSING_SECONDS = 2.0
"""How long the end waits for the processes to be gone."""

KINDS = {Stage.TRANSCRIBE: "hear", Stage.DIARIZE: "tell apart"}
"""Stages with processes of their own, since they load models of their own; the others share one kind."""

FAILURES = {
    "process_died": "The stage {stage} took its process down {count} times: the recording, or the engine, is"
    " at fault; try another engine.",
    "stage_timeout": "The stage {stage} took longer than {seconds:.0f} s: cut the recording into parts.",
    "internal": "A fault of ours in the stage {stage}: please report it with the id of this job.",
}


OVER = "over"
"""Code of a stage that was not done because its job was cancelled or deleted meanwhile."""


class Runner:
    """Runs the stages of jobs. Its coroutines run on the event loop of the workflows."""

    def __init__(self, parts: Parts) -> None:
        self._settings = parts.settings
        self._engine = parts.engine
        self._storage = parts.storage
        self._queue = parts.queue
        self._metrics = parts.metrics
        self._here: Counter[str] = Counter()  # one that was given back may be here twice for a moment
        self._at_work: set[tuple[str, str]] = set()
        self._last_tries = asyncio.Lock()
        self._stopping = False
        self.processes = Processes(self._settings.engine_idle_minutes * 60)

    # ------------------------------------------------------------------ one job

    async def run(self, job: str) -> None:
        """All stages of a job, then its end; nothing where it has ended already."""
        if not await self.transact(jobs.begin, job):
            return
        log.info("job begins", job=job)
        self._here[job] += 1
        try:
            await self._run(job)
        finally:
            self._here -= Counter([job])
            if not self._here[job]:
                await asyncio.to_thread(self._storage.leave, job)

    async def _run(self, job: str) -> None:
        try:
            failure = await self._stages(job)
        except (Cancelled, Taken):  # taken also where it was cancelled just before a step was recorded
            if await self.transact(jobs.has_ended, job):
                await self._finish(job)
            raise
        if failure is not None and failure.code == OVER:  # if it is not, its files were lost
            failure = Failure(failure.stage, "internal", "")
        elif failure is not None:
            await self._note(job, FAILURE, json.dumps(asdict(failure)))
        ended = await self.transact(self._end, job, failure)
        await self._finish(job)
        if ended:
            log.info("job ends", job=job, failure=failure.code if failure else "")

    async def _finish(self, job: str) -> None:
        """Drops what nobody asks for any more: of a job that was deleted, what came after that. Where the
        store is away, that waits for the job's deletion, or the search for strays."""
        accepted = await self.transact(jobs.accepted, job)
        with suppress(AwayError, FileNotFoundError):
            if accepted:
                await asyncio.to_thread(self._storage.finish, job, accepted)
                size_bytes = await asyncio.to_thread(self._storage.size_bytes, job)
                await self.transact(jobs.resize, job, size_bytes)
            else:
                await asyncio.to_thread(self._storage.discard, job)

    def _end(self, connection: sa.Connection, job: str, failure: Failure | None) -> bool:
        """The last change of a job, and the call of its webhook: both or neither."""
        if failure is None:
            ended = jobs.end(connection, job, JobState.SUCCEEDED)
        else:
            ended = jobs.end(connection, job, JobState.FAILED, failure.stage, failure.code)
        found = jobs.find(connection, job)
        if ended and found is not None and found.notify:
            self._queue.enqueue(connection, WEBHOOK, job)
        return ended

    async def _stages(self, job: str) -> Failure | None:
        """What ended the job early, or None. Steps are taken in one order whatever happens."""
        steps = {stage: Step(stage) for stage in Stage}

        async def step(stage: Stage) -> Failure | None:
            outcome = await steps[stage].run(lambda: self._measured(job, stage))
            return await self._failure(job, stage, outcome)

        for row in PLAN:
            failures = await self._row(job, row, step)
            if any(failures):
                return next(filter(None, failures))
        return None

    async def _row(
        self, job: str, row: Sequence[Stage], step: Callable[[Stage], Coroutine[Any, Any, Failure | None]]
    ) -> list[Failure | None]:
        """Stages of one row of the plan, up to the first failure: at the same time where there is memory."""
        if len(row) == 1 or not await self._together(job):
            failures: list[Failure | None] = []
            for stage in row:
                failures.append(await step(stage))
                if failures[-1]:
                    break
            return failures
        tasks = [asyncio.create_task(step(stage)) for stage in row]
        try:
            return await asyncio.gather(*tasks)
        finally:  # where one breaks off, as when the job is not ours any more, so does the other
            for task in tasks:
                task.cancel()

    async def _together(self, job: str) -> bool:
        if not await self._is_done(job, Stage.DETECT):  # deleted: nothing will be computed
            return True
        place = self._storage.job(job).stage(Stage.DETECT) / artifacts.LEFT
        try:
            return artifacts.load(place, Detected).together
        except OSError:  # tidied up after the end
            return True

    async def _failure(self, job: str, stage: str, outcome: dict[str, str]) -> Failure | None:
        """Read from what was noted beside the files, since a step's result holds no words."""
        code = outcome.get("failed")
        if code is None:
            return None
        if code == OVER:
            return Failure(stage, code, "")
        try:
            message = await self.on_disk(self._storage.note, job, f"{stage}.message")
        except FileNotFoundError:
            message = FAILURES["internal"].format(stage=stage)
        return Failure(stage, code, message)

    # ------------------------------------------------------------------ one stage

    async def _measured(self, job: str, stage: str) -> dict[str, str]:
        begin = time.monotonic()
        with tracer.start_as_current_span(f"stage {stage}", attributes={"turnwise.job": job}):
            outcome = await self.perform(job, stage)
        seconds = self._metrics.stage_seconds.labels(stage, outcome.get("failed", "succeeded"))
        seconds.observe(time.monotonic() - begin)
        return outcome

    async def perform(self, job: str, stage: str) -> dict[str, str]:
        """Runs a stage until it is done or has failed: {"sha256": …} of what it left, or {"failed": code}."""
        self._at_work.add((job, stage))
        try:
            return await self._try(job, stage)
        finally:
            if not self._stopping:
                self._at_work.discard((job, stage))

    async def _try(self, job: str, stage: str) -> dict[str, str]:
        """As often as it takes its process down, and no setting forbids."""
        folder = self._storage.job(job)
        while not await self._is_done(job, stage):
            await self._go_on()
            async with await self._room(job, stage):
                attempts = await self.transact(jobs.begin_stage, job, stage)
                if not attempts:
                    return {"failed": OVER}
                if attempts > self._settings.stage_attempts:
                    count = self._settings.stage_attempts
                    return await self._fail(job, stage, "process_died", count=count)
                log.info("stage begins", job=job, stage=stage, attempt=attempts)
                outcome = await self._counted(job, stage, folder)
                if not self._stopping and (failed := await self._settle(job, stage, outcome)):
                    return failed
        log.info("stage ends", job=job, stage=stage)
        await self.transact(jobs.end_stage, job, stage, StageState.SUCCEEDED)
        try:
            return {"sha256": await asyncio.to_thread(_hash, folder.stage(stage))}
        except FileNotFoundError:
            return {"failed": OVER}

    async def _is_done(self, job: str, stage: str) -> bool:
        """Whether a stage is; what of the job is not in its folder yet is brought there first."""
        place = self._storage.job(job).stage(stage)
        if not place.is_dir():
            accepted = await self.transact(jobs.accepted, job)
            with suppress(FileNotFoundError):  # deleted
                await self.on_disk(self._storage.gather, job, accepted)
        return place.is_dir()

    async def _go_on(self) -> None:
        """Not once this worker is to stop: whoever takes over does."""
        if self._stopping:
            await asyncio.Event().wait()  # until this process ends

    async def _room(self, job: str, stage: str) -> AbstractAsyncContextManager[None]:
        """What a try needs to begin: nothing, or for the last one that nobody else's last one runs beside it.

        What takes its whole worker down does so to everything in it, each time with an attempt of its own.
        """
        tried = await self.transact(jobs.count_attempts, job, stage)
        last = tried == self._settings.stage_attempts - 1 > 0
        return self._last_tries if last else nullcontext()

    async def _settle(self, job: str, stage: str, outcome: Outcome | None) -> dict[str, str] | None:
        """What a try means: that the stage has failed, or None where it is done or to be tried again."""
        match outcome:
            case None:
                return {"failed": OVER}
            case Failed(code=stage_process.DISK_FULL):
                await self.transact(jobs.release_stage, job, stage)
                await self._wait_for_space()
            case Failed(code=code, message=message):
                return await self._fail(job, stage, code, message)
            case TimedOut():
                return await self._fail(job, stage, "stage_timeout", seconds=self._settings.stage_timeout)
            case Died(status=status) if status == -signal.SIGXCPU:  # its limit, which it would reach again
                return await self._fail(job, stage, "stage_timeout", seconds=self._settings.decode_timeout)
            case Done() | Died():
                pass
        return None

    async def _counted(self, job: str, stage: str, folder: JobFolder) -> Outcome | None:
        """An attempt, which is given back where it is broken off: as `release` does when this worker ends."""
        try:
            return await self._attempt(job, stage, folder)
        except asyncio.CancelledError:
            if not self._stopping:
                await self.transact(jobs.release_stage, job, stage)
            raise

    async def _attempt(self, job: str, stage: str, folder: JobFolder) -> Outcome | None:
        """One process's try; what it leaves is accepted if it is done. None where the job is over."""
        try:
            attempt = await asyncio.to_thread(folder.new_attempt)
        except FileNotFoundError:
            return None
        except OSError as error:
            return _disk(error)
        try:
            outcome = await self._watched(job, stage, attempt, folder)
            if isinstance(outcome, Done) and await self._counts(job, stage, attempt):
                await asyncio.to_thread(folder.accept, attempt, folder.stage(stage))
        except OSError as error:
            outcome = _disk(error) if folder.path.is_dir() else None
        finally:
            shutil.rmtree(attempt, ignore_errors=True)
        return outcome

    async def _counts(self, job: str, stage: str, attempt: Path) -> bool:
        """Whether what an attempt has left is what counts. Begun, that is found out even where the step is
        cancelled: what the database says counts must stay."""
        publishing = asyncio.create_task(self._publish(job, stage, attempt))
        try:
            return await asyncio.shield(publishing)
        finally:
            await asyncio.wait({publishing})

    async def _publish(self, job: str, stage: str, attempt: Path) -> bool:
        """Shows others what an attempt has left, and takes it back where it does not count."""
        if not await self.on_disk(self._storage.publish, job, stage, attempt):
            return True
        if await self.transact(jobs.accept, job, stage, attempt.name):
            return True
        await self.on_disk(self._storage.withdraw, job, stage, attempt.name)
        return False

    async def _watched(self, job: str, stage: str, attempt: Path, folder: JobFolder) -> Outcome | None:
        """Runs the process for as long as the job is to go on; None where it is not."""
        fractions = [0.0]
        if stage == Stage.DECODE:
            asked, request = self._decoding(attempt, folder)
        else:
            asked, request = self._computing(stage, attempt, folder)
        run = self.processes.run(asked, request, fractions.append, self._settings.stage_timeout)
        work = asyncio.create_task(run)
        attendance = asyncio.create_task(self._attend(job, stage, fractions))
        try:
            await asyncio.wait({work, attendance}, return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else None
        finally:
            attendance.cancel()
            work.cancel()
            await asyncio.wait({work})  # until its process is gone

    async def _attend(self, job: str, stage: str, fractions: list[float]) -> None:
        """Writes the newest fraction, now and then, and returns when the job is not to go on.

        The engine's own word on that is lost where the API died before it said so, or the job was deleted.
        """
        goes_on = True
        while goes_on:
            await asyncio.sleep(PROGRESS_INTERVAL)
            newest = min(1.0, max(fractions))
            del fractions[:-1]
            with suppress(sa.exc.SQLAlchemyError):  # one that is missed is made up for by the next
                goes_on = await asyncio.to_thread(self._once, jobs.advance_stage, job, stage, newest)

    def _decoding(self, attempt: Path, folder: JobFolder) -> tuple[Program, dict[str, object]]:
        settings = self._settings
        request: dict[str, object] = {
            "recording": str(folder.recording),
            "name": folder.request().recording_name,
            "folder": str(attempt),
            "duration": settings.max_duration_hours * 3600,
            "decode_time": settings.decode_timeout,
            "memory_bytes": settings.decode_memory_mb * MEBIBYTE,
            "processor_time": settings.decode_timeout,
            "output_bytes": settings.decode_memory_mb * MEBIBYTE,
        }
        return program("decode", "service.work.decode_process", kept=False, trusted=False), request

    def _computing(self, stage: str, attempt: Path, folder: JobFolder) -> tuple[Program, dict[str, object]]:
        settings, options = self._settings, folder.request().options
        asked: dict[str, object] = {
            "stage": stage,
            "job": str(folder.path),
            "attempt": str(attempt),
            "engines": settings.engines,
            "asr": options.asr or settings.asr,
            "diarizer": options.diarizer or settings.diarizer,
            "device": settings.device,
        }
        limits = arguments(settings.niceness, settings.stage_memory_mb * MEBIBYTE)
        kind = KINDS.get(Stage(stage), "other")
        return program(kind, "service.work.stage_process", *limits), asked

    async def _fail(
        self, job: str, stage: str, code: str, message: str = "", **values: object
    ) -> dict[str, str]:
        await self._note(job, f"{stage}.message", message or FAILURES[code].format(stage=stage, **values))
        await self.transact(jobs.end_stage, job, stage, StageState.FAILED)
        return {"failed": code if code in FAILURES else snake(code)}

    # ------------------------------------------------------------------ disk and database

    async def transact(
        self, change: Callable[Concatenate[sa.Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """One transaction, in the end."""
        return await self.persist(lambda: self._once(change, *args, **kwargs))

    async def persist(self, work: Callable[[], Result]) -> Result:
        """Does it in a thread, again and again for as long as the database is away or its disk is full."""
        while True:
            try:
                return await asyncio.to_thread(work)
            except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError) as error:
                log.warning("database is away", reason=type(error).__name__)
                await asyncio.sleep(RETRY_INTERVAL)

    def _once(
        self, change: Callable[Concatenate[sa.Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        with self._engine.begin() as connection:
            return change(connection, *args, **kwargs)

    async def _note(self, job: str, name: str, text: str) -> None:
        """Nothing where the job was deleted meanwhile."""
        with suppress(FileNotFoundError):
            await self.on_disk(self._storage.write_note, job, name, text)

    async def on_disk(self, work: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Reads or writes, as soon as there is space and the store can be reached."""
        while True:
            try:
                return await asyncio.to_thread(work, *args, **kwargs)
            except AwayError as error:
                log.warning("store is away", reason=str(error))
                await asyncio.sleep(RETRY_INTERVAL)
                await self._go_on()
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                await self._wait_for_space()

    async def _wait_for_space(self) -> None:
        log.warning("disk is full")
        await asyncio.sleep(RETRY_INTERVAL)
        while self._storage.free_bytes() < self._settings.min_free_bytes:
            await asyncio.sleep(RETRY_INTERVAL)

    # ------------------------------------------------------------------ the end

    def stop(self) -> None:
        """Ends all processes, and begins no more; comes from another thread than that of the event loop."""
        self._stopping = True
        self.processes.close()
        give_up = time.monotonic() + CLOSING_SECONDS
        while self.processes.left and time.monotonic() < give_up:
            time.sleep(0.02)

    def release(self) -> None:
        """Gives back the attempts that `stop` has ended, once nothing runs any more: they are no fault of
        the recording's."""
        with suppress(sa.exc.SQLAlchemyError), self._engine.begin() as connection:
            for job, stage in self._at_work:
                jobs.release_stage(connection, job, stage)


def _hash(folder: Path) -> str:
    """SHA-256 of the file in which a stage leaves its result. Raises FileNotFoundError where it is gone."""
    names = (artifacts.LEFT, artifacts.MEDIA, "result.json")
    found = [folder / name for name in names if (folder / name).exists()]
    with (found[0] if found else folder / names[0]).open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _disk(error: OSError) -> Failed:
    """An error of our own disk, as the stages tell of theirs."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failed(stage_process.DISK_FULL, "")
    log.error("disk", reason=error.strerror)
    return Failed(INTERNAL, "The disk of the service has a fault: tell whoever runs it.")
