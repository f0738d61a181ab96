"""Simulates two engines on a known interview: a recogniser that mishears, a diarizer that misplaces edges.

true turns    |AAAAAAAAAAAAAAAAAA|  |B| |AAAAAAA|   |CCCCCCCCCC|
diarizer      |AAAAAAA|D|AAAAAAAAAA|    |AAAAAA|  |CCCCCCCCCCC|
                       a confusion  a short turn missed, edges up to 0.3 s off
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from random import Random

import numpy as np
from rapidfuzz import fuzz, process

from pipelines.types import Diarization, EngineInfo, Heard, HeardWord, SpeakerSegment
from tests.benchmarks.dialogue import names, vocabulary
from tests.benchmarks.spoken import SpokenWord, Utterance

ENGINE = EngineInfo(engine="simulated", version="1", model="", model_sha256="")

TIME_JITTER = 0.06  # standard deviation of a heard word's edges, seconds
EDGE_JITTER = 0.13  # standard deviation of a diarized edge, seconds
EDGE_LIMIT = 0.3  # no edge is further off, seconds
SHORT_TURN = 1.0  # a turn below this may be missed, seconds
MISSED_SHORT_TURNS = 0.15  # share of them
CONFUSION_EVERY = 70.0  # one wrong piece per so much speech, seconds
EXTRA_SPEAKER = 0.4  # probability that one confusion becomes a voice of its own

# (substituted, deleted, inserted) of a word: where recognition goes well, and in the bad patches
GOOD = (0.09, 0.03, 0.015)
BAD = (0.5, 0.16, 0.1)
BAD_BEGINS, BAD_ENDS = 0.025, 0.2
NAME_MISHEARD = 0.6


def recognise(random: Random, utterances: Sequence[Utterance]) -> Heard:
    """What a small-vocabulary recogniser hears: about 20 % of the words wrong, in patches, names mostly."""
    words: list[HeardWord] = []
    bad = False
    for spoken in (word for utterance in utterances for word in utterance.words):
        bad = random.random() >= BAD_ENDS if bad else random.random() < BAD_BEGINS
        words += _hear(random, spoken, BAD if bad else GOOD)
    return Heard(words=tuple(_in_order(words)), language="en", engine=ENGINE)


def _hear(random: Random, spoken: SpokenWord, rates: tuple[float, float, float]) -> Iterator[HeardWord]:
    substituted, deleted, inserted = rates
    said = spoken.plain
    if random.random() < deleted or not said:
        return
    wrong = random.random() < (NAME_MISHEARD if said in names() else substituted)
    texts = _mishear(random, said) if wrong else [said]
    if random.random() < inserted:
        texts = [*texts, random.choice(("the", "a", "and", "of", "to", "in", "uh", "it"))]
    start = spoken.start + _jitter(random, TIME_JITTER, 0.2)
    end = max(start + 0.03, spoken.end + _jitter(random, TIME_JITTER, 0.2))
    step = (end - start) / len(texts)
    for number, text in enumerate(texts):
        confidence = random.betavariate(3, 2.5) if wrong else random.betavariate(7, 1.5)
        yield HeardWord(
            text, max(0.0, start + number * step), max(0.01, start + (number + 1) * step), confidence
        )


def _jitter(random: Random, deviation: float, limit: float) -> float:
    return max(-limit, min(limit, random.gauss(0.0, deviation)))


def _mishear(random: Random, said: str) -> list[str]:
    """Another word that is spelled much alike; a long one may fall apart into two."""
    if len(said) >= 6 and random.random() < 0.4:
        cut = random.randint(2, len(said) - 3)
        return [random.choice(similar(part)) for part in (said[:cut], said[cut:])]
    return [random.choice(similar(said))]


@cache
def similar(word: str) -> tuple[str, ...]:
    """The five words of the vocabulary whose letters are most like this one's, itself excluded."""
    found = process.extract(word, vocabulary(), scorer=fuzz.ratio, limit=6)
    return tuple(choice for choice, _, _ in found if choice != word)[:5]


