"""The four protocols of engines. The pipeline takes engines as arguments.

Every engine calls `progress` with the fraction done, rising from 0 to 1. An engine loads its weights
once, on first use, and may be called again for another recording.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipelines.types import Audio, Diarization, EngineInfo, Heard, HeardWord, Span, SpeakerCount

Progress = Callable[[float], None]
"""Takes the fraction of the work done, in [0, 1]."""


def no_progress(fraction: float) -> None:
    """Ignores the progress."""


class SpeechDetector(Protocol):
    """Finds the stretches in which somebody speaks."""

    @property
    def info(self) -> EngineInfo: ...

    def detect(self, audio: Audio, progress: Progress = no_progress) -> tuple[Span, ...]:
        """Stretches of speech, ordered, without overlap; empty for silence."""
        ...


class Transcriber(Protocol):
    """Recognises words."""

    @property
    def info(self) -> EngineInfo: ...

    def transcribe(
        self,
        audio: Audio,
        speech: Sequence[Span],
        language: str,
        progress: Progress = no_progress,
        terms: Sequence[str] = (),
    ) -> Heard:
        """Words with times, only inside `speech`. `language` is a BCP 47 tag, "" to detect it.

        `terms` are names and spellings that may occur; an engine that cannot use them ignores them.
        Raises OptionError for a language that the engine does not know.
        """
        ...


class Diarizer(Protocol):
    """Separates speakers."""

    @property
    def info(self) -> EngineInfo: ...

    def diarize(
        self, audio: Audio, speech: Sequence[Span], count: SpeakerCount, progress: Progress = no_progress
    ) -> Diarization:
        """Who speaks when, only inside `speech` (an engine with its own detector may ignore `speech`)."""
        ...


class ForcedAligner(Protocol):
    """Aligns known words with the audio. It aligns wrong words just as readily, so check its output."""

    @property
    def info(self) -> EngineInfo: ...

    def knows(self, language: str) -> bool:
        """Whether it has pronunciations for this language, a BCP 47 tag."""
        ...

    def place(self, audio: Audio, requests: Sequence[tuple[Span, tuple[str, ...]]]) -> list[list[HeardWord]]:
        """For each stretch and its words, the same words with times; confidence in [0, 1].

        A stretch that cannot be aligned gives an empty list.
        """
        ...


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of one run; without an aligner, the times of unrecognised words are interpolated.

    `together`: whether there is enough memory to transcribe and diarize at the same time.
    """

    detector: SpeechDetector
    transcriber: Transcriber
    diarizer: Diarizer
    aligner: ForcedAligner | None = None
    together: bool = True
