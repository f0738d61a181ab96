"""/v1/audio/transcriptions: OpenAI's API on top of a job. A request that waits holds no thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Header, Request, Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.concurrency import run_in_threadpool

from pipelines.errors import EngineMemoryError, EngineMissingError, InputError, ModelError, code_of
from pipelines.pipeline import Stage
from pipelines.types import Transcript
from service.api.access import ACCESS, WAITS, Owner
from service.api.context import Context, Reach
from service.api.descriptions import EXPORTS, TEXT
from service.api.forms import receive
from service.api.handlers import document
from service.api.job_routes import STREAM, stop
from service.api.shapes import INTERNAL
from service.api.submission import SUBMISSION, incoming, submit
from service.files import artifacts
from service.files.storage import FAILURE, Failure, Storage
from service.files.storage import Request as JobRequest
from service.openai.answers import (
    MEDIA_TYPES,
    DiarizedTranscription,
    Transcription,
    VerboseTranscription,
    Wish,
    events,
    serialize,
    serialize_event,
)
from service.openai.form import TranscriptionForm, parse
from service.problems import Code, ProblemError, responses
from service.records import jobs
from service.records.jobs import Job, JobState

router = APIRouter(prefix="/v1/audio", tags=["transcriptions"])

FINAL = {"X-Should-Retry": "false"}  # for OpenAI's libraries: a retry would fail again

STREAMED = {
    "schema": {
        "type": "object",
        "description": "One event.",
        "properties": {"data": TEXT | {"contentMediaType": "application/json"}},
    },
    "example": {"data": '{"type":"transcript.text.delta","delta":"Good evening."}'},
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Transcription | VerboseTranscription | DiarizedTranscription,
        "description": "The transcript in the requested format. The job is kept, like one of POST /v1/jobs.",
        "headers": {"Turnwise-Job": {"description": "Id of the job.", "schema": {"type": "string"}}},
        "content": {
            "application/json": {
                "example": {"text": "Good evening.", "usage": {"type": "duration", "seconds": 60.0}}
            },
            "text/plain": {"schema": TEXT, "example": "Good evening.\n"},
            **{media_type: EXPORTS[media_type] for media_type in ("application/x-subrip", "text/vtt")},
            "text/event-stream": STREAMED,
        },
    },
    **responses(*ACCESS, *SUBMISSION, Code.JOB_FAILED, Code.INTERNAL),
}


@router.post(
    "/transcriptions",
    response_class=Response,
    response_model=None,
    summary="Transcribe, or align a text, with OpenAI's API",
    dependencies=[WAITS],
    responses=ANSWERS,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": TranscriptionForm.model_json_schema(),
                    "example": {
                        "file": "(the file's bytes)",
                        "model": "whisper-1",
                        "response_format": "json",
                    },
                }
            },
        }
    },
)
async def create(
    request: Request,
    context: Reach,
    owner: Owner,
    idempotency_key: Annotated[
        str,
        Header(
            description="With a key, the job continues if the caller disconnects, and repeating the request"
            " waits for the same job. Without one, the job is then cancelled.",
            max_length=255,
        ),
    ] = "",
) -> Response:
    """Accepts the requests of OpenAI's API and answers as it does, so that its libraries and programs written
    for it work unchanged. For a long recording, set a long timeout in the client, or use POST /v1/jobs, which
    needs none."""
    settings = context.settings
    async with incoming(context, owner, idempotency_key) as (id, folder, used):
        places = {
            "file": (folder.recording, settings.max_upload_bytes),
            "text": (folder.text, settings.max_text_bytes),
        }
        form = await receive(request, context, places, used)
        options = parse(form.fields, ours=settings.are_engines_ours)
        missing = "The field file is missing: send the recording as a file."
        hashes = await run_in_threadpool(form.hashes, folder, "file", missing)
        asked = JobRequest(form.files["file"].name or "recording", form.text_name, options.options)
        job = await submit(context, id, folder, asked, hashes, owner, idempotency_key)
    headers = {"Turnwise-Job": job.id}
    if options.stream:
        stream = _stream(job, options.wish, context, kept=bool(idempotency_key))
        return EventSourceResponse(stream, headers=headers | STREAM)
    async with _cancelled_if_left(job, context, kept=bool(idempotency_key)):
        await _wait(job, request, context)
        transcript = await _transcript(job, context)
    body = await run_in_threadpool(serialize, transcript, options.wish)
    return Response(body, media_type=MEDIA_TYPES[options.wish.format], headers=headers)


@asynccontextmanager
async def _cancelled_if_left(job: Job, context: Context, kept: bool) -> AsyncIterator[None]:
    """Cancels the job if the caller is answered, or disconnects, before it has ended; not if it is kept."""
    try:
        yield
    finally:
        if not kept:
            with anyio.CancelScope(shield=True):  # a disconnect cancels this very task
                await stop(job, context)


async def _wait(job: Job, request: Request, context: Context) -> None:
    """Waits until the job has ended or is deleted. Raises ProblemError if the caller disconnects before."""

    async def watch() -> None:
        async for _ in context.watcher.changes(job.id):
            pass

    async def listen() -> None:  # the request's body has been read already
        while (await request.receive())["type"] != "http.disconnect":
            pass

    ended, gone = asyncio.create_task(watch()), asyncio.create_task(listen())
    try:
        await asyncio.wait((ended, gone), return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            raise ProblemError(Code.TIMEOUT, "The caller disconnected before the job ended.")
        ended.result()
    finally:
        ended.cancel()
        gone.cancel()


async def _transcript(job: Job, context: Context) -> Transcript:
    """Returns the transcript of the job. Raises ProblemError if there is none."""
    ended = await context.transact(jobs.find, job.id)
    if ended is not None and ended.state is JobState.SUCCEEDED:
        try:
            return await run_in_threadpool(_load, ended, context.storage)
        except FileNotFoundError:
            ended = None
    failure = await run_in_threadpool(context.storage.noted, job.id, FAILURE, Failure)
    raise _problem(job.id, ended, failure)


def _load(job: Job, storage: Storage) -> Transcript:
    file = storage.left(job.id, Stage.STORE, job.accepted(Stage.STORE), artifacts.TRANSCRIPT)
    return artifacts.load(file, Transcript)


def _problem(id: str, job: Job | None, failure: Failure | None) -> ProblemError:
    """Returns the reason why there is no transcript."""
    headers = {"Turnwise-Job": id}
    if job is None:
        return ProblemError(Code.JOB_FAILED, "The job was deleted while it ran.", headers | FINAL)
    if not job.state.ended:
        detail = "The service is being stopped: send the request again."
        return ProblemError(Code.UNAVAILABLE, detail, headers | {"Retry-After": "5"})
    if job.state is JobState.CANCELLED:
        return ProblemError(Code.JOB_FAILED, "The job was cancelled.", headers | FINAL)
    message = failure.message if failure else INTERNAL
    code = Code.UNAVAILABLE if job.failure in LACKING else Code.INTERNAL
    return ProblemError(Code.INVALID if job.failure in INPUT else code, message, headers | FINAL)


def _family(*kinds: type[Exception]) -> Iterator[str]:
    """Yields the codes of these errors and of all their subclasses."""
    for kind in kinds:
        yield code_of(kind)
        yield from _family(*kind.__subclasses__())


INPUT = frozenset(_family(InputError))
"""Failures caused by the recording, the text or the options."""
LACKING = frozenset(_family(EngineMissingError, EngineMemoryError, ModelError))
"""Failures that the operator of the service has to fix."""


async def _stream(job: Job, wish: Wish, context: Context, kept: bool) -> AsyncIterator[bytes]:
    """Yields comments while the job runs, then the events, or an error as OpenAI's libraries expect it."""
    async with _cancelled_if_left(job, context, kept):
        yield format_sse_event(comment="the job is running")
        async for change in context.watcher.changes(job.id):
            if change is None:
                yield KEEPALIVE_COMMENT
        try:
            transcript = await _transcript(job, context)
        except ProblemError as error:
            yield format_sse_event(data_str=document(error).model_dump_json(ensure_ascii=True))
            return
    for data in await run_in_threadpool(lambda: list(map(serialize_event, events(transcript, wish)))):
        yield format_sse_event(data_str=data)