def _in_order(words: Iterable[HeardWord]) -> Iterator[HeardWord]:
    """Times made to rise: no word starts before the one in front of it, or ends with nothing in between."""
    start = 0.0
    for word in words:
        start = max(start, word.start)
        yield replace(word, start=start, end=max(word.end, start + 0.02))


# --------------------------------------------------------------------------- the diarizer


def diarize(random: Random, utterances: Sequence[Utterance]) -> Diarization:
    """Who a d-vector diarizer believes to speak when."""
    labels = _labels(random, utterances)
    segments = [
        SpeakerSegment(utterance.start, utterance.end, labels[utterance.speaker]) for utterance in utterances
    ]
    noisy = _confuse(random, _miss_short(random, segments), labels)
    segments = _move_edges(random, _join(noisy))
    speakers = tuple(dict.fromkeys(segment.speaker for segment in segments))
    silent = np.zeros((len(speakers), 0), dtype=np.float32)
    return Diarization(tuple(segments), tuple(segments), speakers, silent, ENGINE)


def _labels(random: Random, utterances: Sequence[Utterance]) -> dict[str, str]:
    speakers = sorted({utterance.speaker for utterance in utterances})
    random.shuffle(speakers)
    return {speaker: f"SPEAKER_{number:02d}" for number, speaker in enumerate(speakers)}


def _miss_short(random: Random, segments: Sequence[SpeakerSegment]) -> list[SpeakerSegment]:
    """Some short turns go to the voice before or after them."""
    heard = list(segments)
    for index, segment in enumerate(segments):
        if segment.end - segment.start < SHORT_TURN and random.random() < MISSED_SHORT_TURNS:
            neighbour = segments[max(0, min(len(segments) - 1, index + random.choice((-1, 1))))]
            heard[index] = replace(segment, speaker=neighbour.speaker)
    return heard


def _confuse(
    random: Random, segments: Sequence[SpeakerSegment], labels: dict[str, str]
) -> Iterator[SpeakerSegment]:
    """Here and there a piece of a long turn goes to another voice."""
    stranger = f"SPEAKER_{len(labels):02d}"
    for segment in segments:
        start = segment.start
        while True:
            at = start + random.expovariate(1 / CONFUSION_EVERY)
            length = random.uniform(0.4, 1.6)
            if at < segment.start + 1.0 or at + length > segment.end - 1.0:
                break
            others = [label for label in labels.values() if label != segment.speaker]
            wrong = stranger if random.random() < EXTRA_SPEAKER else random.choice(others)
            yield SpeakerSegment(start, at, segment.speaker)
            yield SpeakerSegment(at, at + length, wrong)
            start = at + length
        yield SpeakerSegment(start, segment.end, segment.speaker)


def _join(segments: Iterable[SpeakerSegment]) -> list[SpeakerSegment]:
    """Neighbouring segments of one voice as one, unless more than half a second lies between."""
    joined: list[SpeakerSegment] = []
    for segment in segments:
        last = joined[-1] if joined else None
        if last and last.speaker == segment.speaker and segment.start - last.end < 0.5:
            joined[-1] = replace(last, end=segment.end)
        else:
            joined.append(segment)
    return joined


def _move_edges(random: Random, segments: Sequence[SpeakerSegment]) -> list[SpeakerSegment]:
    moved: list[SpeakerSegment] = []
    for segment in segments:
        start = max(0.0, segment.start + _jitter(random, EDGE_JITTER, EDGE_LIMIT))
        end = segment.end + _jitter(random, EDGE_JITTER, EDGE_LIMIT)
        if moved and start < moved[-1].end:
            start = moved[-1].end
        if end > start:
            moved.append(SpeakerSegment(start, end, segment.speaker))
    return moved
