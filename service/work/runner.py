"""Takes a job through its stages, each in a process of its own.

    decode ─► detect ─┬─► transcribe ─┬─► align ─► attribute ─► roles ─► reconcile ─► store
                      └─► diarize ────┘

Each attempt writes into a folder of its own, which becomes the stage's folder once it is complete on the
disk, so finished work survives whatever is killed. A stage's failure is returned, never raised: the workflow
engine would store the exception, with the user's words in it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog

from pipelines.files import is_full
from pipelines.pipeline import PLAN, Detected, Stage
from service.files import artifacts
from service.files.objects import AwayError
from service.files.storage import FAILURE, Failure, JobFolder
from service.observability.telemetry import tracer
from service.parts import Parts
from service.records import jobs
from service.records.jobs import JobState, StageState
from service.records.workflows import Cancelled, Step, Taken
from service.settings import MEBIBYTE
from service.work.answering import DISK_FULL, INTERNAL
from service.work.children import Died, Done, Failed, Outcome, Processes, Program, TimedOut, program
from service.work.persistence import Persistence

log = structlog.get_logger("turnwise.runner")

PROGRESS_INTERVAL = 1.0
"""Seconds between two writes of a stage's progress."""
CLOSING_SECONDS = 2.0
"""How long a shutdown waits for the processes to end."""
KINDS = {Stage.TRANSCRIBE: "hear", Stage.DIARIZE: "tell apart"}
"""Stages with processes of their own, since they load models; all other stages share one kind of process."""

OVER = "over"
"""Code of a stage that did not finish because its job was cancelled or deleted meanwhile."""


