"""Requests and answers of the API, as the OpenAPI document describes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from pipelines.engines import DIARIZERS, TRANSCRIBERS, Entry, check_name
from pipelines.errors import OptionError
from pipelines.types import MOST_SPEAKERS, Options, speaker_count, terms
from service.fields import EngineName, Language, Term, reason, said
from service.files.storage import Failure, Request
from service.problems import Code, ProblemError
from service.records.jobs import Job, JobState, StageState

Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=64)],
        Annotated[str, StringConstraints(max_length=512)],
    ],
    Field(max_length=16, examples=[{"episode": "2026-11-25"}]),
]


def _number(value: object) -> object:
    """Raises ValueError for true and "3", which pydantic would convert."""
    if isinstance(value, bool | str):
        raise ValueError("it must be a whole number")
    return value


Count = Annotated[int, Field(ge=1, le=MOST_SPEAKERS), BeforeValidator(_number)]

EXAMPLE_ID = "0192f7c66f1e7e4b9d5c0b8e3f6a1d27"
ID_PATTERN = "^[0-9a-f]{32}$"


INTERNAL = "An internal error: please report it with the id of this job."
Fraction = Annotated[
    float, Field(ge=0, le=1, examples=[0.42]), AfterValidator(lambda fraction: round(fraction, 4))
]


class Shape(BaseModel):
    model_config = ConfigDict(
        use_attribute_docstrings=True, extra="forbid", frozen=True, from_attributes=True
    )


class JobOptions(Shape):
    """Options of a job, all of them optional."""

    asr: EngineName = Field(default="", examples=["faster-whisper:small"])
    """Engine that recognises words, as NAME or NAME:MODEL; GET /v1/engines lists them."""
    diarizer: EngineName = Field(default="", examples=["embedded"])
    """Engine that separates speakers, as NAME or NAME:MODEL."""
    language: Language = Field(default="", examples=["en"])
    """Language spoken, as a BCP 47 tag; detected if left out."""
    speakers: Count | None = Field(default=None, examples=[3])
    """Exact number of speakers."""
    min_speakers: Count | None = Field(default=None, examples=[2])
    """Least number of speakers; not together with `speakers`."""
    max_speakers: Count | None = Field(default=None, examples=[4])
    """Greatest number of speakers; not together with `speakers`."""
    glossary: tuple[Term, ...] = Field(default=(), max_length=10_000, examples=[["Tobias Renner"]])
    """Names and terms as they should be spelt."""
    webhook: str = Field(default="", max_length=2000, examples=["https://news.example.org/turnwise"])
    """URL that is called when the job has ended, signed as Standard Webhooks specifies."""
    metadata: Metadata = Field(default={})
    """Notes of your own, returned with the job and its webhook."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        said(lambda: self.options)
        return self

    @property
    def options(self) -> Options:
        """Returns the options in the library's form."""
        return Options(
            language=self.language,
            speakers=speaker_count(self.speakers, self.min_speakers, self.max_speakers),
            glossary=terms(self.glossary),
            asr=self.asr,
            diarizer=self.diarizer,
        )

    def request(self, recording_name: str, text_name: str) -> Request:
        """Returns the request that the job's folder keeps."""
        return Request(recording_name, text_name, self.options, self.webhook, self.metadata)


def parse_options(text: str) -> JobOptions:
    """Reads options from JSON. Raises ProblemError for the first invalid value."""
    try:
        return JobOptions.model_validate_json(text or "{}")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["options", *(str(part)[:64] for part in first["loc"])])
        raise ProblemError(Code.INVALID, f"{where}: {reason(first)}.") from None


def check_engines(options: JobOptions, ours: bool) -> None:
    """Raises ProblemError for an unknown engine, if the engines are `ours` and not an operator's own."""
    tables: dict[str, Sequence[Entry[Any]]] = {"asr": TRANSCRIBERS, "diarizer": DIARIZERS} if ours else {}
    for name, table in tables.items():
        try:
            check_name(table, getattr(options, name))
        except OptionError as error:
            raise ProblemError(Code.INVALID, f"options.{name}: {error}") from None


class StageView(Shape):
    """One stage of a job."""

    stage: str = Field(examples=["transcribe"])
    state: StageState
    fraction: Fraction
    """Progress of the stage; never decreases."""
    started: datetime | None = Field(examples=["2026-11-25T20:15:03Z"])
    finished: datetime | None = Field(examples=[None])


