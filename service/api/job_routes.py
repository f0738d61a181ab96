"""/v1/jobs: sending, watching, and fetching what came of it."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext, suppress
from pathlib import Path
from typing import Annotated, TypeVar

import sqlalchemy as sa
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi import Path as InPath
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from pydantic import AfterValidator
from starlette.concurrency import run_in_threadpool

from pipelines.formats import FORMATS, heard, rttm
from pipelines.pipeline import Diarized, Stage
from pipelines.types import Heard
from service.api.access import ACCESS, WAITS, Owner, find_own, own_job, waiting
from service.api.context import Context, Reach
from service.api.descriptions import AUDIO, DIARIZATION, EVENTS, EXPORTS, FORM, HEARD, RESULT
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
from service.api.submission import Form, ReceivedFile, incoming, receive, submit
from service.api.upload_routes import handed_over
from service.files import artifacts
from service.files.storage import JobFolder, Storage, failure_of
from service.problems import Code, ProblemError, responses
from service.records import jobs
from service.records.jobs import Job, JobState
from service.records.workflows import WEBHOOK
from service.settings import Settings
from service.work import webhooks
from service.work.deletion import delete

Value = TypeVar("Value")

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
PAGE = {"Content-Security-Policy": "sandbox allow-scripts"}  # the page may play, and reach nothing of ours
LARGEST_BROUGHT_BYTES = 2**28
DEFAULT_OPTIONS = JobOptions()

JobId = Annotated[
    str,
    InPath(description="Id of the job.", examples=[EXAMPLE_ID], json_schema_extra={"pattern": ID_PATTERN}),
]


def _known(name: str) -> str:
    """Raises ValueError for a format that there is not."""
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
            "description": "The job is safe and waits. Under one Idempotency-Key it is one job.",
            "headers": {"Location": {"description": "The job.", "schema": {"type": "string"}}},
        },
        **responses(
            *ACCESS,
            Code.BAD_REQUEST,
            Code.NOT_FOUND,
            Code.TIMEOUT,
            Code.KEY_REUSED,
            Code.UPLOAD_CONFLICT,
            Code.UPLOAD_GONE,
            Code.TOO_LARGE,
            Code.MEDIA_TYPE,
            Code.INVALID,
            Code.QUEUE_FULL,
            Code.DISK_FULL,
        ),
    },
)
async def create(
    request: Request,
    response: Response,
    context: Reach,
    owner: Owner,
    idempotency_key: Annotated[
        str,
        Header(description="Makes it safe to send again: one job for one key.", max_length=255),
    ] = "",
) -> JobView:
    async with incoming(context, owner, idempotency_key) as (id, folder):
        form = await receive(request, context, _places(folder, context.settings))
        options, upload = _options(form, context.settings)
        async with _recording(upload, form, folder, context, owner, idempotency_key):
            sent = await run_in_threadpool(_sent, form, folder)
            recording = form.files["audio"].name or "recording"
            job = await submit(
                context,
                id,
                folder,
                options.request(recording, sent.pop("text name")),
                sent,
                owner,
                idempotency_key,
            )
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return await view(job, context)


def _places(folder: JobFolder, settings: Settings) -> dict[str, tuple[Path, int]]:
    return {
        "audio": (folder.recording, settings.max_upload_bytes),
        "text": (folder.text, settings.max_text_bytes),
        "heard": (folder.heard, LARGEST_BROUGHT_BYTES),
        "diarization": (folder.diarization, LARGEST_BROUGHT_BYTES),
    }


def _options(form: Form, settings: Settings) -> tuple[JobOptions, str | None]:
    """What the fields say: the options, and the id of an upload that is the recording."""
    options, upload = DEFAULT_OPTIONS, None
    for name, value in form.fields:
        if name == "upload":
            upload = value
        elif name == "options":
            options = parse_options(value)
        else:
            known = "audio, upload, text, options, heard, diarization"
            raise ProblemError(Code.INVALID, f"There is no part {name[:40]!r}: the parts are {known}.")
    check_engines(options, ours=settings.engines == Settings.model_fields["engines"].default)
    if options.webhook:
        webhooks.check_url(options.webhook, settings)
    return options, upload


def _recording(
    upload: str | None,
    form: Form,
    folder: JobFolder,
    context: Context,
    owner: str,
    idempotency_key: str,
) -> AbstractAsyncContextManager[None]:
    """An upload as the form's part `audio`, where one is named."""
    if upload is None:
        return nullcontext()
    return handed_over(upload, form, folder, context, owner, idempotency_key)


