"""Engines for tests of the service: instant and deterministic, or slow or deadly where a recording says so.

The setting `engines` names `choose` of this module. What is heard depends on the recording's samples only, so
that every run of a recording gives the same bytes. What the tests want of a recording they say by its name:

    slow-3.wav         the engine that hears takes three seconds
    every-0.2-x.wav    every engine takes two tenths of a second
    poison.wav         hearing it kills the process
    murder.wav         hearing it kills the process that started the one that hears
    deaf.wav           recognition fails
    broken-x.wav       recognition has a fault, whose message quotes the name
    mixed.wav          diarization fails
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines.engines.fake import FakeAligner, FakeDetector, FakeDiarizer, FakeTranscriber, Line
from pipelines.errors import EngineError
from pipelines.protocols import Engines, Progress, no_progress
from pipelines.types import Audio, Diarization, EngineInfo, Heard, HeardWord, Notice, Span, SpeakerCount

WORDS = ["the", "talks", "went", "on", "all", "night", "and", "nobody", "would", "say", "how", "close"]
VOICES = ("anna", "ben")
LINE_SECONDS = 2.0
pace = 1.0
"""What the waits are multiplied with."""


def script(audio: Audio) -> tuple[Line, ...]:
    """Two voices in turn, their words drawn by the samples."""
    digest = hashlib.sha256(audio.samples.tobytes()).digest()
    lines = []
    for number in range(max(1, int(audio.duration / LINE_SECONDS))):
        words = [WORDS[digest[(number + index) % 32] % len(WORDS)] for index in range(5)]
        start = number * LINE_SECONDS
        end = min(start + LINE_SECONDS - 0.2, audio.duration)
        lines.append(Line(VOICES[number % 2], start, end, " ".join(words)))
    return tuple(lines)


@dataclass(frozen=True, slots=True)
class Detector:
    info: EngineInfo = FakeDetector(()).info

    def detect(self, audio: Audio, progress: Progress = no_progress) -> tuple[Span, ...]:
        with noted("detect", audio) as name:
            wait(name, progress)
        return FakeDetector(script(audio)).detect(audio, progress)


@dataclass(frozen=True, slots=True)
class Transcriber:
    info: EngineInfo = FakeTranscriber(()).info

    def transcribe(
        self,
        audio: Audio,
        speech: Sequence[Span],
        language: str,
        progress: Progress = no_progress,
        terms: Sequence[str] = (),
    ) -> Heard:
        with noted("transcribe", audio) as name:
            mark_run(name)
            if name == "deaf":
                raise EngineError("The engine heard nothing: try another one.")
            if name.startswith("broken-"):
                raise ValueError(name)
            if name == "poison":
                os.kill(os.getpid(), signal.SIGKILL)
            if name == "murder":
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(60.0)
            wait(name, progress, hears=True)
        return FakeTranscriber(script(audio)).transcribe(audio, speech, language, progress, terms)


@dataclass(frozen=True, slots=True)
class Diarizer:
    info: EngineInfo = FakeDiarizer(()).info

    def diarize(
        self, audio: Audio, speech: Sequence[Span], count: SpeakerCount, progress: Progress = no_progress
    ) -> Diarization:
        with noted("diarize", audio) as name:
            wait(name, progress)
            if name == "mixed":
                raise EngineError("The voices are too much alike.")
        return FakeDiarizer(script(audio)).diarize(audio, speech, count, progress)


@dataclass(frozen=True, slots=True)
class Aligner:
    """As the library's, in no hurry."""

    info: EngineInfo = FakeAligner().info

    def knows(self, language: str) -> bool:
        return True

    def place(self, audio: Audio, requests: Sequence[tuple[Span, tuple[str, ...]]]) -> list[list[HeardWord]]:
        with noted("align", audio) as name:
            wait(name, no_progress)
        return FakeAligner().place(audio, requests)


def wait(name: str, progress: Progress, hears: bool = False) -> None:
    """As long as the name says, with progress."""
    kind, _, rest = name.partition("-")
    if kind != "every" and not (kind == "slow" and hears):
        return
    begin, total = time.monotonic(), float(rest.partition("-")[0]) * pace
    while (passed := time.monotonic() - begin) < total:
        progress(passed / total)
        time.sleep(0.02)


@contextmanager
def noted(stage: str, audio: Audio) -> Iterator[str]:
    """The recording's name without its ending; a line at the beginning and at the end of what is done to it,
    for tests that measure."""
    name, path = Path(audio.media.name).stem, os.environ.get("TURNWISE_ENGINE_STAGES")

    def note(event: str) -> None:
        if path:
            with Path(path).open("a") as file:
                file.write(f"{name} {stage} {event} {time.time()} {os.getppid()}\n")

    note("begins")
    yield name
    note("ends")


def mark_run(name: str) -> None:
    """A line for every time that a recording is heard, for tests that count."""
    if path := os.environ.get("TURNWISE_ENGINE_RUNS"):
        with Path(path).open("a") as file:
            file.write(f"{name}\n")


def choose(asr: str, diarizer: str, device: str, language: str) -> tuple[Engines, list[Notice]]:
    """As `pipelines.engines.choice.choose`."""
    return Engines(Detector(), Transcriber(), Diarizer(), Aligner()), []
