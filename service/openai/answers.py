"""The answers of OpenAI's transcription API, made from a transcript.

Specification: OpenAI's API reference, "Create transcription" (POST /v1/audio/transcriptions), and the types
of the Python package `openai`, which the tests validate every answer with.

`text`, words and segments are the supplied text without what was not spoken, or the words recognised where
none was supplied. SRT and WebVTT are captions for display and so the corrected reading, as everywhere.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count, pairwise, product
from string import ascii_uppercase
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pipelines import formats
from pipelines.formats import one_line
from pipelines.text import ends_sentence, english_name, glued, join_tokens
from pipelines.types import AlignedToken, Match, Transcript, Turn, encodable

PAUSE = 1.0
"""Seconds of silence that end a segment where no sentence ends."""

LONGEST = 30.0
"""Seconds that a segment may last; only a single word may last longer. Whisper has the same limit."""

LEAST_CONFIDENCE = 1e-4
"""Confidences are raised to this before the logarithm is taken; that of 0 would not be finite."""


class ResponseFormat(StrEnum):
    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VERBOSE_JSON = "verbose_json"
    VTT = "vtt"
    DIARIZED_JSON = "diarized_json"


class Granularity(StrEnum):
    WORD = "word"
    SEGMENT = "segment"


Seconds = Annotated[float, AfterValidator(lambda seconds: round(seconds, 3))]
Time = Annotated[Seconds, Field(description="Seconds from the start of the recording.")]


class Answered(BaseModel):
    """Base of all of OpenAI's objects here."""

    model_config = ConfigDict(use_attribute_docstrings=True, frozen=True)


class Usage(Answered):
    """What the request cost: seconds of the recording."""

    type: Literal["duration"] = "duration"
    seconds: Seconds = Field(examples=[60.0])
    """Length of the recording."""


class Logprob(Answered):
    """The confidence of a word."""

    token: str = Field(examples=["evening."])
    """The word."""
    bytes: list[int] = Field(examples=[[101, 118, 101, 110, 105, 110, 103, 46]])
    """The word in UTF-8."""
    logprob: float = Field(examples=[-0.051])
    """Natural logarithm of the word's confidence."""


class Transcription(Answered):
    """The answer in the format `json`."""

    text: str = Field(examples=["Good evening. Joining me is Ana Ruiz, a lecturer at Basel. Welcome."])
    """The supplied text without what was not spoken; the words recognised where none was supplied."""
    usage: Usage
    """Length of the recording."""
    logprobs: list[Logprob] | None = None
    """The words and their confidences, if `include` asks for `logprobs`."""


class Word(Answered):
    """One word with its time."""

    word: str = Field(examples=["Good"])
    """As supplied, with its punctuation; as recognised where no text was supplied."""
    start: Time = Field(examples=[0.6])
    end: Time = Field(examples=[1.0])


class Segment(Answered):
    """A sentence, or a part of one, of one speaker."""

    id: int = Field(examples=[0])
    """The segments are numbered from 0."""
    seek: int = Field(examples=[0])
    """Always 0: the recording is one piece."""
    start: Time = Field(examples=[0.6])
    end: Time = Field(examples=[1.4])
    text: str = Field(examples=[" Good evening."])
    """Begins with a space, like Whisper's: all segments, joined, are the text."""
    tokens: list[int] = Field(examples=[[]])
    """Always empty: tokens have no numbers here."""
    temperature: float = Field(examples=[0.0])
    """Always 0: results are not random."""
    avg_logprob: float = Field(examples=[-0.051])
    """Mean of the natural logarithms of the words' confidences."""
    compression_ratio: float = Field(examples=[0.636])
    """Bytes of the text divided by its bytes compressed with zlib."""
    no_speech_prob: float = Field(examples=[0.0])
    """Always 0: where nobody speaks there is no segment."""


class VerboseTranscription(Answered):
    """The answer in the format `verbose_json`."""

    task: Literal["transcribe"] = "transcribe"
    """Nothing is translated."""
    language: str = Field(examples=["english"])
    """Name of the language in English."""
    duration: Seconds = Field(examples=[60.0])
    """Length of the recording in seconds."""
    text: str = Field(examples=["Good evening."])
    """The supplied text without what was not spoken; the words recognised where none was supplied."""
    segments: list[Segment] | None = None
    """Unless `timestamp_granularities` asks for words alone."""
    words: list[Word] | None = None
    """If `timestamp_granularities` asks for them."""
    usage: Usage
    """Length of the recording."""


class DiarizedSegment(Answered):
    """A sentence, or a part of one, and who said it. An event of a stream has the same fields."""

    type: Literal["transcript.text.segment"] = "transcript.text.segment"
    id: str = Field(examples=["seg_001"])
    """Unique in the transcript."""
    start: Time = Field(examples=[0.6])
    end: Time = Field(examples=[1.4])
    text: str = Field(examples=["Good evening."])
    """As supplied, or as recognised where no text was supplied."""
    speaker: str = Field(examples=["Ana Ruiz"])
    """The name, where the evidence gives one; else "A", "B", … in order of first appearance."""