def _sent(form: Form, folder: JobFolder) -> dict[str, str]:
    """The hashes of the files, and the name of the text; an empty text is none."""
    if "audio" not in form.files:
        raise ProblemError(
            Code.INVALID, "There is no part audio: send the recording as a file, or name an upload."
        )
    files: dict[str, ReceivedFile] = dict(form.files)
    for name in ("text", "heard", "diarization"):
        if name in files and not files[name].size_bytes:
            (folder.path / name).unlink()
            del files[name]
    text = files.get("text")
    hashes = {name: file.sha256 for name, file in files.items()}
    return hashes | {"text name": (text.name or "text") if text else ""}


@router.get("", response_model=Page, summary="List jobs", responses=responses(*ACCESS, Code.INVALID))
async def list_jobs(
    context: Reach,
    owner: Owner,
    state: JobState | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[
        str, Query(pattern="^([0-9a-f]{32})?$", description="As the page before gave it.")
    ] = "",
    ids: Annotated[
        str,
        Query(
            pattern=r"^([0-9a-f]{32}(,[0-9a-f]{32}){0,99})?$",
            description="Only these jobs, at most 100, separated by commas; what is not there is left out.",
        ),
    ] = "",
) -> Page:
    if ids:
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
    summary="A job and how far it is",
    responses=responses(*OWN, Code.INVALID),
)
async def show(
    id: JobId,
    context: Reach,
    owner: Owner,
    wait: Annotated[
        float,
        Query(
            ge=0, le=60, description="Seconds that the answer may wait for the job's end; at once without."
        ),
    ] = 0,
) -> JobView:
    """What others wait for most: all of it in one thread."""

    def look() -> JobView:
        with context.engine.begin() as connection:
            job = find_own(connection, id, owner)
        return _view(job, context.storage)

    shown = await run_in_threadpool(look)
    if not wait or shown.state.ended:
        return shown
    with waiting(context, owner), suppress(TimeoutError):
        async with asyncio.timeout(wait), aclosing(context.watcher.changes(id)) as changes:
            async for _ in changes:
                pass
    return await run_in_threadpool(look)


async def view(job: Job, context: Context) -> JobView:
    """The job with what its folder says."""
    return await run_in_threadpool(_view, job, context.storage)


def _views(found: Sequence[Job], storage: Storage) -> tuple[JobView, ...]:
    """Those that are still there."""
    views = []
    for job in found:
        with suppress(ProblemError):
            views.append(_view(job, storage))
    return tuple(views)


def _view(job: Job, storage: Storage) -> JobView:
    try:
        request = storage.request(job.id)
        failure = failure_of(job.id, storage) if job.state is JobState.FAILED else None
    except FileNotFoundError:  # deleted a moment ago
        raise ProblemError(Code.NOT_FOUND, "There is no job with this id any more.") from None
    return JobView.of(job, request, failure)


@router.delete(
    "/{id}",
    status_code=204,
    response_class=Response,
    summary="Delete a job with all its files, ended or not",
    responses={204: {"description": "Nothing of it is left."}, **responses(*OWN)},
)
async def remove(id: JobId, context: Reach, owner: Owner) -> Response:
    job = await own_job(id, context, owner)
    await run_in_threadpool(delete, job.id, context)
    return Response(status_code=204)


@router.post(
    "/{id}/cancel",
    response_model=JobView,
    summary="Cancel a job; one that has ended stays as it is",
    responses=responses(*OWN),
)
async def cancel(id: JobId, context: Reach, owner: Owner) -> JobView:
    job = await own_job(id, context, owner)
    await stop(job, context)
    return await view(await own_job(id, context, owner), context)


async def stop(job: Job, context: Context) -> None:
    """Cancels a job, unless it has ended."""

    def change(connection: sa.Connection) -> bool:
        ended = jobs.end(connection, job.id, JobState.CANCELLED)
        if ended and job.notify:
            context.queue.enqueue(connection, WEBHOOK, job.id)
        return ended

    if await context.transact(change):
        await run_in_threadpool(context.queue.cancel, job.id)


# --------------------------------------------------------------------------- watching


@router.get(
    "/{id}/events",
    response_class=Response,
    summary="Progress as it happens",
    dependencies=[WAITS],
    responses={**EVENTS, **responses(*OWN, Code.INVALID)},
)
async def events(
    id: JobId,
    context: Reach,
    owner: Owner,
    last_event_id: Annotated[
        int, Header(description="Revision seen last: what has changed since comes.", ge=0, le=2**53)
    ] = 0,
) -> Response:
    job = await own_job(id, context, owner)
    if job.state.ended and job.revision <= last_event_id:
        return Response(status_code=204)
    return EventSourceResponse(_events(job.id, last_event_id, context), headers=STREAM)


async def _events(id: str, seen: int, context: Context) -> AsyncIterator[bytes]:
    yield format_sse_event(retry=2000)
    async for job in context.watcher.changes(id, seen):
        yield KEEPALIVE_COMMENT if job is None else _event(job)