class Runner:
    """Runs the stages of jobs; its coroutines run on the event loop of the workflows."""

    def __init__(self, parts: Parts) -> None:
        self._settings = parts.settings
        self._parts = parts
        self._storage = parts.storage
        self._here: Counter[str] = Counter()  # a job given back may be here twice for a moment
        self._at_work: set[tuple[str, Stage]] = set()
        self._last_tries = asyncio.Lock()
        self.persistence = Persistence(parts)
        self.processes = Processes(self._settings.engine_idle_minutes * 60)

    async def run(self, job: str) -> None:
        """Runs all stages of a job and ends it; does nothing if it has ended already."""
        if not await self.persistence.transact(jobs.begin, job):
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
            if await self.persistence.transact(jobs.has_ended, job):
                await self._finish(job)
            raise
        if failure is not None and failure.code == OVER:  # unless it is over, its files were lost
            failure = Failure(failure.stage, INTERNAL, "")
        elif failure is not None:
            await self._note(job, FAILURE, json.dumps(asdict(failure)))
        state = JobState.FAILED if failure else JobState.SUCCEEDED
        stage, code = (failure.stage, failure.code) if failure else ("", "")
        ended = await self.persistence.transact(self._parts.queue.end, job, state, stage, code)
        await self._finish(job)
        if ended:
            log.info("job ends", job=job, failure=code)

    async def _finish(self, job: str) -> None:
        """Deletes files that are no longer needed; of a deleted job, those written after its deletion. If the
        store is away, the job's deletion or the search for strays does it later."""
        accepted = await self.persistence.transact(jobs.accepted, job)
        with suppress(AwayError, FileNotFoundError):
            if accepted:
                await asyncio.to_thread(self._storage.finish, job, accepted)
                size_bytes = await asyncio.to_thread(self._storage.size_bytes, job)
                await self.persistence.transact(jobs.resize, job, size_bytes)
            else:
                await asyncio.to_thread(self._storage.discard, job)

    async def _stages(self, job: str) -> Failure | None:
        """Runs all stages, numbering steps in a fixed order. Returns the first failure, or None."""
        steps = {stage: Step(stage) for stage in Stage}

        async def step(stage: Stage) -> Failure | None:
            code = await steps[stage].run(lambda: self.perform(job, stage))
            return await self._failure(job, stage, code) if code else None

        for row in PLAN:
            if failure := await self._row(job, row, step):
                return failure
        return None

    async def _row(
        self, job: str, row: Sequence[Stage], step: Callable[[Stage], Coroutine[Any, Any, Failure | None]]
    ) -> Failure | None:
        """Runs one row of the plan, returns its first failure; its stages run together if memory allows."""
        if len(row) == 1 or not await self._together(job):
            for stage in row:
                if failure := await step(stage):
                    return failure
            return None
        tasks = [asyncio.create_task(step(stage)) for stage in row]
        try:
            return next(filter(None, await asyncio.gather(*tasks)), None)
        finally:  # if one is cancelled, as when the job is no longer ours, so is the other
            for task in tasks:
                task.cancel()

    async def _together(self, job: str) -> bool:
        if await self._is_done(job, Stage.DETECT):
            with suppress(OSError):  # deleted after the job's end
                place = self._storage.job(job).stage(Stage.DETECT) / artifacts.LEFT
                return artifacts.load(place, Detected).together
        return True  # deleted: nothing will be computed

    async def _failure(self, job: str, stage: Stage, code: str) -> Failure:
        """Reads the message from the note beside the files, since a step's outcome is only a code."""
        if code == OVER:
            return Failure(stage, code, "")
        try:
            message = await self.persistence.on_disk(self._storage.note, job, f"{stage}.message")
        except FileNotFoundError:
            message = f"An internal error in the stage {stage}: please report it with the id of this job."
        return Failure(stage, code, message)

    async def perform(self, job: str, stage: Stage) -> str:
        """Runs a stage to its end. Returns the code of its failure, "" if it has succeeded."""
        self._at_work.add((job, stage))
        begin = time.monotonic()
        try:
            with tracer.start_as_current_span(f"stage {stage}", attributes={"turnwise.job": job}):
                code = await self._try(job, stage)
        finally:
            if not self.persistence.stopping:
                self._at_work.discard((job, stage))
        seconds = self._parts.metrics.stage_seconds.labels(stage, code or "succeeded")
        seconds.observe(time.monotonic() - begin)
        return code

    async def _try(self, job: str, stage: Stage) -> str:
        """Repeats a stage whose process dies, up to the setting `stage_attempts`."""
        while not await self._is_done(job, stage):
            await self.persistence.go_on()
            async with await self._room(job, stage):
                attempts = await self.persistence.transact(jobs.begin_stage, job, stage)
                if not attempts:
                    return OVER
                if attempts > (most := self._settings.stage_attempts):
                    reason = "because of the recording or the engine: try another engine."
                    message = f"The stage {stage} crashed its process {most} times, {reason}"
                    return await self._fail(job, stage, "process_died", message)
                log.info("stage begins", job=job, stage=stage, attempt=attempts)
                outcome = await self._attempt(job, stage)
                if not self.persistence.stopping and (code := await self._settle(job, stage, outcome)):
                    return code
        log.info("stage ends", job=job, stage=stage)
        await self.persistence.transact(jobs.end_stage, job, stage, StageState.SUCCEEDED)
        return "" if self._storage.job(job).stage(stage).is_dir() else OVER

    async def _is_done(self, job: str, stage: Stage) -> bool:
        """Whether a stage is done; fetches accepted results that are missing from the job's folder first."""
        place = self._storage.job(job).stage(stage)
        if not place.is_dir():
            accepted = await self.persistence.transact(jobs.accepted, job)
            with suppress(FileNotFoundError):  # deleted
                await self.persistence.on_disk(self._storage.gather, job, accepted)
        return place.is_dir()

    async def _room(self, job: str, stage: Stage) -> AbstractAsyncContextManager[None]:
        """Returns a lock for a stage's last attempt, and no lock for earlier ones.

        A stage that kills its worker costs every stage in it an attempt, so last attempts run one by one.
        """
        tried = await self.persistence.transact(jobs.count_attempts, job, stage)
        last = tried == self._settings.stage_attempts - 1 > 0
        return self._last_tries if last else nullcontext()

    async def _settle(self, job: str, stage: Stage, outcome: Outcome | None) -> str:
        """Returns the code of the stage's failure, "" if the attempt succeeded or is to be repeated."""
        match outcome:
            case None:
                return OVER
            case Failed(code=code) if code == DISK_FULL:
                await self.persistence.transact(jobs.release_stage, job, stage)
                await self.persistence.wait_for_space()
                return ""
            case Failed(code=code, message=message):
                return await self._fail(job, stage, code, message)
            case TimedOut():
                seconds = self._settings.stage_timeout
            case Died(status=status) if status == -signal.SIGXCPU:  # its CPU limit: it would reach it again
                seconds = self._settings.decode_timeout
            case Done() | Died():
                return ""
        message = f"The stage {stage} took longer than {seconds:.0f} s: cut the recording into parts."
        return await self._fail(job, stage, "stage_timeout", message)

    async def _attempt(self, job: str, stage: Stage) -> Outcome | None:
        """Makes one attempt and accepts its result. Returns None if the job is over.

        A cancelled attempt is given back, by `release` if this worker stops.
        """
        folder, attempt = self._storage.job(job), None
        try:
            attempt = await asyncio.to_thread(folder.new_attempt)
            outcome = await self._watched(job, stage, attempt, folder)
            if isinstance(outcome, Done) and await self._counts(job, stage, attempt):
                await asyncio.to_thread(folder.accept, attempt, folder.stage(stage))
            return outcome
        except OSError as error:
            return _disk(error) if folder.path.is_dir() else None
        except asyncio.CancelledError:
            if not self.persistence.stopping:
                await self.persistence.transact(jobs.release_stage, job, stage)
            raise
        finally:
            if attempt:
                shutil.rmtree(attempt, ignore_errors=True)

    async def _counts(self, job: str, stage: Stage, attempt: Path) -> bool:
        """Whether an attempt's result is the accepted one. Publishing finishes even if the step is cancelled,
        since files that the database has accepted must stay."""
        publishing = asyncio.create_task(self._publish(job, stage, attempt))
        try:
            return await asyncio.shield(publishing)
        finally:
            await asyncio.wait({publishing})

    async def _publish(self, job: str, stage: Stage, attempt: Path) -> bool:
        """Publishes an attempt's result, and withdraws it if the database does not accept it."""
        if not await self.persistence.on_disk(self._storage.publish, job, stage, attempt):
            return True
        if await self.persistence.transact(jobs.accept, job, stage, attempt.name):
            return True
        await self.persistence.on_disk(self._storage.withdraw, job, stage, attempt.name)
        return False

    async def _watched(self, job: str, stage: Stage, attempt: Path, folder: JobFolder) -> Outcome | None:
        """Runs the process while the job goes on. Returns None if the job is over."""
        fractions = [0.0]
        decodes = stage is Stage.DECODE
        asked = self._decoding(attempt, folder) if decodes else self._computing(stage, attempt, folder)
        run = self.processes.run(*asked, fractions.append, self._settings.stage_timeout)
        work = asyncio.create_task(run)
        attendance = asyncio.create_task(self._attend(job, stage, fractions))
        try:
            await asyncio.wait({work, attendance}, return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else None
        finally:
            attendance.cancel()
            work.cancel()
            await asyncio.wait({work})  # until its process is gone

    async def _attend(self, job: str, stage: Stage, fractions: list[float]) -> None:
        """Records the newest progress at intervals, and returns when the job is cancelled or deleted.

        The workflow engine does not always report it: the API may have died before, or the job is deleted.
        """
        goes_on = True
        while goes_on:
            await asyncio.sleep(PROGRESS_INTERVAL)
            newest = min(1.0, max(fractions))
            del fractions[:-1]
            with suppress(sa.exc.SQLAlchemyError):  # the next one makes up for it
                goes_on = await asyncio.to_thread(self._parts.apply, jobs.advance_stage, job, stage, newest)

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
        return program("decode", "service.work.decode_process", trusted=False), request

    def _computing(self, stage: Stage, attempt: Path, folder: JobFolder) -> tuple[Program, dict[str, object]]:
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
        limits = (str(settings.niceness), str(settings.stage_memory_mb * MEBIBYTE))
        return program(KINDS.get(stage, "other"), "service.work.stage_process", *limits), asked

    async def _fail(self, job: str, stage: Stage, code: str, message: str) -> str:
        await self._note(job, f"{stage}.message", message)
        await self.persistence.transact(jobs.end_stage, job, stage, StageState.FAILED)
        return code

    async def _note(self, job: str, name: str, text: str) -> None:
        """Writes a note, unless the job was deleted meanwhile."""
        with suppress(FileNotFoundError):
            await self.persistence.on_disk(self._storage.write_note, job, name, text)

    def stop(self) -> None:
        """Kills all processes and starts no more; called from outside of the event loop's thread."""
        self.persistence.stopping = True
        self.processes.close()
        give_up = time.monotonic() + CLOSING_SECONDS
        while self.processes.left and time.monotonic() < give_up:
            time.sleep(0.02)

    def release(self) -> None:
        """Gives back the attempts that `stop` ended, once nothing runs: the recording is not to blame."""
        with suppress(sa.exc.SQLAlchemyError):
            for job, stage in self._at_work:
                self._parts.apply(jobs.release_stage, job, stage)


def _disk(error: OSError) -> Failed:
    """Turns an error of this worker's disk into the outcome of a stage."""
    if is_full(error):
        return Failed(DISK_FULL, "")
    log.error("disk", reason=error.strerror)
    return Failed(INTERNAL, "The disk of the service has failed: tell its operator.")
