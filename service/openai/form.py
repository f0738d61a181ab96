"""The fields of POST /v1/audio/transcriptions: OpenAI's, and two of our own.

Specification: OpenAI's API reference, "Create transcription". Lists come as `name[]`, once for each entry, as
OpenAI's libraries send them; `name` alone is accepted too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Literal, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema, field_validator
from pydantic_core import ErrorDetails

from pipelines.engines import AUTO, TRANSCRIBERS, check_name
from pipelines.errors import OptionError
from pipelines.types import MOST_SPEAKERS, Options, speaker_count, terms
from service.fields import EngineName, Language, Term, reason
from service.openai.answers import Granularity, ResponseFormat, Wish
from service.problems import Code, ProblemError

OPENAI_MODELS = (
    "whisper-1",
    "gpt-transcribe",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe-diarize",
)
"""OpenAI's own model names: each stands for the engine that the service is configured with."""

NO_MODEL = (
    "There is no such model: choose auto or whisper-1 for the configured engine, or one of {}, followed by"
    " a model as in whisper:small (GET /v1/engines lists them)."
)

TERM_WORDS = 6
"""The most words that a name or term in a prompt may have; a longer piece is a sentence."""

Format = Annotated[
    ResponseFormat, WithJsonSchema({"type": "string", "enum": [format.value for format in ResponseFormat]})
]
Grain = Annotated[
    Granularity, WithJsonSchema({"type": "string", "enum": [grain.value for grain in Granularity]})
]


class TranscriptionOptions(BaseModel):
    """What a caller may set besides the recording and its text."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid", frozen=True)

    model: EngineName = Field(default=AUTO, min_length=1, examples=["whisper-1", "faster-whisper:small"])
    """The engine that recognises words, as NAME or NAME:MODEL (GET /v1/engines lists them); `auto`, or one of
    OpenAI's names such as whisper-1 or gpt-4o-transcribe-diarize, for the configured one."""

    language: Language = Field(default="", examples=["en"])
    """Language spoken, as a BCP 47 tag; detected if left out."""

    languages: tuple[Language, ...] = Field(default=(), examples=[["en"]])
    """The same as `language` with one entry; with several, the language is detected."""

    prompt: str = Field(default="", max_length=20_000, examples=["Ana Ruiz, University of Basel"])
    """Names and terms that occur, for their spelling, separated by commas, semicolons or line breaks. Pieces
    of more than six words are taken for sentences and ignored."""

    keywords: tuple[Term, ...] = Field(default=(), examples=[["Ana Ruiz"]])
    """Names and terms that occur, one per entry."""

    response_format: Format = ResponseFormat.JSON
    """Format of the answer. `diarized_json`, `srt` and `vtt` say who speaks."""

    timestamp_granularities: tuple[Grain, ...] = Field(default=(), examples=[["word", "segment"]])
    """What `verbose_json` gives times for; segments if left out."""

    include: tuple[Literal["logprobs"], ...] = Field(default=(), examples=[["logprobs"]])
    """`logprobs`: the confidence of each word, in `json` and in streams."""

    stream: bool = False
    """Answer with server-sent events once the transcript is ready: the text piece by piece, with its segments
    in `diarized_json`, then as a whole."""

    speakers: int = Field(default=0, ge=0, le=MOST_SPEAKERS, examples=[2])
    """How many speakers there are; 0 for as many as are found (not in OpenAI's API)."""

    temperature: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    """Has no effect: results are not random."""

    chunking_strategy: str = Field(default="", examples=["auto"])
    """Has no effect: speech is always detected first."""

    known_speaker_names: tuple[str, ...] = Field(default=(), json_schema_extra={"maxItems": 0})
    """Refused: voices are not compared with samples. Names come from what is said."""

    known_speaker_references: tuple[str, ...] = Field(default=(), json_schema_extra={"maxItems": 0})
    """Refused, as `known_speaker_names`."""

    @field_validator("known_speaker_names", "known_speaker_references")
    @classmethod
    def _refuse(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value:
            raise ValueError("voices are not compared with samples here: leave it out")
        return value

    @property
    def asr(self) -> str:
        """The engine that recognises words; "" for the configured one."""
        return "" if self.model == AUTO or self.model in OPENAI_MODELS else self.model

    @property
    def spoken_language(self) -> str:
        """BCP 47 tag, "" to detect it."""
        return self.language or (self.languages[0] if len(self.languages) == 1 else "")

    @property
    def options(self) -> Options:
        """The options as the library takes them."""
        return Options(
            language=self.spoken_language,
            speakers=speaker_count(self.speakers or None),
            glossary=terms([*_terms(self.prompt), *self.keywords]),
            asr=self.asr,
        )

    @property
    def wish(self) -> Wish:
        """The form in which the transcript is wanted."""
        return Wish(self.response_format, frozenset(self.timestamp_granularities), "logprobs" in self.include)


LISTS = [name for name, f in TranscriptionOptions.model_fields.items() if get_origin(f.annotation) is tuple]
"""The fields that may come more than once."""


class TranscriptionForm(TranscriptionOptions):
    """The whole form, as the OpenAPI document describes it."""

    file: Annotated[
        bytes,
        WithJsonSchema(
            {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
        ),
    ]
    """The recording: any audio or video file."""

    text: str = Field(default="", examples=["Good evening. Joining me is Ana Ruiz …"])
    """The text to align (not in OpenAI's API): plain, SRT, WebVTT or JSON, as a field or a file. Without it,
    the answer is what was recognised."""


def parse(fields: Iterable[tuple[str, str]], ours: bool = True) -> TranscriptionOptions:
    """Reads the options from a form's fields, all but `file` and `text`.

    `ours`: whether the engines are those of this project. Raises ProblemError, which names the field.
    """
    try:
        options = TranscriptionOptions.model_validate(_gathered(fields))
    except ValidationError as error:
        raise _problem(error.errors()[0]) from None
    if ours:
        try:
            check_name(TRANSCRIBERS, options.asr)
        except OptionError:
            known = ", ".join(entry.name for entry in TRANSCRIBERS)
            raise ProblemError(Code.INVALID, NO_MODEL.format(known)) from None
    return options


def _gathered(fields: Iterable[tuple[str, str]]) -> Mapping[str, str | list[str]]:
    """Each name with its value, or with its values where it is a list."""
    single: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    for written, value in fields:
        name, _, part = written.partition("[")
        if name in LISTS:
            lists.setdefault(name, []).append(value)
        elif part and name == "chunking_strategy":
            single[name] = "server_vad"  # OpenAI's libraries send each setting of it: …[type]
        elif written in single:
            raise ProblemError(Code.INVALID, f"The field {_shown(written)} comes twice: send it once.")
        else:
            single[written] = value
    return {**single, **lists}


def _problem(error: ErrorDetails) -> ProblemError:
    name = _shown(str(error["loc"][0]))
    if error["type"] == "extra_forbidden":
        known = ", ".join(["file", "text", *TranscriptionOptions.model_fields])
        return ProblemError(Code.INVALID, f"There is no field {name}: the fields are {known}.")
    return ProblemError(Code.INVALID, f"The field {name} cannot be used: {reason(error)}.")


def _shown(name: str) -> str:
    """Makes a name that a caller sent fit for a sentence."""
    return repr(name if len(name) <= 40 else f"{name[:40]}…")


def _terms(prompt: str) -> Iterator[str]:
    """The pieces of a prompt that are short enough to be terms."""
    for piece in re.split(r"[,;\n]+", prompt):
        term = piece.strip().rstrip(".")
        if len(term.split()) <= TERM_WORDS:
            yield term