def _event(job: Job) -> bytes:
    data = Progress(
        state=job.state,
        stage=job.stage,
        fraction=round(job.fraction, 4),
        stages={progress.stage: round(progress.fraction, 4) for progress in job.stages},
    )
    kind = "end" if job.state.ended else "progress"
    return format_sse_event(id=str(job.revision), event=kind, data_str=data.model_dump_json())


# --------------------------------------------------------------------------- results

ENDED = (*OWN, Code.NOT_FINISHED, Code.JOB_FAILED)


@router.get(
    "/{id}/result",
    response_class=Response,
    summary="The result, as result.json of the command",
    responses={
        **RESULT,
        **responses(*ENDED),
    },
)
async def result(id: JobId, request: Request, context: Reach, owner: Owner) -> Response:
    return await export(id, "json", request, context, owner)


@router.get(
    "/{id}/export/{format}",
    response_class=Response,
    summary="The result in a format",
    responses={
        200: {
            "description": "The file, as the command writes it, under its format's media type.",
            "content": EXPORTS,
        },
        **responses(*ENDED, Code.INVALID),
    },
)
async def export(id: JobId, format: FormatName, request: Request, context: Reach, owner: Owner) -> Response:
    job = await own_job(id, context, owner)
    check_succeeded(job)

    def answer() -> Response:
        file = context.storage.left(job.id, Stage.STORE, job.accepted(Stage.STORE), f"result.{format}")
        stem = Path(context.storage.request(job.id).recording_name).stem.lstrip(". ") or "recording"
        headers = named(f"{stem}.{format}") | (PAGE if format == "html" else {})
        return send(file, request, FORMATS[format].media_type, headers)

    return await _unless_deleted(answer)


async def _unless_deleted(answer: Callable[[], Response]) -> Response:
    """Made in a thread. Raises ProblemError where the job was deleted a moment ago."""
    try:
        return await run_in_threadpool(answer)
    except FileNotFoundError:
        raise ProblemError(Code.NOT_FOUND, "There is no job with this id any more.") from None


def check_succeeded(job: Job) -> None:
    """Raises ProblemError where there is no result."""
    if not job.state.ended:
        detail = "The job has not ended: wait for it, or watch its events."
        raise ProblemError(Code.NOT_FINISHED, detail, {"Retry-After": "2"})
    if job.state is not JobState.SUCCEEDED:
        raise ProblemError(Code.JOB_FAILED, f"The job has {job.state}: there is no result.")


@router.get(
    "/{id}/heard",
    response_class=Response,
    summary="The words heard, as soon as they are there; can be sent with another job",
    responses={**HEARD, **responses(*OWN, Code.NOT_FINISHED)},
)
async def show_heard(id: JobId, context: Reach, owner: Owner) -> Response:
    words = await _left(await own_job(id, context, owner), context, Stage.TRANSCRIBE, Heard)
    return Response(heard.serialize(words), media_type="application/json", headers=named("heard.json"))


@router.get(
    "/{id}/diarization",
    response_class=Response,
    summary="Who speaks when, as soon as it is known; can be sent with another job",
    responses={**DIARIZATION, **responses(*OWN, Code.NOT_FINISHED)},
)
async def show_diarization(id: JobId, context: Reach, owner: Owner) -> Response:
    job = await own_job(id, context, owner)
    diarized = await _left(job, context, Stage.DIARIZE, Diarized)

    def answer() -> Response:
        name = context.storage.request(job.id).recording_name
        text = rttm.serialize_segments(diarized.diarization.segments, name)
        return Response(text, media_type="text/plain", headers=named("diarization.rttm"))

    return await _unless_deleted(answer)


async def _left(job: Job, context: Context, stage: Stage, type: type[Value]) -> Value:
    def load() -> Value:
        return artifacts.load(context.storage.left(job.id, stage, job.accepted(stage), artifacts.LEFT), type)

    try:
        return await run_in_threadpool(load)
    except FileNotFoundError:
        detail = f"The stage {stage} is not done: look at the job."
        raise ProblemError(Code.NOT_FINISHED, detail) from None


@router.get(
    "/{id}/audio",
    response_class=Response,
    summary="The recording as it was sent, or a range of it",
    responses={
        **AUDIO,
        **responses(*OWN, Code.RANGE),
    },
)
async def audio(
    id: JobId,
    request: Request,
    context: Reach,
    owner: Owner,
    range: Annotated[str, Header(description="bytes=START-END")] = "",
) -> Response:
    job = await own_job(id, context, owner)

    def answer() -> Response:
        name = context.storage.request(job.id).recording_name
        guessed = mimetypes.guess_type(name)[0] or ""
        media_type = guessed if guessed.startswith(("audio/", "video/")) else "application/octet-stream"
        return send(context.storage.recording(job.id), request, media_type, named(name))

    return await _unless_deleted(answer)
