"""What was really said, with times: the truth behind a made-up interview."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from pipelines.types import Role
from tests.benchmarks.dialogue import Line


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One word as a careful writer would put it, with its punctuation."""

    text: str
    start: float
    end: float

    @property
    def plain(self) -> str:
        """As a recogniser would write it: lower case, no punctuation."""
        return re.sub(r"[^\w']", "", self.text.lower())

    @property
    def ends_sentence(self) -> bool:
        return self.text.endswith((".", "?", "!"))


@dataclass(frozen=True, slots=True)
class Utterance:
    """One turn: everything that a speaker says before another one does; never empty."""

    speaker: str
    role: Role
    words: tuple[SpokenWord, ...]

    @property
    def start(self) -> float:
        return self.words[0].start

    @property
    def end(self) -> float:
        return self.words[-1].end

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


def speak(random: Random, lines: Sequence[Line]) -> tuple[Utterance, ...]:
    """Gives every word its time: about 2.8 words a second, pauses at punctuation, some hesitation."""
    utterances: list[Utterance] = []
    now = 0.5
    for line in lines:
        words: list[SpokenWord] = []
        for text in _stammer(random, line.text.split()):
            word = SpokenWord(text, now, now + _duration(random, text))
            words.append(word)
            now = word.end + _pause(random, word)
        utterances.append(Utterance(line.speaker, line.role, tuple(words)))
        now = words[-1].end + random.uniform(0.0, 0.7)
    return tuple(utterances)


def _stammer(random: Random, texts: Sequence[str]) -> list[str]:
    """Now and then somebody says a small word twice."""
    twice = [text.islower() and len(text) < 5 and text.isalpha() and random.random() < 0.01 for text in texts]
    return [said for text, again in zip(texts, twice, strict=True) for said in ([text] * (1 + again))]


def _duration(random: Random, text: str) -> float:
    return (0.09 + 0.045 * len(text)) * random.uniform(0.75, 1.25)


def _pause(random: Random, word: SpokenWord) -> float:
    if word.ends_sentence:
        return random.uniform(0.1, 0.7)
    if word.text.endswith(","):
        return random.uniform(0.0, 0.3)
    return random.uniform(0.15, 0.6) if random.random() < 0.03 else 0.0
