"""Simulates a forced aligner on a known interview, and brings a generated text to its recording with it.

Asked to put words on a stretch, it lays them along the words really said there, like upon like. Words
that nobody said are squeezed in between, as forced aligners do: they never say no.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from pipelines.alignment.alignment import align
from pipelines.alignment.editing import Gaps, best_pairs
from pipelines.alignment.placement import place
from pipelines.engines.fake import script_audio
from pipelines.types import AlignedToken, Audio, EngineInfo, HeardWord, Span
from tests.benchmarks.generator import Interview
from tests.benchmarks.spoken import SpokenWord, Utterance

EDGE = 0.03  # standard deviation of a placed word's times, seconds
SQUEEZED = 0.03  # length of a word for which there is no room, seconds


def bring_together(interview: Interview) -> tuple[AlignedToken, ...]:
    """The supplied tokens with their times, by the stages that the pipeline runs."""
    tokens = align(
        interview.supplied.tokens, interview.heard.words, speech=interview.speech, duration=interview.duration
    )
    return place(tokens, script_audio(()), SimulatedAligner(interview.seed, interview.utterances))


@dataclass(frozen=True, slots=True)
class SimulatedAligner:
    """Knows what was said, and is a little off."""

    seed: int
    utterances: Sequence[Utterance]

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(engine="simulated", version="1", model="", model_sha256="")

    def knows(self, language: str) -> bool:
        return True

    def place(self, audio: Audio, requests: Sequence[tuple[Span, tuple[str, ...]]]) -> list[list[HeardWord]]:
        random = Random(f"aligner {self.seed}")
        return [list(self._place(random, span, words)) for span, words in requests]

    def _place(self, random: Random, span: Span, words: Sequence[str]) -> Iterator[HeardWord]:
        said = [
            word
            for utterance in self.utterances
            for word in utterance.words
            if word.plain and span.start <= (word.start + word.end) / 2 <= span.end
        ]
        partner = dict(_pairs(words, said))
        now = span.start
        for index, text in enumerate(words):
            start, end = now, now + SQUEEZED
            if index in partner:
                start, end = said[partner[index]].start, said[partner[index]].end
            start = max(now, start + random.gauss(0.0, EDGE))
            now = max(start + SQUEEZED, end + random.gauss(0.0, EDGE))
            yield HeardWord(text, start, now, 0.5)


def _pairs(words: Sequence[str], said: Sequence[SpokenWord]) -> list[tuple[int, int]]:
    """Which asked word lies on which said one."""
    if not said:
        return []
    plain = [word.plain for word in said]
    alike = cdist(words, plain, scorer=Levenshtein.normalized_similarity, dtype=np.float32)
    free = [Gaps(np.zeros(n, np.float32), np.zeros(n + 1, np.float32)) for n in alike.shape]
    return [(int(i), int(j)) for i, j in best_pairs(alike - np.float32(0.2), *free)]
