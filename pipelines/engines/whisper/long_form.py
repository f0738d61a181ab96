"""A whole recording through a recogniser with a window of 30 s: the code that the two Whisper engines share.

Sections are recognised one by one (or several at a time), without the text of the section before: Whisper
then repeats itself less often, and one mistake does not lead to the next. That outweighs consistent spelling;
names with a fixed spelling go into the prompt of every section instead. WhisperX does the same, for the same
reason.
"""

from __future__ import annotations

import math
import unicodedata
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

from pipelines.engines.model_engine import ModelEngine
from pipelines.engines.whisper import sections
from pipelines.engines.whisper.sections import Section
from pipelines.errors import EngineMemoryError
from pipelines.protocols import Progress, no_progress
from pipelines.text import languages
from pipelines.types import Audio, Heard, HeardWord, Samples, Span

DETECTION_SECTIONS = 3  # at the start, in the middle and at the end, as a report may open in another language
TOLERANCE = 0.2  # s; how far a word may reach beyond the detected speech
SPOKEN_SIGNS = "&%@#°§"  # punctuation that is read aloud


class Recognizer(Protocol):
    """A loaded model. Its methods raise EngineMemoryError and EngineError."""

    @property
    def languages(self) -> Sequence[str]:
        """Whisper's codes of the languages it knows; ("en",) if it knows only English."""
        ...

    @property
    def sections_at_once(self) -> int: ...

    def detect(self, samples: Samples) -> dict[str, float]:
        """The probability of each language."""
        ...

    def recognize(
        self, pieces: Sequence[Samples], language: str, terms: Sequence[str]
    ) -> list[list[HeardWord]]:
        """The words of each piece of at most 30 s, with times from its start."""
        ...

    def shrink(self) -> bool:
        """Reduces the memory needed from now on; returns False if it cannot."""
        ...


class LongFormTranscriber(ModelEngine, ABC):
    """Transcriber: loads the model once, on first use, and recognises one recording at a time."""

    @abstractmethod
    def _load(self) -> Recognizer: ...

    @cached_property
    def _recognizer(self) -> Recognizer:
        self.check()
        return self._load()

    def transcribe(
        self,
        audio: Audio,
        speech: Sequence[Span],
        language: str,
        progress: Progress = no_progress,
        terms: Sequence[str] = (),
    ) -> Heard:
        """Words with times to 0.01 s; the confidence is the mean probability of the word's tokens.

        Raises what `check` raises, OptionError for a language that the model does not know, and
        EngineMemoryError if there is not enough memory for a single section.
        """
        with self._lock:  # the libraries keep state in a model while it works
            code = languages.check(language, self._recognizer.languages, self.info.model)
            parts = sections.divide(audio, speech)
            words: list[HeardWord] = []
            if parts:
                code = code or detect(self._recognizer, audio, parts)
                words = hear(self._recognizer, audio, parts, code, terms, progress)
        progress(1.0)
        tag = languages.serialize(code or languages.UNDETERMINED)
        return Heard(clean(words, speech, audio.duration), tag, self.info)


def hear(
    recognizer: Recognizer,
    audio: Audio,
    parts: Sequence[Section],
    code: str,
    terms: Sequence[str],
    progress: Progress,
) -> list[HeardWord]:
    """The words of all sections as recognised, with times in the recording."""
    total = sum(part.duration for part in parts)
    words: list[HeardWord] = []
    done, heard = 0, 0.0
    while done < len(parts):
        group = parts[done : done + recognizer.sections_at_once]
        try:
            answers = recognizer.recognize([part.cut(audio) for part in group], code, terms)
        except EngineMemoryError:
            if not recognizer.shrink():
                raise
            continue
        for part, answer in zip(group, answers, strict=True):
            words += [part.place(word) for word in answer]
            heard += part.duration
        done += len(group)
        progress(min(1.0, heard / total))
    return words


def detect(recognizer: Recognizer, audio: Audio, parts: Sequence[Section]) -> str:
    """The code of the likeliest language over a few sections of the recording."""
    if len(recognizer.languages) == 1:
        return recognizer.languages[0]
    total: Counter[str] = Counter()
    for part in _spread(parts, DETECTION_SECTIONS):
        total.update(recognizer.detect(part.cut(audio)))
    return max(total, key=lambda code: total[code])


def _spread(parts: Sequence[Section], count: int) -> list[Section]:
    """At most `count` parts, evenly spaced, including the first and the last."""
    if len(parts) <= count:
        return list(parts)
    return [parts[k * (len(parts) - 1) // (count - 1)] for k in range(count)]


def clean(words: Sequence[HeardWord], speech: Sequence[Span], duration: float) -> tuple[HeardWord, ...]:
    """The spoken words, clipped to `speech` and the recording, with starts that never decrease."""
    ends = [span.end for span in speech]
    cleaned: list[HeardWord] = []
    latest = 0.0
    for word in words:
        text = word.text.strip()
        near = _nearest(word, speech, ends)
        if near is None or not is_spoken(text):
            continue
        first, last = max(latest, near.start - TOLERANCE), min(near.end + TOLERANCE, duration)
        latest = start = min(max(word.start, first), max(last, latest))
        end = max(start, min(word.end, last))
        cleaned.append(HeardWord(text, start, end, _probability(word.confidence)))
    return tuple(cleaned)


def _nearest(word: HeardWord, speech: Sequence[Span], ends: Sequence[float]) -> Span | None:
    """The stretch of speech that overlaps the word most; None if it lies outside all of them."""
    candidates = []
    for k in range(bisect_left(ends, word.start - TOLERANCE), len(speech)):
        if speech[k].start - TOLERANCE > word.end:
            break
        candidates.append(speech[k])
    return max(candidates, key=lambda span: _overlap(word, span), default=None)


def _overlap(word: HeardWord, span: Span) -> float:
    return min(word.end, span.end) - max(word.start, span.start)


def _probability(value: float) -> float:
    """The value clipped to [0, 1], and 0 for a NaN, which half precision may give."""
    return 0.0 if math.isnan(value) else min(max(value, 0.0), 1.0)


def is_spoken(text: str) -> bool:
    """Whether any of the text can be spoken: "…", "-" and "♪" cannot."""
    return any(c.isalnum() or c in SPOKEN_SIGNS or unicodedata.category(c) in {"Sc", "Sm"} for c in text)
