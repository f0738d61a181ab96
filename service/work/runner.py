"""Takes a job through its stages, each in a process of its own.

    decode ─► detect ─┬─► transcribe ─┬─► align ─► attribute ─► roles ─► reconcile ─► store
                      └─► diarize ────┘

Each attempt writes into a folder of its own, which becomes the stage's folder once it is complete on the
disk, so finished work survives whatever is killed. A stage's failure is returned, never raised: the workflow
engine would store the exception, with the user's words in it.
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
from service.records.workflows import Cancelled, Step, Taken
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
"""Seconds before another attempt when the database is away or the disk is full."""
CLOSING_SECONDS = 2.0
"""How long a shutdown waits for the processes to end."""
KINDS = {Stage.TRANSCRIBE: "hear", Stage.DIARIZE: "tell apart"}
"""Stages with processes of their own, since they load models; all other stages share one kind of process."""

FAILURES = {
    "process_died": "The stage {stage} crashed its process {count} times, because of the recording or the"
    " engine: try another engine.",
    "stage_timeout": "The stage {stage} took longer than {seconds:.0f} s: cut the recording into parts.",
    "internal": "An internal error in the stage {stage}: please report it with the id of this job.",
}

OVER = "over"
"""Code of a stage that did not finish because its job was cancelled or deleted meanwhile."""


class Runner:
    """Runs the stages of jobs; its coroutines run on the event loop of the workflows."""

    def __init__(self, parts: Parts) -> None:
        self._settings = parts.settings
        self._engine = parts.engine
        self._storage = parts.storage
        self._queue = parts.queue
        self._metrics = parts.metrics
        self._here: Counter[str] = Counter()  # a job given back may be here twice for a moment
        self._at_work: set[tuple[str, str]] = set()
        self._last_tries = asyncio.Lock()
        self._stopping = False
        self.processes = Processes(self._settings.engine_idle_minutes * 60)

    async def run(self, job: str) -> None:
        """Runs all stages of a job and ends it; does nothing if it has ended already."""
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
        except (Cancelled, Taken):  # Taken, too, if cancelled just before a step was recorded
            if await self.transact(jobs.has_ended, job):
                await self._finish(job)
            raise
        if failure is not None and failure.code == OVER:  # unless it is over, its files were lost
            failure = Failure(failure.stage, "internal", "")
        elif failure is not None:
            await self._note(job, FAILURE, json.dumps(asdict(failure)))
        state = JobState.FAILED if failure else JobState.SUCCEEDED
        stage, code = (failure.stage, failure.code) if failure else ("", "")
        ended = await self.transact(self._queue.end, job, state, stage, code)
        await self._finish(job)
        if ended:
            log.info("job ends", job=job, failure=code)

    async def _finish(self, job: str) -> None:
        """Deletes files that are no longer needed; of a deleted job, those written after its deletion. If the
        store is away, the job's deletion or the search for strays does it later."""
        accepted = await self.transact(jobs.accepted, job)
        with suppress(AwayError, FileNotFoundError):
            if accepted:
                await asyncio.to_thread(self._storage.finish, job, accepted)
                size_bytes = await asyncio.to_thread(self._storage.size_bytes, job)
                await self.transact(jobs.resize, job, size_bytes)
            else:
                await asyncio.to_thread(self._storage.discard, job)

    async def _stages(self, job: str) -> Failure | None:
        """Runs all stages, numbering steps in a fixed order. Returns the first failure, or None."""
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
        """Runs one row of the plan up to the first failure; its stages run together if memory allows."""
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
        finally:  # if one is cancelled, as when the job is no longer ours, so is the other
            for task in tasks:
                task.cancel()

    async def _together(self, job: str) -> bool:
        if not await self._is_done(job, Stage.DETECT):  # deleted: nothing will be computed
            return True
        place = self._storage.job(job).stage(Stage.DETECT) / artifacts.LEFT
        try:
            return artifacts.load(place, Detected).together
        except OSError:  # deleted after the job's end
            return True

    async def _failure(self, job: str, stage: str, outcome: dict[str, str]) -> Failure | None:
        """Reads the message from the note beside the files, since a step's outcome holds only a code."""
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

    async def _measured(self, job: str, stage: str) -> dict[str, str]:
        begin = time.monotonic()
        with tracer.start_as_current_span(f"stage {stage}", attributes={"turnwise.job": job}):
            outcome = await self.perform(job, stage)
        seconds = self._metrics.stage_seconds.labels(stage, outcome.get("failed", "succeeded"))
        seconds.observe(time.monotonic() - begin)
        return outcome

    async def perform(self, job: str, stage: str) -> dict[str, str]:
        """Runs a stage to its end. Returns {"sha256": …} of its result, or {"failed": code}."""
        self._at_work.add((job, stage))
        try:
            return await self._try(job, stage)
        finally:
            if not self._stopping:
                self._at_work.discard((job, stage))

    async def _try(self, job: str, stage: str) -> dict[str, str]:
        """Repeats a stage whose process dies, up to the setting `stage_attempts`."""
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
        """Whether a stage is done; fetches accepted results that are missing from the job's folder first."""
        place = self._storage.job(job).stage(stage)
        if not place.is_dir():
            accepted = await self.transact(jobs.accepted, job)
            with suppress(FileNotFoundError):  # deleted
                await self.on_disk(self._storage.gather, job, accepted)
        return place.is_dir()

    async def _go_on(self) -> None:
        """Blocks until this process ends if the worker is stopping: another worker takes over."""
        if self._stopping:
            await asyncio.Event().wait()

    async def _room(self, job: str, stage: str) -> AbstractAsyncContextManager[None]:
        """Returns a lock for a stage's last attempt, and no lock for earlier ones.

        A stage that kills its worker costs every stage in it an attempt, so last attempts run one by one.
        """
        tried = await self.transact(jobs.count_attempts, job, stage)
        last = tried == self._settings.stage_attempts - 1 > 0
        return self._last_tries if last else nullcontext()

    async def _settle(self, job: str, stage: str, outcome: Outcome | None) -> dict[str, str] | None:
        """Returns the failure of the stage, or None if the attempt succeeded or is to be repeated."""
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
            case Died(status=status) if status == -signal.SIGXCPU:  # its CPU limit: it would reach it again
                return await self._fail(job, stage, "stage_timeout", seconds=self._settings.decode_timeout)
            case Done() | Died():
                pass
        return None

    async def _counted(self, job: str, stage: str, folder: JobFolder) -> Outcome | None:
        """Makes an attempt; a cancelled one is given back, by `release` if this worker stops."""
        try:
            return await self._attempt(job, stage, folder)
        except asyncio.CancelledError:
            if not self._stopping:
                await self.transact(jobs.release_stage, job, stage)
            raise

    async def _attempt(self, job: str, stage: str, folder: JobFolder) -> Outcome | None:
        """Makes one attempt and accepts its result. Returns None if the job is over."""
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
        """Whether an attempt's result is the accepted one. Publishing finishes even if the step is cancelled,
        since files that the database has accepted must stay."""
        publishing = asyncio.create_task(self._publish(job, stage, attempt))
        try:
            return await asyncio.shield(publishing)
        finally:
            await asyncio.wait({publishing})

    async def _publish(self, job: str, stage: str, attempt: Path) -> bool:
        """Publishes an attempt's result, and withdraws it if the database does not accept it."""
        if not await self.on_disk(self._storage.publish, job, stage, attempt):
            return True
        if await self.transact(jobs.accept, job, stage, attempt.name):
            return True
        await self.on_disk(self._storage.withdraw, job, stage, attempt.name)
        return False

    async def _watched(self, job: str, stage: str, attempt: Path, folder: JobFolder) -> Outcome | None:
        """Runs the process while the job goes on. Returns None if the job is over."""
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
        """Records the newest progress at intervals, and returns when the job is cancelled or deleted.

        The workflow engine does not always report it: the API may have died before, or the job is deleted.
        """
        goes_on = True
        while goes_on:
            await asyncio.sleep(PROGRESS_INTERVAL)
            newest = min(1.0, max(fractions))
            del fractions[:-1]
            with suppress(sa.exc.SQLAlchemyError):  # the next one makes up for it
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

    async def transact(
        self, change: Callable[Concatenate[sa.Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Runs `change` in one transaction, repeated until the database answers."""
        return await self.persist(lambda: self._once(change, *args, **kwargs))

    async def persist(self, work: Callable[[], Result]) -> Result:
        """Runs `work` in a thread, repeated while the database is away or its disk is full."""
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
        """Writes a note, unless the job was deleted meanwhile."""
        with suppress(FileNotFoundError):
            await self.on_disk(self._storage.write_note, job, name, text)

    async def on_disk(self, work: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Runs `work` in a thread, repeated until there is disk space and the store can be reached."""
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

    def stop(self) -> None:
        """Kills all processes and starts no more; called from outside of the event loop's thread."""
        self._stopping = True
        self.processes.close()
        give_up = time.monotonic() + CLOSING_SECONDS
        while self.processes.left and time.monotonic() < give_up:
            time.sleep(0.02)

    def release(self) -> None:
        """Gives back the attempts that `stop` ended, once nothing runs: the recording is not to blame."""
        with suppress(sa.exc.SQLAlchemyError), self._engine.begin() as connection:
            for job, stage in self._at_work:
                jobs.release_stage(connection, job, stage)


def _hash(folder: Path) -> str:
    """Returns the SHA-256 of a stage's result. Raises FileNotFoundError if it is gone."""
    names = (artifacts.LEFT, artifacts.MEDIA, "result.json")
    found = [folder / name for name in names if (folder / name).exists()]
    with (found[0] if found else folder / names[0]).open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _disk(error: OSError) -> Failed:
    """Turns an error of this worker's disk into the outcome of a stage."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failed(stage_process.DISK_FULL, "")
    log.error("disk", reason=error.strerror)
    return Failed(INTERNAL, "The disk of the service has failed: tell its operator.")
