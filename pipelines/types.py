"""The data that travels between the stages: frozen, slotted, standard library and numpy only.

Times are float seconds from the start of the recording. A range of indexes is half open: [start, end).

    recording ──► Audio ──► Heard, Diarization
    text file ──► Supplied (Token…)
    Supplied + Heard ──► AlignedToken… ──► Attribution, Turn… ──► Speaker…, Finding… ──► Transcript
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pipelines.errors import OptionError

SAMPLE_RATE = 16_000
"""Samples per second of every `Audio`, in hertz."""

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the recording, start <= end."""

    start: float
    end: float

    def __post_init__(self) -> None:
        if not self.start <= self.end:
            raise ValueError(f"a span must not end before it starts: {self.start} > {self.end}")

    @property
    def duration(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Media:
    """What the media file was before decoding."""

    name: str  # file name without its folder
    sha256: str
    size_bytes: int
    container: str  # ffmpeg's name of the demuxer: "ogg", "mov,mp4,m4a,3gp,3g2,mj2"
    codec: str
    sample_rate_hz: int
    channels: int
    duration: float  # of the decoded audio


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """Mono samples at SAMPLE_RATE, shape (n,), float32 in [-1, 1]."""

    samples: Samples
    media: Media

    @property
    def duration(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    def cut(self, span: Span) -> Samples:
        """The samples of one stretch (a view), clipped to the recording."""
        return self.samples[max(0, round(span.start * SAMPLE_RATE)) : round(span.end * SAMPLE_RATE)]


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Provenance: which engine, running which weights, made a result."""

    engine: str  # "pocketsphinx"
    version: str  # of the engine's code
    model: str  # "en-us"
    model_sha256: str  # "" where the engine has no weights


@dataclass(frozen=True, slots=True)
class HeardWord:
    """One recognised word; confidence in [0, 1]."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Heard:
    """All recognised words, in order of their start."""

    words: tuple[HeardWord, ...]
    language: str  # BCP 47: "en"
    engine: EngineInfo


@dataclass(frozen=True, slots=True)
class SpeakerSegment:
    """A stretch in which one speaker speaks without a longer pause."""

    start: float
    end: float
    speaker: str


@dataclass(frozen=True, slots=True, eq=False)
class Diarization:
    """Who speaks when.

    `segments` may overlap where the engine models overlap; `exclusive` never does: it names the one speaker
    in front. Both are ordered by start. `speakers` lists every speaker once in order of first appearance;
    row i of `embeddings`, shape (len(speakers), d), is the voice embedding of speakers[i]
    (shape (len(speakers), 0) where an engine gives none).
    """

    segments: tuple[SpeakerSegment, ...]
    exclusive: tuple[SpeakerSegment, ...]
    speakers: tuple[str, ...]
    embeddings: npt.NDArray[np.float32]
    engine: EngineInfo


@dataclass(frozen=True, slots=True)
class SpeakerCount:
    """How many speakers a diarizer may find; `maximum` is 0 for "no limit"."""

    minimum: int = 1
    maximum: int = 0

    @property
    def exact(self) -> bool:
        return self.minimum == self.maximum


MOST_SPEAKERS = 1000


@dataclass(frozen=True, slots=True)
class Options:
    """`language` is a BCP 47 tag, "" to detect it; `asr` and `diarizer` are NAME or NAME:MODEL, "" for the
    default of the command or the service."""

    language: str = ""
    speakers: SpeakerCount = field(default_factory=SpeakerCount)
    glossary: tuple[str, ...] = ()
    asr: str = ""
    diarizer: str = ""


def speaker_count(exact: int | None, minimum: int | None = None, maximum: int | None = None) -> SpeakerCount:
    """The count for these options. Raises OptionError where they contradict each other."""
    if exact is not None and (minimum is not None or maximum is not None):
        raise OptionError("The exact number of speakers is given: leave out the minimum and the maximum.")
    if max(exact or 0, minimum or 0, maximum or 0) > MOST_SPEAKERS:
        raise OptionError(f"There can be {MOST_SPEAKERS} speakers at most: give a smaller number.")
    if minimum is not None and maximum is not None and minimum > maximum:
        raise OptionError("The minimum number of speakers is greater than the maximum: swap them.")
    return SpeakerCount(exact or minimum or 1, exact or maximum or 0)


def terms(said: Iterable[str]) -> tuple[str, ...]:
    """Names and terms without blank ones and duplicates, in order."""
    return tuple(dict.fromkeys(filter(None, (" ".join(term.split()) for term in said))))


class TokenKind(StrEnum):
    WORD = "word"  # something that can be spoken, or loose punctuation
    CHANGE = "change"  # a caption mark for a new speaker: ">>", or "-" at the start of a caption line
    LABEL = "label"  # a speaker's name in front of a line: "ANCHOR:"
    SOUND = "sound"  # not speech: "[Music]", "(applause)", "♪"


@dataclass(frozen=True, slots=True)
class Token:
    """One token of the supplied text: text[char_start:char_end] of the decoded text.

    `line` counts the lines (in caption formats: the cues) from 0; tokens of one line were written
    together. `cue` is the time that a caption format gives for it, which may be seconds off.
    """

    text: str
    char_start: int
    char_end: int
    kind: TokenKind = TokenKind.WORD
    line: int = 0
    cue: Span | None = None


@dataclass(frozen=True, slots=True)
class Supplied:
    """The text that the user supplied, decoded, with its tokens in order.

    text.encode(encoding) is the file byte for byte. `format` is "txt", "srt", "vtt", "json", or "heard"
    where there was no text and the recognised words stand in for it.
    """

    text: str
    tokens: tuple[Token, ...]
    format: str
    encoding: str


class Match(StrEnum):
    MATCHED = "matched"  # recognised as written
    DIFFERS = "differs"  # spoken here, but recognised as another word
    INTERPOLATED = "interpolated"  # probably spoken here but not recognised; times lie between neighbours
    NOT_SPOKEN = "not_spoken"  # not in the recording at this place


@dataclass(frozen=True, slots=True)
class AlignedToken:
    """Where a supplied token is in the recording.

    `heard_start`, `heard_end`: the range of recognised words it is aligned with, empty unless MATCHED or
    DIFFERS. A NOT_SPOKEN token has start == end: the moment at which it would have come. From token to
    token, neither start nor end ever decreases. `confidence` in [0, 1] is that of `match`.
    """

    token: Token
    match: Match
    start: float
    end: float
    heard_start: int
    heard_end: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Attribution:
    """A speaker for every token: speakers[i] for token i, "" for a token that was not spoken.

    confidence[i] in [0, 1] is the posterior probability of that speaker.
    """

    speakers: tuple[str, ...]
    confidence: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """One speaker's uninterrupted contribution: tokens [token_start, token_end) of the supplied text.

    `text` joins the spoken tokens of that range as supplied, without those that were not spoken;
    `corrected` is the same stretch in the corrected reading.
    """

    speaker: str
    start: float
    end: float
    token_start: int
    token_end: int
    text: str
    corrected: str = ""


class Role(StrEnum):
    ANCHOR = "anchor"  # opens, asks, hands over, closes
    CORRESPONDENT = "correspondent"  # the broadcaster's own reporter, asked by the anchor
    ANALYST = "analyst"  # a guest or expert: asked, and not the broadcaster's own
    NARRATOR = "narrator"  # the voice-over of a report, asked by nobody
    OTHER = "other"  # clearly none of these: a clip, an interviewee in a report
    UNKNOWN = "unknown"  # not enough evidence


@dataclass(frozen=True, slots=True)
class Evidence:
    """A quote that supports a decision, and its time."""

    supports: str  # "role", "name" or "affiliation"
    quote: str
    start: float
    end: float
    source: str  # "supplied", "heard", or "structure" where the quote describes who did what


@dataclass(frozen=True, slots=True)
class Speaker:
    """One speaker; name and affiliation are "" where unknown."""

    id: str
    role: Role
    role_confidence: float
    name: str
    name_confidence: float
    affiliation: str
    evidence: tuple[Evidence, ...]
    talk_time: float
    turn_count: int


class FindingKind(StrEnum):
    NOT_SPOKEN = "not_spoken"  # in the text, not in the recording
    MISSING = "missing"  # in the recording, not in the text
    DIFFERS = "differs"  # in both, but another word was recognised
    REPEATED = "repeated"  # written twice, said once


@dataclass(frozen=True, slots=True)
class Finding:
    """A place where text and recording disagree.

    `text` is what was supplied: tokens [token_start, token_end), an empty range for MISSING, which belongs
    before token_start. `suggestion` is what was recognised there, "" for nothing.
    """

    kind: FindingKind
    token_start: int
    token_end: int
    start: float
    end: float
    text: str
    suggestion: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Correction:
    """One change from the supplied text to the corrected reading; undone by putting `before` back.

    Replaces tokens [token_start, token_end); `after` is "" if they are dropped.
    """

    token_start: int
    token_end: int
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence for the user about the whole result; `code` is stable and meant for programs."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """Everything that is known about one recording and its text."""

    media: Media
    language: str
    supplied: Supplied
    heard: Heard
    engines: tuple[tuple[str, EngineInfo], ...]  # stage name → engine: ("transcribe", …), ("diarize", …)
    tokens: tuple[AlignedToken, ...]
    attribution: Attribution
    turns: tuple[Turn, ...]
    speakers: tuple[Speaker, ...]
    findings: tuple[Finding, ...]
    corrections: tuple[Correction, ...]
    corrected: str
    warnings: tuple[Notice, ...] = field(default=())


def encodable(text: str) -> str:
    """The text with U+FFFD for lone surrogates, which JSON and file names may contain but UTF-8 cannot."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def runs(mask: Sequence[bool] | npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The maximal half-open ranges of indexes in which `mask` is true, in order."""
    edges = np.flatnonzero(np.diff(np.asarray(mask, np.bool_), prepend=False, append=False))
    return [(start, end) for start, end in edges.reshape(-1, 2).tolist()]


Stretch = TypeVar("Stretch", Span, SpeakerSegment)


def join_spans(spans: Iterable[Stretch], gap: float = 0.0) -> list[Stretch]:
    """Joins neighbouring spans, ordered by start, that are at most `gap` seconds apart."""
    joined: list[Stretch] = []
    for span in spans:
        if joined and span.start - joined[-1].end <= gap:
            joined[-1] = replace(joined[-1], end=max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined
