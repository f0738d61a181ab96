"""/v1/audio/transcriptions: OpenAI's API around a job. The request waits for its end, and no thread with
it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Header, Request, Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.concurrency import run_in_threadpool

from pipelines.errors import EngineMemoryError, EngineMissingError, InputError, ModelError
from pipelines.pipeline import Stage
from pipelines.types import Transcript
from service.api.access import ACCESS, WAITS, Owner
from service.api.context import Context, Reach
from service.api.job_routes import STREAM, stop
from service.api.submission import Form, incoming, receive, submit
from service.api.tracing import request_id
from service.files import artifacts
from service.files.storage import Failure, JobFolder, Storage, failure_of
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
from service.openai.form import TranscriptionForm, TranscriptionOptions, parse
from service.problems import Code, Problem, ProblemError, responses, snake
from service.records import jobs
from service.records.jobs import Job, JobState
from service.settings import Settings

router = APIRouter(prefix="/v1/audio", tags=["transcriptions"])

FINAL = {"X-Should-Retry": "false"}  # which OpenAI's libraries heed: the same again would fail again

TEXT = {"type": "string"}
EXAMPLES = {
    "text/plain": "Good evening.\n",
    "application/x-subrip": "1\n00:00:00,000 --> 00:00:01,200\nGood evening.\n",
    "text/vtt": "WEBVTT\n\n00:00.000 --> 00:01.200\nGood evening.\n",
}
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
        "description": "The transcript in the format asked for. The job stays, as one of POST /v1/jobs.",
        "headers": {"Turnwise-Job": {"description": "Id of the job.", "schema": {"type": "string"}}},
        "content": {
            "application/json": {
                "example": {"text": "Good evening.", "usage": {"type": "duration", "seconds": 60.0}}
            },
            **{media_type: {"schema": TEXT, "example": text} for media_type, text in EXAMPLES.items()},
            "text/event-stream": STREAMED,
        },
    },
    **responses(
        *ACCESS,
        Code.BAD_REQUEST,
        Code.TIMEOUT,
        Code.KEY_REUSED,
        Code.JOB_FAILED,
        Code.TOO_LARGE,
        Code.MEDIA_TYPE,
        Code.INVALID,
        Code.QUEUE_FULL,
        Code.INTERNAL,
        Code.DISK_FULL,
    ),
}


@router.post(
    "/transcriptions",
    response_class=Response,
    response_model=None,
    summary="Transcribe, or align a text, as OpenAI's API",
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
            description="With it, the job goes on when the caller goes away, and the same request again waits"
            " for it; without it, the job is cancelled then.",
            max_length=255,
        ),
    ] = "",
) -> Response:
    """Takes what OpenAI's API takes and answers as it does, so that its libraries, and programs
    made for it, work as they are. A long recording needs a long timeout of the caller's; POST /v1/jobs needs
    none."""
    settings = context.settings
    async with incoming(context, owner, idempotency_key) as (id, folder):
        form = await receive(request, context, _places(folder, settings))
        options = parse(form.fields, ours=settings.engines == Settings.model_fields["engines"].default)
        sent = await run_in_threadpool(_sent, form, folder)
        job = await submit(context, id, folder, _asked(form, options), sent, owner, idempotency_key)
    headers = {"Turnwise-Job": job.id}
    if options.stream:
        stream = _stream(job, options.wish, context, kept=bool(idempotency_key))
        return EventSourceResponse(stream, headers=headers | STREAM)
    async with _cancelled_if_left(job, context, kept=bool(idempotency_key)):
        await _wait(job, request, context)
        transcript = await _transcript(job, context)
    body = await run_in_threadpool(serialize, transcript, options.wish)
    return Response(body, media_type=MEDIA_TYPES[options.wish.format], headers=headers)


# --------------------------------------------------------------------------- what is asked


def _places(folder: JobFolder, settings: Settings) -> dict[str, tuple[Any, int]]:
    return {
        "file": (folder.recording, settings.max_upload_bytes),
        "text": (folder.text, settings.max_text_bytes),
    }


def _sent(form: Form, folder: JobFolder) -> dict[str, str]:
    """The hashes of recording and text; an empty text is none."""
    if "file" not in form.files:
        raise ProblemError(Code.INVALID, "There is no field file: send the recording as a file.")
    if "text" in form.files and not form.files["text"].size_bytes:
        folder.text.unlink()
        del form.files["text"]
    return {name: file.sha256 for name, file in form.files.items()}


def _asked(form: Form, options: TranscriptionOptions) -> JobRequest:
    text = form.files.get("text")
    recording_name = form.files["file"].name or "recording"
    return JobRequest(recording_name, (text.name or "text") if text else "", options.options)


# --------------------------------------------------------------------------- waiting


@asynccontextmanager
async def _cancelled_if_left(job: Job, context: Context, kept: bool) -> AsyncIterator[None]:
    """Cancels the job if it has not ended when the caller is answered or gone, unless it is kept."""
    try:
        yield
    finally:
        if not kept:
            with anyio.CancelScope(shield=True):  # a caller that goes away cancels this very task
                await stop(job, context)


async def _wait(job: Job, request: Request, context: Context) -> None:
    """Until the job has ended. Raises ProblemError if the caller goes away before."""
    ended = asyncio.create_task(_until_ended(job, context))
    gone = asyncio.create_task(_until_gone(request))
    try:
        await asyncio.wait((ended, gone), return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            raise ProblemError(Code.TIMEOUT, "The caller went away before the job had ended.")
        ended.result()
    finally:
        ended.cancel()
        gone.cancel()


async def _until_ended(job: Job, context: Context) -> None:
    """Until the job has ended or was deleted, or the server is stopped."""
    async for _ in context.watcher.changes(job.id):
        pass


async def _until_gone(request: Request) -> None:
    """Until the caller has gone away; what it sent has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