class DiarizedTranscription(Answered):
    """The answer in the format `diarized_json`."""

    task: Literal["transcribe"] = "transcribe"
    """Nothing is translated."""
    duration: Seconds = Field(examples=[60.0])
    """Length of the recording in seconds."""
    text: str = Field(examples=["Good evening."])
    """The texts of all segments."""
    segments: list[DiarizedSegment]
    """In order; each has a single speaker."""
    usage: Usage
    """Length of the recording."""


class TextDelta(Answered):
    """Event of a stream: the next piece of the text."""

    type: Literal["transcript.text.delta"] = "transcript.text.delta"
    delta: str = Field(examples=["Good evening."])
    """All deltas, joined, are the text."""
    segment_id: str | None = Field(default=None, examples=["seg_001"])
    """The segment that it belongs to, in the format `diarized_json`."""
    logprobs: list[Logprob] | None = None
    """The words and their confidences, if `include` asks for `logprobs`."""


class TextDone(Answered):
    """Event of a stream: the last one, with the whole text."""

    type: Literal["transcript.text.done"] = "transcript.text.done"
    text: str = Field(examples=["Good evening."])
    """The supplied text without what was not spoken; the words recognised where none was supplied."""
    logprobs: list[Logprob] | None = None
    """The words and their confidences, if `include` asks for `logprobs`."""


Event = DiarizedSegment | TextDelta | TextDone


@dataclass(frozen=True, slots=True)
class Wish:
    """The form in which the caller wants the transcript."""

    format: ResponseFormat = ResponseFormat.JSON
    granularities: frozenset[Granularity] = frozenset()
    logprobs: bool = False


MEDIA_TYPES: Mapping[ResponseFormat, str] = MappingProxyType(
    {
        ResponseFormat.JSON: "application/json",
        ResponseFormat.TEXT: "text/plain; charset=utf-8",
        ResponseFormat.SRT: "application/x-subrip; charset=utf-8",
        ResponseFormat.VERBOSE_JSON: "application/json",
        ResponseFormat.VTT: "text/vtt; charset=utf-8",
        ResponseFormat.DIARIZED_JSON: "application/json",
    }
)


def serialize(transcript: Transcript, wish: Wish) -> str:
    """The body of the answer."""
    match wish.format:
        case ResponseFormat.TEXT:
            return f"{_text(_spoken(transcript))}\n"
        case ResponseFormat.SRT | ResponseFormat.VTT:
            return formats.serialize(transcript, wish.format)
        case ResponseFormat.JSON:
            answer: Answered = _transcription(transcript, wish.logprobs)
        case ResponseFormat.VERBOSE_JSON:
            answer = _verbose(transcript, wish.granularities)
        case ResponseFormat.DIARIZED_JSON:
            answer = _diarized(transcript)
    return answer.model_dump_json(exclude_none=True)


def events(transcript: Transcript, wish: Wish) -> Iterator[Event]:
    """The events of a stream: the text piece by piece, with its segments in `diarized_json`, then whole."""
    diarized = wish.format is ResponseFormat.DIARIZED_JSON
    pieces = _pieces(transcript)
    for piece, segment in zip(pieces, _diarized_segments(transcript, pieces), strict=True):
        blank = "" if piece is pieces[0] else piece.blank
        yield TextDelta(
            delta=f"{blank}{segment.text}",
            segment_id=segment.id if diarized else None,
            logprobs=_logprobs(piece.tokens) if wish.logprobs else None,
        )
        if diarized:
            yield segment
    spoken = [token for piece in pieces for token in piece.tokens]
    yield TextDone(text=_text(spoken), logprobs=_logprobs(spoken) if wish.logprobs else None)


def serialize_event(event: Event) -> str:
    """The data of one server-sent event; like OpenAI's, it has no other field, and its type is inside.

    ASCII, since some readers treat more characters as line ends than the specification does.
    """
    return event.model_dump_json(exclude_none=True, ensure_ascii=True)


def _transcription(transcript: Transcript, logprobs: bool) -> Transcription:
    spoken = _spoken(transcript)
    listed = _logprobs(spoken) if logprobs else None
    return Transcription(text=_text(spoken), usage=_usage(transcript), logprobs=listed)


def _verbose(transcript: Transcript, granularities: Collection[Granularity]) -> VerboseTranscription:
    spoken = _spoken(transcript)
    with_words = Granularity.WORD in granularities
    with_segments = Granularity.SEGMENT in granularities or not with_words
    return VerboseTranscription(
        language=encodable(english_name(transcript.language)),
        duration=transcript.media.duration,
        text=_text(spoken),
        segments=_segments(_pieces(transcript)) if with_segments else None,
        words=_words(spoken) if with_words else None,
        usage=_usage(transcript),
    )


def _diarized(transcript: Transcript) -> DiarizedTranscription:
    return DiarizedTranscription(
        duration=transcript.media.duration,
        text=_text(_spoken(transcript)),
        segments=_diarized_segments(transcript, _pieces(transcript)),
        usage=_usage(transcript),
    )