class FailureView(Shape):
    """Why a job failed."""

    stage: str = Field(examples=["decode"])
    code: str = Field(examples=["not_media"])
    """Stable, for programs."""
    message: str = Field(examples=["talk.txt is not audio or video that can be opened: choose a WAV file."])
    """One sentence that says what to do."""


class JobView(Shape):
    """A job."""

    id: str = Field(examples=[EXAMPLE_ID])
    state: JobState
    recording: str = Field(examples=["interview.mp3"])
    """File name of the recording, as it was sent."""
    text: str = Field(examples=["interview.txt"])
    """File name of the text, "" if none was sent."""
    metadata: Metadata
    """As it was sent."""
    stage: str = Field(examples=["transcribe"])
    """The stage that is running, "" if none is."""
    fraction: Fraction
    """Progress of the whole job; never decreases."""
    stages: tuple[StageView, ...]
    created: datetime = Field(examples=["2026-11-25T20:15:00Z"])
    started: datetime | None = Field(examples=["2026-11-25T20:15:01Z"])
    finished: datetime | None = Field(examples=[None])
    failure: FailureView | None = Field(examples=[None])
    """Where and why the job failed; results of its finished stages are under /heard and /diarization."""

    @classmethod
    def of(cls, job: Job, request: Request, failure: Failure | None) -> JobView:
        return cls(
            id=job.id,
            state=job.state,
            recording=request.recording_name,
            text=request.text_name,
            metadata=request.metadata,
            stage=job.stage,
            fraction=job.fraction,
            stages=tuple(map(StageView.model_validate, job.stages)),
            created=datetime.fromtimestamp(job.created, UTC),
            started=_moment(job.started),
            finished=_moment(job.finished),
            failure=_failure(job, failure),
        )


class Page(Shape):
    """One page of jobs, newest first."""

    jobs: tuple[JobView, ...]
    cursor: str = Field(examples=[EXAMPLE_ID])
    """Send it as `cursor` for the next page; "" on the last one."""


class Progress(Shape):
    """Progress of a job, as events report it."""

    state: JobState
    stage: str = Field(examples=["transcribe"])
    """The stage that is running, "" if none is."""
    fraction: Fraction
    """Progress of the whole job; never decreases."""
    stages: dict[str, Fraction] = Field(examples=[{"decode": 1.0, "detect": 1.0, "transcribe": 0.5}])
    """Progress of each stage."""


class EndedJob(Shape):
    """The job in the body of a webhook."""

    id: str = Field(examples=[EXAMPLE_ID])
    state: Literal["succeeded", "failed", "cancelled"]
    metadata: Metadata
    """As it was sent."""


class Ended(Shape):
    """The body of a webhook: a job has ended. GET /v1/jobs/{id} gives the details."""

    type: Literal["job.succeeded", "job.failed", "job.cancelled"]
    timestamp: datetime = Field(examples=["2026-11-25T20:17:30.250Z"])
    """When the job ended."""
    data: EndedJob


class UploadView(Shape):
    """A resumable upload."""

    id: str = Field(examples=[EXAMPLE_ID])
    """Send it as `upload` with POST /v1/jobs when the whole recording has arrived."""


class ModelView(Shape):
    name: str = Field(examples=["faster-whisper:small"])
    ready: bool
    """Whether the model is installed."""


class EngineView(Shape):
    """An engine."""

    name: str = Field(examples=["faster-whisper"])
    summary: str = Field(examples=["Whisper in CTranslate2: as good as whisper, several times faster"])
    """What it is, and how good."""
    ready: bool
    """Whether the engine and one of its models are installed."""
    models: tuple[ModelView, ...]


class Engines(Shape):
    """The engines that options can name."""

    asr: tuple[EngineView, ...]
    diarizer: tuple[EngineView, ...]


class Health(Shape):
    """Whether the service works."""

    status: str = Field(examples=["ok"])


def _failure(job: Job, failure: Failure | None) -> FailureView | None:
    if job.state is not JobState.FAILED:
        return None
    return FailureView.model_validate(failure or Failure(job.failed_stage, job.failure, INTERNAL))


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
