"""/v1/jobs: send recordings, watch jobs, fetch results."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi import Path as InPath
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from pydantic import AfterValidator
from starlette.concurrency import run_in_threadpool

from pipelines.formats import FORMATS, heard, rttm
from pipelines.pipeline import Diarized, Stage
from pipelines.types import Heard
from service.api.access import ACCESS, WAITS, Owner, find_own, waiting
from service.api.context import Context, Reach
from service.api.descriptions import AUDIO, DIARIZATION, EVENTS, EXPORTS, FORM, HEARD, RESULT
from service.api.forms import Form, receive
from service.api.handover import handed_over
from service.api.sending import named, send
from service.api.shapes import (
    EXAMPLE_ID,
    ID_PATTERN,
    JobOptions,
    JobView,
    Page,
    Progress,
    check_engines,
    parse_options,
)
from service.api.submission import SUBMISSION, incoming, submit
from service.fields import must
from service.files import artifacts
from service.files.storage import FAILURE, Failure, Storage
from service.problems import Code, ProblemError, responses
from service.records import jobs
from service.records.jobs import Job, JobState
from service.settings import Settings
from service.work import webhooks
from service.work.deletion import delete

Value = TypeVar("Value")

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
PAGE = {
    "Content-Security-Policy": "sandbox allow-scripts"
}  # the page may run its player, but reach nothing of ours
LARGEST_SUPPLIED_BYTES = 2**28  # of heard words, and of speakers
JobId = Annotated[
    str,
    InPath(description="Id of the job.", examples=[EXAMPLE_ID], json_schema_extra={"pattern": ID_PATTERN}),
]


async def _own_job(id: JobId, context: Reach, owner: Owner) -> Job:
    return await context.transact(find_own, id, owner)


OwnJob = Annotated[Job, Depends(_own_job)]


def _known(name: str) -> str:
    """Raises ValueError for an unknown format."""
    if name not in FORMATS:
        raise ValueError(f"there is no such format: choose from {', '.join(FORMATS)}")
    return name


FormatName = Annotated[str, AfterValidator(_known), InPath(json_schema_extra={"enum": [*FORMATS]})]
OWN = (*ACCESS, Code.NOT_FOUND)


@router.post(
    "",
    status_code=202,
    response_model=JobView,
    summary="Send a recording and its text",
    openapi_extra={"requestBody": FORM},
    responses={
        202: {
            "description": "The job is stored and queued. One Idempotency-Key always gives the same job.",
            "headers": {"Location": {"description": "Address of the job.", "schema": {"type": "string"}}},
        },
        **responses(*ACCESS, *SUBMISSION, Code.NOT_FOUND, Code.UPLOAD_CONFLICT, Code.UPLOAD_GONE),
    },
)
async def create(
    request: Request,
    response: Response,
    context: Reach,
    owner: Owner,
    idempotency_key: Annotated[
        str,
        Header(description="Makes repeating the request safe: one key makes one job.", max_length=255),
    ] = "",
) -> JobView:
    settings = context.settings
    async with incoming(context, owner, idempotency_key) as (id, folder, used):
        places = {
            "audio": (folder.recording, settings.max_upload_bytes),
            "text": (folder.text, settings.max_text_bytes),
            "heard": (folder.heard, LARGEST_SUPPLIED_BYTES),
            "diarization": (folder.diarization, LARGEST_SUPPLIED_BYTES),
        }
        form = await receive(request, context, places, used)
        options, upload = _options(form, settings)
        async with (
            nullcontext()
            if upload is None
            else handed_over(upload, form, folder, context, owner, idempotency_key)
        ):
            missing = "The part audio is missing: send the recording as a file, or name an upload."
            hashes = await run_in_threadpool(form.hashes, folder, "audio", missing)
            asked = options.request(form.files["audio"].name or "recording", form.text_name)
            job = await submit(context, id, folder, asked, hashes, owner, idempotency_key)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return await run_in_threadpool(_view, job, context.storage)


def _options(form: Form, settings: Settings) -> tuple[JobOptions, str | None]:
    """Returns the options, and the id of the upload in place of the recording."""
    options, upload = JobOptions(), None
    for name, value in form.fields:
        if name == "upload":
            upload = value
        elif name == "options":
            options = parse_options(value)
        else:
            known = "audio, upload, text, options, heard, diarization"
            raise ProblemError(Code.INVALID, f"Unknown part {name[:40]!r}: the parts are {known}.")
    check_engines(options, ours=settings.are_engines_ours)
    if options.webhook:
        webhooks.check_url(options.webhook, settings)
    return options, upload


@router.get("", response_model=Page, summary="List jobs", responses=responses(*ACCESS, Code.INVALID))
async def list_jobs(
    context: Reach,
    owner: Owner,
    state: JobState | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[
        str,
        Query(pattern="^([0-9a-f]{32})?$", description="Cursor of the previous page."),
        must("it must be the cursor of the previous page"),
    ] = "",
    ids: Annotated[
        str | None,
        Query(
            pattern=r"^([0-9a-f]{32}(,[0-9a-f]{32}){0,99})?$",
            description="Only these jobs, at most 100, separated by commas; missing ones are left out.",
        ),
        must("it must be the ids of at most 100 jobs, separated by commas"),
    ] = None,
) -> Page:
    if ids is not None:
        there = await context.transact(jobs.find_all, set(ids.split(",")))
        found = sorted((job for job in there if job.owner == owner), key=lambda job: job.id, reverse=True)
        limit = len(found)
    else:
        found = await context.transact(jobs.page, owner, state, limit + 1, cursor)
    views = await run_in_threadpool(_views, found[:limit], context.storage)
    return Page(jobs=views, cursor=found[limit - 1].id if len(found) > limit else "")


@router.get(
    "/{id}",
    response_model=JobView,
    summary="Show a job and its progress",
    responses=responses(*OWN, Code.INVALID),
)
async def show(
    id: JobId,
    context: Reach,
    owner: Owner,
    wait: Annotated[
        float,
        Query(ge=0, le=60, description="Seconds to wait for the job to end before answering."),
    ] = 0,
) -> JobView:
    def look() -> JobView:  # one thread for all of it: no operation is called more often
        return _view(context.apply(find_own, id, owner), context.storage)

    shown = await run_in_threadpool(look)
    if not wait or shown.state.ended:
        return shown
    async with waiting(context, owner):
        with suppress(TimeoutError):
            async with asyncio.timeout(wait), aclosing(context.watcher.changes(id)) as changes:
                async for _ in changes:
                    pass
    return await run_in_threadpool(look)


def _views(found: Sequence[Job], storage: Storage) -> tuple[JobView, ...]:
    """Leaves out jobs that were deleted a moment ago."""
    views = []
    for job in found:
        with suppress(ProblemError):
            views.append(_view(job, storage))
    return tuple(views)


def _view(job: Job, storage: Storage) -> JobView:
    with _unless_deleted():
        failure = storage.noted(job.id, FAILURE, Failure) if job.state is JobState.FAILED else None
        return JobView.of(job, storage.request(job.id), failure)


@contextmanager
def _unless_deleted() -> Iterator[None]:
    """Raises ProblemError if the job was deleted a moment ago."""
    try:
        yield
    except FileNotFoundError:
        raise ProblemError(Code.NOT_FOUND, "This job was deleted.") from None


@router.delete(
    "/{id}",
    status_code=204,
    response_class=Response,
    summary="Delete a job with all its files, ended or not",
    responses={204: {"description": "The job and its files are deleted."}, **responses(*OWN)},
)
def remove(job: OwnJob, context: Reach) -> Response:
    delete(job.id, context)
    return Response(status_code=204)


@router.post(
    "/{id}/cancel",
    response_model=JobView,
    summary="Cancel a job, unless it has ended",
    responses=responses(*OWN),
)
async def cancel(job: OwnJob, context: Reach) -> JobView:
    await stop(job, context)
    stopped = await context.transact(find_own, job.id, job.owner)
    return await run_in_threadpool(_view, stopped, context.storage)


async def stop(job: Job, context: Context) -> None:
    """Cancels a job, unless it has ended."""
    if await context.transact(context.queue.end, job.id, JobState.CANCELLED):
        await run_in_threadpool(context.queue.cancel, job.id)


@router.get(
    "/{id}/events",
    response_class=Response,
    summary="Stream the progress of a job",
    dependencies=[WAITS],
    responses={**EVENTS, **responses(*OWN, Code.INVALID)},
)
async def events(
    job: OwnJob,
    context: Reach,
    last_event_id: Annotated[
        int, Header(description="Last revision seen; only later changes are sent.", ge=0, le=2**53)
    ] = 0,
) -> Response:
    if job.state.ended and job.revision <= last_event_id:
        return Response(status_code=204)

    async def changes() -> AsyncIterator[bytes]:
        yield format_sse_event(retry=2000)
        async for change in context.watcher.changes(job.id, last_event_id):
            yield KEEPALIVE_COMMENT if change is None else _event(change)

    return EventSourceResponse(changes(), headers=STREAM)


def _event(job: Job) -> bytes:
    data = Progress(
        state=job.state,
        stage=job.stage,
        fraction=job.fraction,
        stages={progress.stage: progress.fraction for progress in job.stages},
    )
    kind = "end" if job.state.ended else "progress"
    return format_sse_event(id=str(job.revision), event=kind, data_str=data.model_dump_json())


ENDED = (*OWN, Code.NOT_FINISHED, Code.JOB_FAILED)


@router.get(
    "/{id}/result",
    response_class=Response,
    summary="Fetch the result, as in the command's result.json",
    responses={**RESULT, **responses(*ENDED)},
)
def result(job: OwnJob, request: Request, context: Reach) -> Response:
    return export(job, "json", request, context)


@router.get(
    "/{id}/export/{format}",
    response_class=Response,
    summary="Export the result in another format",
    responses={
        200: {"description": "The file, exactly as the command writes it.", "content": EXPORTS},
        **responses(*ENDED, Code.INVALID),
    },
)
def export(job: OwnJob, format: FormatName, request: Request, context: Reach) -> Response:
    _check_succeeded(job)
    with _unless_deleted():
        file = context.storage.left(job.id, Stage.STORE, job.accepted(Stage.STORE), f"result.{format}")
        stem = Path(context.storage.request(job.id).recording_name).stem.lstrip(". ") or "recording"
        headers = named(f"{stem}.{format}") | (PAGE if format == "html" else {})
        return send(file, request, FORMATS[format].media_type, headers)


def _check_succeeded(job: Job) -> None:
    """Raises ProblemError if the job has no result."""
    if not job.state.ended:
        raise ProblemError(Code.NOT_FINISHED, headers={"Retry-After": "2"})
    if job.state is not JobState.SUCCEEDED:
        raise ProblemError(Code.JOB_FAILED, f"The job has {job.state}: there is no result.")


@router.get(
    "/{id}/heard",
    response_class=Response,
    summary="Fetch the recognised words, once they exist; another job can reuse them",
    responses={**HEARD, **responses(*OWN, Code.NOT_FINISHED)},
)
def show_heard(job: OwnJob, context: Reach) -> Response:
    words = _left(job, context.storage, Stage.TRANSCRIBE, Heard)
    return Response(heard.serialize(words), media_type="application/json", headers=named("heard.json"))


@router.get(
    "/{id}/diarization",
    response_class=Response,
    summary="Fetch who speaks when, once it is known; another job can reuse it",
    responses={**DIARIZATION, **responses(*OWN, Code.NOT_FINISHED)},
)
def show_diarization(job: OwnJob, context: Reach) -> Response:
    diarized = _left(job, context.storage, Stage.DIARIZE, Diarized)
    with _unless_deleted():
        name = context.storage.request(job.id).recording_name
    text = rttm.serialize_segments(diarized.diarization.segments, name)
    return Response(text, media_type="text/plain", headers=named("diarization.rttm"))


def _left(job: Job, storage: Storage, stage: Stage, type: type[Value]) -> Value:
    try:
        return artifacts.load(storage.left(job.id, stage, job.accepted(stage), artifacts.LEFT), type)
    except FileNotFoundError:
        detail = f"The stage {stage} has not finished: wait for it, or look at the job."
        raise ProblemError(Code.NOT_FINISHED, detail) from None


@router.get(
    "/{id}/audio",
    response_class=Response,
    summary="Fetch the recording as it was sent, or a range of it",
    responses={**AUDIO, **responses(*OWN, Code.RANGE)},
)
def audio(
    job: OwnJob,
    request: Request,
    context: Reach,
    range: Annotated[str, Header(description="bytes=START-END")] = "",
) -> Response:
    with _unless_deleted():
        name = context.storage.request(job.id).recording_name
        guessed = mimetypes.guess_type(name)[0] or ""
        media_type = guessed if guessed.startswith(("audio/", "video/")) else "application/octet-stream"
        return send(context.storage.recording(job.id), request, media_type, named(name))