def _usage(transcript: Transcript) -> Usage:
    return Usage(seconds=transcript.media.duration)


def _words(spoken: Sequence[AlignedToken]) -> list[Word]:
    """The tokens that are words, not loose punctuation."""
    return [
        Word(word=encodable(token.token.text), start=token.start, end=token.end)
        for token in spoken
        if _is_word(token)
    ]


def _logprobs(spoken: Sequence[AlignedToken]) -> list[Logprob]:
    return [
        Logprob(token=text, bytes=list(text.encode()), logprob=_logprob(token))
        for token in spoken
        for text in [encodable(token.token.text)]
    ]


def _logprob(token: AlignedToken) -> float:
    return round(math.log(max(token.confidence, LEAST_CONFIDENCE)), 4)


@dataclass(frozen=True, slots=True)
class _Piece:
    """What becomes a segment: consecutive spoken tokens of one turn, at least one."""

    speaker: str
    tokens: tuple[AlignedToken, ...]
    blank: str  # what separates it from the piece before
    text: str


def _pieces(transcript: Transcript) -> list[_Piece]:
    """Cuts the turns at the ends of sentences, in long pauses, and where a piece would get too long."""
    pieces: list[_Piece] = []
    for turn in transcript.turns:
        for part in _cut(_tokens(transcript, turn)):
            close = pieces and glued((pieces[-1].tokens[-1], part[0]), 0, 1)
            pieces.append(_Piece(turn.speaker, part, "" if close else " ", _text(part)))
    return pieces


def _cut(tokens: Sequence[AlignedToken]) -> Iterator[tuple[AlignedToken, ...]]:
    start, sentence = 0, False
    for index, (before, after) in enumerate(pairwise(tokens), 1):
        # Loose punctuation neither opens a sentence nor reopens one that has ended.
        sentence = ends_sentence(before.token.text) or (sentence and not _is_word(before))
        too_long = after.end - tokens[start].start > LONGEST
        if (sentence and _is_word(after)) or after.start - before.end >= PAUSE or too_long:
            yield tuple(tokens[start:index])
            start = index
    if tokens:
        yield tuple(tokens[start:])


def _segments(pieces: Sequence[_Piece]) -> list[Segment]:
    return [
        Segment(
            id=number,
            seek=0,
            start=piece.tokens[0].start,
            end=piece.tokens[-1].end,
            text=f"{piece.blank}{piece.text}",
            tokens=[],
            temperature=0.0,
            avg_logprob=round(sum(map(_logprob, piece.tokens)) / len(piece.tokens), 4),
            compression_ratio=_compression_ratio(piece.text),
            no_speech_prob=0.0,
        )
        for number, piece in enumerate(pieces)
    ]


def _compression_ratio(text: str) -> float:
    """As openai-whisper computes it (whisper.utils.compression_ratio)."""
    plain = text.encode()
    return round(len(plain) / len(zlib.compress(plain)), 4)


def _diarized_segments(transcript: Transcript, pieces: Sequence[_Piece]) -> list[DiarizedSegment]:
    labels = speaker_labels(transcript)
    return [
        DiarizedSegment(
            id=f"seg_{number:03}",
            start=piece.tokens[0].start,
            end=piece.tokens[-1].end,
            text=piece.text,
            speaker=labels[piece.speaker],
        )
        for number, piece in enumerate(pieces, 1)
    ]


def speaker_labels(transcript: Transcript) -> dict[str, str]:
    """Speaker id → the name where there is one, else the next of "A", "B", …, "Z", "AA", …; none twice.

    In order of first appearance. A second Ana Ruiz is "Ana Ruiz 2".
    """
    names = {speaker.id: encodable(one_line(speaker.name)) for speaker in transcript.speakers}
    letters = (letter for letter in _letters() if letter not in names.values())
    labels: dict[str, str] = {}
    for id_ in dict.fromkeys(turn.speaker for turn in transcript.turns):
        name = names.get(id_) or next(letters)
        taken = {*labels.values(), *names.values()}
        numbered = (f"{name} {number}" for number in count(2) if f"{name} {number}" not in taken)
        labels[id_] = next(numbered) if name in labels.values() else name
    return labels


def _letters() -> Iterator[str]:
    return ("".join(letters) for length in count(1) for letters in product(ascii_uppercase, repeat=length))


def _spoken(transcript: Transcript) -> list[AlignedToken]:
    return [token for turn in transcript.turns for token in _tokens(transcript, turn)]


def _tokens(transcript: Transcript, turn: Turn) -> list[AlignedToken]:
    """The tokens of a turn that its text is made of."""
    tokens = transcript.tokens[turn.token_start : turn.token_end]
    return [token for token in tokens if token.match is not Match.NOT_SPOKEN]


def _is_word(token: AlignedToken) -> bool:
    return any(map(str.isalnum, token.token.text))


def _text(tokens: Sequence[AlignedToken]) -> str:
    return encodable(join_tokens(tokens, range(len(tokens))))
