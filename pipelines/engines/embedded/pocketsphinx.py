"""PocketSphinx 5: US-English speech recognition and forced alignment that need no network and no GPU.

D. Huggins-Daines et al., "PocketSphinx: a free, real-time continuous speech recognition system for hand-held
devices", ICASSP 2006. The wheel contains the model. The decoder carries its noise estimate from one utterance
to the next; here every chunk starts with a fresh one, so that its result depends on nothing else, not even
the number of processes.
"""

from __future__ import annotations

import hashlib
import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import numpy as np

from pipelines.engines import chunking, workers
from pipelines.engines.embedded import pronunciation
from pipelines.errors import EngineMissingError, OptionError
from pipelines.protocols import Progress, no_progress
from pipelines.types import Audio, EngineInfo, Heard, HeardWord, Samples, Span

LONGEST_CHUNK = 10.0  # long enough for the language model, mostly one speaker, and easy to share out evenly
MOST_PROCESSES = 8  # each holds about 125 MB
AUDIO_PER_PROCESS = 60.0  # aligning this much takes a process three times as long as starting up
TOLERANCE = 0.1  # how far apart the speech detector and the recogniser place the edge of a sound
QUIETEST_PEAK = 1e-3  # -60 dBFS: anything quieter is not speech to be amplified
WORKER = str(Path(__file__).with_name("pocketsphinx_worker.py"))
# The probability that a word is the one spoken, from the mean log likelihood of its frames: a logistic fit to
# equally many right and wrong words, area under the ROC curve 0.97.
EVEN_SCORE, SCORE_WIDTH = -4.3, 1.0
ALTERNATE = re.compile(r"\(\d+\)$")  # "the(2)": the second pronunciation of "the"

Request = tuple[Span, tuple[str, ...]]


class _Engine:
    def __init__(self, processes: int = 0) -> None:
        """`processes` is the most it may run at once; 0 for one per processor. Raises OptionError."""
        if processes < 0:
            raise OptionError(
                f"The number of processes must be 0 (one per processor) or more, not {processes}."
            )
        self._processes = processes or min(workers.available_processors(), MOST_PROCESSES)

    @property
    def info(self) -> EngineInfo:
        return _info()


class PocketSphinx(_Engine):
    """Transcriber."""

    def transcribe(
        self,
        audio: Audio,
        speech: Sequence[Span],
        language: str,
        progress: Progress = no_progress,
        terms: Sequence[str] = (),
    ) -> Heard:
        """Words with times to 0.01 s; the confidence is the posterior probability in the word lattice.

        Raises OptionError unless the language is English or "".
        """
        if not _is_english(language):
            raise OptionError(f"PocketSphinx knows English only, not {language!r}: choose another engine.")
        info = self.info
        chunks = chunking.cut(audio, speech, LONGEST_CHUNK)
        answers = workers.run(
            [WORKER, "hear"], chunks, lambda chunk: (_pcm(audio.cut(chunk)),), self._processes, progress
        )
        words = [
            _word(chunk, text, start, end, confidence)
            for chunk, answer in zip(chunks, answers, strict=True)
            for text, start, end, confidence in answer
        ]
        progress(1.0)
        return Heard(_inside(words, speech), "en", info)


def _is_english(language: str) -> bool:
    return language.lower().replace("_", "-").split("-")[0] in {"", "en"}


class PocketSphinxAligner(_Engine):
    """ForcedAligner."""

    def knows(self, language: str) -> bool:
        return _is_english(language)

    def place(self, audio: Audio, requests: Sequence[Request]) -> list[list[HeardWord]]:
        """The words, normalised; words that the dictionary lacks are pronounced by rule.

        The confidence falls with the distance between a word's sound and its phones. A result is empty if the
        stretch is too short for its words, or if a word cannot be pronounced. Starting takes a quarter of a
        second and each request a fiftieth of its length: ask for many at once.
        """
        spoken = {word for _, words in requests for word in words}
        known = pronunciation.look_up(spoken, _model_folder() / "cmudict-en-us.dict")
        phones = {word: pronunciation.pronounce(word, known) for word in spoken if word not in known}

        def job(request: Request) -> tuple[bytes, tuple[str, ...], dict[str, str]]:
            span, words = request
            missing = {word: phones[word] for word in words if word in phones}
            return _pcm(audio.cut(span)), words if all(missing.values()) else (), missing

        total = sum(span.duration for span, _ in requests)
        worth_starting = min(self._processes, 1 + int(total / AUDIO_PER_PROCESS))
        answers = workers.run([WORKER, "place"], requests, job, worth_starting)
        return [_placed(request, answer) for request, answer in zip(requests, answers, strict=True)]


def _pcm(samples: Samples) -> bytes:
    """16-bit little-endian samples, scaled so that quiet speech keeps its resolution."""
    peak = max(float(np.abs(samples).max(initial=0.0)), QUIETEST_PEAK)
    pcm: bytes = np.rint(samples * (32767.0 / peak)).astype("<i2").tobytes()
    return pcm


def _inside(words: Sequence[HeardWord], speech: Sequence[Span]) -> tuple[HeardWord, ...]:
    """The words whose middle lies in `speech`: between its spans, noise is mistaken for words."""
    starts = [span.start for span in speech]
    kept = []
    for word in words:
        middle = (word.start + word.end) / 2
        before = bisect_right(starts, middle + TOLERANCE) - 1
        if before >= 0 and middle <= speech[before].end + TOLERANCE:
            kept.append(word)
    return tuple(kept)


def _placed(request: Request, answer: Sequence[tuple[str, float, float, float]]) -> list[HeardWord]:
    """The aligner's answer with the words of the request; empty if some were lost."""
    span, words = request
    if len(answer) != len(words):
        return []
    return [
        _word(span, word, start, end, 1.0 / (1.0 + math.exp(-(score - EVEN_SCORE) / SCORE_WIDTH)))
        for word, (_, start, end, score) in zip(words, answer, strict=True)
    ]


def _word(chunk: Span, text: str, start: float, end: float, confidence: float) -> HeardWord:
    """A word with times in the recording, from times in its chunk."""
    start, end = (min(round(chunk.start + time, 3), chunk.end) for time in (start, end))
    return HeardWord(ALTERNATE.sub("", text), start, end, confidence)


def _model_folder() -> Path:
    try:
        import pocketsphinx  # noqa: PLC0415
    except ImportError:
        raise EngineMissingError("PocketSphinx is not installed: run pip install pocketsphinx.") from None
    return Path(pocketsphinx.get_model_path("en-us"))


@lru_cache(maxsize=1)
def _info() -> EngineInfo:
    """The engine's provenance; hashes the model's 40 MB once per process."""
    folder = _model_folder()
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(folder).as_posix()} {path.stat().st_size}\n".encode())
        total.update(path.read_bytes())
    return EngineInfo("pocketsphinx", metadata.version("pocketsphinx"), "en-us", total.hexdigest())