# --------------------------------------------------------------------------- answering


async def _transcript(job: Job, context: Context) -> Transcript:
    """What came of the job. Raises ProblemError where nothing did."""
    ended = await context.transact(jobs.find, job.id)
    if ended is not None and ended.state is JobState.SUCCEEDED:
        try:
            return await run_in_threadpool(_load, ended, context.storage)
        except FileNotFoundError:
            ended = None
    failure = await run_in_threadpool(failure_of, job.id, context.storage)
    raise _problem(job.id, ended, failure)


def _load(job: Job, storage: Storage) -> Transcript:
    file = storage.left(job.id, Stage.STORE, job.accepted(Stage.STORE), artifacts.TRANSCRIPT)
    return artifacts.load(file, Transcript)


def _problem(id: str, job: Job | None, failure: Failure | None) -> ProblemError:
    """Why there is no transcript."""
    headers = {"Turnwise-Job": id}
    if job is None:
        detail = "The job was deleted while this request waited for it."
        return ProblemError(Code.JOB_FAILED, detail, headers | FINAL)
    if not job.state.ended:
        detail = "The service is being stopped: send the request again."
        return ProblemError(Code.UNAVAILABLE, detail, headers | {"Retry-After": "5"})
    if job.state is JobState.CANCELLED:
        return ProblemError(Code.JOB_FAILED, "The job was cancelled.", headers | FINAL)
    message = failure.message if failure else "A fault of ours: please report it with the id of the job."
    return ProblemError(_code(job.failure), message, headers | FINAL)


def _code(failure: str) -> Code:
    if failure in INPUT:
        return Code.INVALID
    return Code.UNAVAILABLE if failure in LACKING else Code.INTERNAL


def _family(*kinds: type[Exception]) -> Iterator[str]:
    """The codes of these errors and of all below them."""
    for kind in kinds:
        yield snake(kind.__name__)
        yield from _family(*kind.__subclasses__())


INPUT = frozenset(_family(InputError))
"""Failures that are the recording's, the text's or the options'."""
LACKING = frozenset(_family(EngineMissingError, EngineMemoryError, ModelError))
"""Failures for whoever runs the service to set right."""


async def _stream(job: Job, wish: Wish, context: Context, kept: bool) -> AsyncIterator[bytes]:
    """Comments while the job is under way, then the events, or what OpenAI's libraries raise as an error."""
    async with _cancelled_if_left(job, context, kept):
        yield format_sse_event(comment="the job is under way")
        async for change in context.watcher.changes(job.id):
            if change is None:
                yield KEEPALIVE_COMMENT
        try:
            transcript = await _transcript(job, context)
        except ProblemError as error:
            problem = Problem.of(error.code, error.detail, request_id())
            yield format_sse_event(data_str=problem.model_dump_json(ensure_ascii=True))
            return
    for data in await run_in_threadpool(_events, transcript, wish):
        yield format_sse_event(data_str=data)


def _events(transcript: Transcript, wish: Wish) -> list[str]:
    return [serialize_event(event) for event in events(transcript, wish)]
