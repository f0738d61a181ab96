"""Engines that return what the user supplied, or nothing: a stage is replaced or skipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from pipelines.errors import TextError
from pipelines.overlap import exclusive
from pipelines.protocols import Engines, Progress, no_progress
from pipelines.types import Audio, Diarization, EngineInfo, Heard, Span, SpeakerCount, SpeakerSegment

TOLERANCE = 2.0
"""Seconds by which a supplied result may run past the end of the recording: encoders add silence."""

ONE_VOICE = "speaker_1"


@dataclass(frozen=True, slots=True)
class GivenTranscriber:
    """Words from a file."""

    heard: Heard

    @property
    def info(self) -> EngineInfo:
        return self.heard.engine

    def check_fit(self, audio: Audio) -> None:
        _check_end("The recognised words", max((word.end for word in self.heard.words), default=0.0), audio)

    def transcribe(
        self,
        audio: Audio,
        speech: Sequence[Span],
        language: str,
        progress: Progress = no_progress,
        terms: Sequence[str] = (),
    ) -> Heard:
        progress(1.0)
        return Heard(self.heard.words, self.heard.language or language or "en", self.heard.engine)


@dataclass(frozen=True, slots=True)
class GivenDiarizer:
    """Segments from a file; where they overlap, the speaker who began last is in front."""

    segments: tuple[SpeakerSegment, ...]
    name: str

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("given", "", self.name, "")

    def check_fit(self, audio: Audio) -> None:
        _check_end("The speakers", max((segment.end for segment in self.segments), default=0.0), audio)

    def diarize(
        self, audio: Audio, speech: Sequence[Span], count: SpeakerCount, progress: Progress = no_progress
    ) -> Diarization:
        progress(1.0)
        return _diarization(self.segments, self.info)


@dataclass(frozen=True, slots=True)
class OneVoice:
    """Does not separate speakers: all speech goes to one."""

    info: ClassVar = EngineInfo("none", "", "", "")

    def diarize(
        self, audio: Audio, speech: Sequence[Span], count: SpeakerCount, progress: Progress = no_progress
    ) -> Diarization:
        progress(1.0)
        return one_voice(speech, self.info)


@runtime_checkable
class _Fitted(Protocol):
    """An engine whose result belongs to one recording."""

    def check_fit(self, audio: Audio) -> None: ...


def check_fit(engines: Engines, audio: Audio) -> None:
    """Raises TextError if a supplied result runs past the end of the recording."""
    for engine in (engines.transcriber, engines.diarizer):
        if isinstance(engine, _Fitted):
            engine.check_fit(audio)


def one_voice(speech: Sequence[Span], info: EngineInfo) -> Diarization:
    """Gives all speech to one speaker."""
    return _diarization(tuple(SpeakerSegment(span.start, span.end, ONE_VOICE) for span in speech), info)


def _diarization(segments: tuple[SpeakerSegment, ...], info: EngineInfo) -> Diarization:
    speakers = tuple(dict.fromkeys(segment.speaker for segment in segments))
    embeddings = np.zeros((len(speakers), 0), dtype=np.float32)
    return Diarization(segments, exclusive(segments), speakers, embeddings, info)


def _check_end(what: str, end: float, audio: Audio) -> None:
    if end > audio.duration + TOLERANCE:
        raise TextError(
            f"{what} continue until {end:.1f} s, but {audio.media.name} ends at {audio.duration:.1f} s: "
            "give the file that belongs to this recording."
        )
