"""Engines that play back a script: deterministic, instant, without a model and without real audio.

For tests, and for developers who want to see what the pipeline makes of given evidence:

    script = (Line("anna", 0.0, 2.0, "who is on the line"), Line("ben", 2.5, 3.0, "me"))
    FakeTranscriber(script).transcribe(script_audio(script), [Span(0.0, 3.0)], "en").words

A recogniser without mistakes does not test an aligner: `FakeTranscriber(script, word_error_rate=0.2)` drops,
replaces and adds words, always the same ones for the same seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import ClassVar

import numpy as np

from pipelines.overlap import exclusive
from pipelines.protocols import Progress, no_progress
from pipelines.types import (
    SAMPLE_RATE,
    Audio,
    Diarization,
    EngineInfo,
    Heard,
    HeardWord,
    Media,
    Span,
    SpeakerCount,
    SpeakerSegment,
    join_spans,
)


@dataclass(frozen=True, slots=True)
class Line:
    """`text`, said by `speaker` from `start` to `end` with its words evenly spaced."""

    speaker: str
    start: float
    end: float
    text: str

    def words(self) -> tuple[HeardWord, ...]:
        texts = self.text.split()
        edges = np.linspace(self.start, self.end, len(texts) + 1).tolist()
        return tuple(
            HeardWord(text, start, end, confidence=1.0)
            for text, start, end in zip(texts, edges, edges[1:], strict=False)
        )


Script = Sequence[Line]
"""Lines in order of their start; they may overlap."""


def script_audio(script: Script, name: str = "script.wav") -> Audio:
    """Returns silence as long as the script, for the stages that need an `Audio`."""
    samples = np.zeros(round(max((line.end for line in script), default=0.0) * SAMPLE_RATE), np.float32)
    media = Media(
        name=name,
        sha256=sha256(samples.tobytes()).hexdigest(),
        size_bytes=samples.nbytes,
        container="wav",
        codec="pcm_f32le",
        sample_rate_hz=SAMPLE_RATE,
        channels=1,
        duration=len(samples) / SAMPLE_RATE,
    )
    return Audio(samples, media)


@dataclass(frozen=True, slots=True)
class FakeDetector:
    """Detects speech where the script has lines."""

    info: ClassVar = EngineInfo("fake", "1", "detector", "")
    script: Script

    def detect(self, audio: Audio, progress: Progress = no_progress) -> tuple[Span, ...]:
        progress(1.0)
        return tuple(join_spans(Span(line.start, line.end) for line in self.script))


@dataclass(frozen=True, slots=True)
class FakeTranscriber:
    """Recognises the script's words, a share `word_error_rate` of them wrongly, chosen by `seed`."""

    info: ClassVar = EngineInfo("fake", "1", "transcriber", "")
    script: Script
    word_error_rate: float = 0.0
    seed: int = 0

    def transcribe(
        self,
        audio: Audio,
        speech: Sequence[Span],
        language: str,
        progress: Progress = no_progress,
        terms: Sequence[str] = (),
    ) -> Heard:
        words = [word for line in self.script for word in line.words() if _inside(word, speech)]
        words.sort(key=lambda word: word.start)
        progress(1.0)
        return Heard(tuple(self._misheard(words)), language or "en", self.info)

    def _misheard(self, words: Sequence[HeardWord]) -> Iterator[HeardWord]:
        choose = random.Random(self.seed)
        for word in words:
            if choose.random() >= self.word_error_rate:
                yield word
                continue
            stranger = choose.choice(words).text
            middle = (word.start + word.end) / 2
            doubled = [replace(word, end=middle), HeardWord(stranger, middle, word.end, confidence=0.3)]
            yield from choose.choice(([], [replace(word, text=stranger, confidence=0.3)], doubled))


@dataclass(frozen=True, slots=True)
class FakeDiarizer:
    """Knows who speaks when; moves each boundary by up to `edge_error`, chosen by `seed`."""

    info: ClassVar = EngineInfo("fake", "1", "diarizer", "")
    script: Script
    edge_error: float = 0.0
    seed: int = 0

    def diarize(
        self, audio: Audio, speech: Sequence[Span], count: SpeakerCount, progress: Progress = no_progress
    ) -> Diarization:
        speakers = tuple(dict.fromkeys(line.speaker for line in self.script))
        segments = tuple(sorted(self._segments(), key=lambda segment: segment.start))
        progress(1.0)
        return Diarization(
            segments=segments,
            exclusive=exclusive(segments),
            speakers=speakers,
            embeddings=np.eye(len(speakers), dtype=np.float32),
            engine=self.info,
        )

    def _segments(self) -> Iterator[SpeakerSegment]:
        choose = random.Random(self.seed)
        for line in self.script:
            start = max(0.0, line.start + choose.uniform(-self.edge_error, self.edge_error))
            end = line.end + choose.uniform(-self.edge_error, self.edge_error)
            if start < end:
                yield SpeakerSegment(start, end, line.speaker)


@dataclass(frozen=True, slots=True)
class FakeAligner:
    """Spreads the words of each request evenly over its span, whatever was said in it."""

    info: ClassVar = EngineInfo("fake", "1", "aligner", "")

    def knows(self, language: str) -> bool:
        return True

    def place(self, audio: Audio, requests: Sequence[tuple[Span, tuple[str, ...]]]) -> list[list[HeardWord]]:
        return [list(Line("", span.start, span.end, " ".join(words)).words()) for span, words in requests]


def _inside(word: HeardWord, speech: Sequence[Span]) -> bool:
    middle = (word.start + word.end) / 2
    return any(span.start <= middle <= span.end for span in speech)
