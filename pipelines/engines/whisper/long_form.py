"""A whole recording through a recogniser whose window is 30 s: what the two Whisper engines share.

Sections are heard one by one (or some at a time), none is told what was heard before it: Whisper then repeats
itself less often and one mistake does not lead to the next, which weighs more than one spelling throughout;
names to be spelt one way are told to every section instead. WhisperX does the same, for that reason.
"""

from __future__ import annotations

import math
import unicodedata
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from threading import Lock
from typing import Protocol

from pipelines.engines.whisper import sections
from pipelines.engines.whisper.sections import Section
from pipelines.errors import EngineMemoryError
from pipelines.protocols import Progress, no_progress
from pipelines.text import languages
from pipelines.types import Audio, EngineInfo, Heard, HeardWord, Samples, Span

DETECTION_SECTIONS = 3  # at the start, in the middle and at the end: a report may open in another language
TOLERANCE = 0.2  # s; so far may a word reach beyond the speech that the detector found
SPOKEN_SIGNS = "&%@#°§"  # punctuation that is read out


class Recognizer(Protocol):
    """A loaded model. Its methods raise EngineMemoryError and EngineError."""

    @property
    def languages(self) -> Sequence[str]:
        """Whisper's codes of those it knows; ("en",) if it is English only."""
        ...

    @property
    def sections_at_once(self) -> int: ...

    def detect(self, samples: Samples) -> dict[str, float]:
        """Probability of each language."""
        ...

    def recognize(
        self, pieces: Sequence[Samples], language: str, terms: Sequence[str]
    ) -> list[list[HeardWord]]:
        """The words of each piece of at most 30 s, with times from its start."""
        ...

    def shrink(self) -> bool:
        """Needs less memory from now on; False if it cannot."""
        ...


class LongFormTranscriber(ABC):
    """Transcriber: the model is loaded once, on first use, and hears one recording at a time."""

    def __init__(self, model: str, device: str = "auto") -> None:
        self._name = model
        self._device = device
        self._lock = Lock()  # the libraries keep state in a model while it works

    @abstractmethod
    def check(self) -> None:
        """That all is here, before the long work; loads no weights.

        Raises EngineMissingError, ModelCorruptError, ModelUnusableError, and OptionError for the device.
        """

    @property
    @abstractmethod
    def info(self) -> EngineInfo: ...

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
        EngineMemoryError where the memory is not enough for a single section.
        """
        with self._lock:
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
    """The words of all sections as the recogniser gives them, with times in the recording."""
    total = sum(part.duration for part in parts)
    words: list[HeardWord] = []
    done, heard = 0, 0.0
    while done < len(parts):
        group = parts[done : done + recognizer.sections_at_once]
        answers = _answers(recognizer, [part.cut(audio) for part in group], code, terms)
        if answers is None:
            continue
        for part, answer in zip(group, answers, strict=True):
            words += [part.place(word) for word in answer]
            heard += part.duration
        done += len(group)
        progress(min(1.0, heard / total))
    return words


def _answers(
    recognizer: Recognizer, pieces: Sequence[Samples], code: str, terms: Sequence[str]
) -> list[list[HeardWord]] | None:
    """None where the memory was not enough, but may be for the smaller steps that come next."""
    try:
        return recognizer.recognize(pieces, code, terms)
    except EngineMemoryError:
        if not recognizer.shrink():
            raise
        return None


def detect(recognizer: Recognizer, audio: Audio, parts: Sequence[Section]) -> str:
    """The code of the language that is likeliest over a few sections of the recording."""
    if len(recognizer.languages) == 1:
        return recognizer.languages[0]
    total: Counter[str] = Counter()
    for part in _spread(parts, DETECTION_SECTIONS):
        total.update(recognizer.detect(part.cut(audio)))
    return max(total, key=lambda code: total[code])


def _spread(parts: Sequence[Section], count: int) -> list[Section]:
    """At most `count` of them, evenly, the first and the last among them."""
    if len(parts) <= count:
        return list(parts)
    return [parts[k * (len(parts) - 1) // (count - 1)] for k in range(count)]


# --------------------------------------------------------------------------- words


def clean(words: Sequence[HeardWord], speech: Sequence[Span], duration: float) -> tuple[HeardWord, ...]:
    """The words that are spoken, inside `speech` and the recording; starts never decrease."""
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
    """The stretch of speech that most of the word is in; None where it lies outside of all."""
    candidates = []
    for k in range(bisect_left(ends, word.start - TOLERANCE), len(speech)):
        if speech[k].start - TOLERANCE > word.end:
            break
        candidates.append(speech[k])
    return max(candidates, key=lambda span: _overlap(word, span), default=None)


def _overlap(word: HeardWord, span: Span) -> float:
    return min(word.end, span.end) - max(word.start, span.start)


def _probability(value: float) -> float:
    """In [0, 1]; half precision may give no number."""
    return 0.0 if math.isnan(value) else min(max(value, 0.0), 1.0)


def is_spoken(text: str) -> bool:
    """Whether there is anything to say in it: "…", "-" and "♪" are written, not said."""
    return any(c.isalnum() or c in SPOKEN_SIGNS or unicodedata.category(c) in {"Sc", "Sm"} for c in text)
