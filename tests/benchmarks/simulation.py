"""Simulates two engines on a known interview: a recogniser that mishears, a diarizer that misplaces edges.

true turns    |AAAAAAAAAAAAAAAAAA|  |B| |AAAAAAA|   |CCCCCCCCCC|
diarizer      |AAAAAAA|D|AAAAAAAAAA|    |AAAAAA|  |CCCCCCCCCCC|
                       a confusion  a short turn missed, edges up to 0.3 s off
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import accumulate, pairwise
from random import Random

import numpy as np
from rapidfuzz import fuzz, process

from pipelines.types import Diarization, EngineInfo, Heard, HeardWord, Span, SpeakerSegment
from tests.benchmarks.dialogue import names, vocabulary
from tests.benchmarks.spoken import SpokenWord, Utterance

ENGINE = EngineInfo(engine="simulated", version="1", model="", model_sha256="")

PAUSE = 0.25  # the shortest that is detected, seconds
# Standard deviations of times, seconds; no time is off by more than two and a half of them.
WORD_EDGE = 0.06  # of a heard word
DETECTED_EDGE = 0.05  # of detected speech
PAUSE_EDGE = 0.06  # of a voice beside a pause
SPEECH_EDGE = 0.18  # of a change of voice without a pause
SHORT_TURN = 1.0  # a turn below this may be missed, seconds
MISSED_SHORT_TURNS = 0.09  # share of them, as `tests.benchmarks.short_turns` finds with real voices
CONFUSION_EVERY = 100.0  # one wrong piece per so much speech, seconds
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
    start = spoken.start + _jitter(random, WORD_EDGE)
    end = max(start + 0.03, spoken.end + _jitter(random, WORD_EDGE))
    step = (end - start) / len(texts)
    for number, text in enumerate(texts):
        confidence = random.betavariate(0.7, 1.5) if wrong else random.betavariate(1.6, 0.45)
        yield HeardWord(
            text, max(0.0, start + number * step), max(0.01, start + (number + 1) * step), confidence
        )


def _jitter(random: Random, deviation: float) -> float:
    return deviation * max(-2.5, min(2.5, random.gauss(0.0, 1.0)))


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


# --------------------------------------------------------------------------- speech, and whose


def detect_speech(random: Random, utterances: Sequence[Utterance]) -> tuple[Span, ...]:
    """Where a voice activity detector finds speech: no pause below a quarter of a second."""
    words = [word for utterance in utterances for word in utterance.words]
    spans: list[Span] = []
    for stretch in _stretches(words):
        start = max(spans[-1].end if spans else 0.0, stretch[0].start + _jitter(random, DETECTED_EDGE))
        spans.append(Span(start, max(start + 0.05, stretch[-1].end + _jitter(random, DETECTED_EDGE))))
    return tuple(spans)


def _stretches(words: Sequence[SpokenWord]) -> list[list[SpokenWord]]:
    """Words with no detectable pause in between."""
    stretches: list[list[SpokenWord]] = []
    for word in words:
        if stretches and word.start - stretches[-1][-1].end < PAUSE:
            stretches[-1].append(word)
        else:
            stretches.append([word])
    return stretches


def diarize(random: Random, utterances: Sequence[Utterance]) -> Diarization:
    """Who a d-vector diarizer believes to speak when."""
    labels = _labels(random, utterances)
    true = [
        SpeakerSegment(stretch[0].start, stretch[-1].end, labels[utterance.speaker])
        for utterance in _miss_short(random, utterances)
        for stretch in _stretches(utterance.words)
    ]
    segments = tuple(_move_edges(random, _join(_confuse(random, true, labels))))
    speakers = tuple(dict.fromkeys(segment.speaker for segment in segments))
    no_embeddings = np.zeros((len(speakers), 0), dtype=np.float32)
    return Diarization(segments, segments, speakers, no_embeddings, ENGINE)


def _labels(random: Random, utterances: Sequence[Utterance]) -> dict[str, str]:
    speakers = sorted({utterance.speaker for utterance in utterances})
    random.shuffle(speakers)
    return {speaker: f"SPEAKER_{number:02d}" for number, speaker in enumerate(speakers)}


def _miss_short(random: Random, utterances: Sequence[Utterance]) -> list[Utterance]:
    """Some short turns go to the voice before or after them."""
    heard = list(utterances)
    for index, utterance in enumerate(utterances):
        if utterance.end - utterance.start < SHORT_TURN and random.random() < MISSED_SHORT_TURNS:
            neighbour = utterances[max(0, min(len(utterances) - 1, index + random.choice((-1, 1))))]
            heard[index] = replace(utterance, speaker=neighbour.speaker)
    return heard


def _confuse(
    random: Random, segments: Sequence[SpeakerSegment], labels: dict[str, str]
) -> Iterator[SpeakerSegment]:
    """Here and there a piece of a long stretch goes to another voice."""
    stranger = f"SPEAKER_{len(labels):02d}"
    for segment in segments:
        length = random.uniform(0.4, 1.6)
        room = segment.end - segment.start - length - 1.0
        if room <= 0 or random.random() >= (segment.end - segment.start) / CONFUSION_EVERY:
            yield segment
            continue
        at = segment.start + 0.5 + random.uniform(0, room)
        others = [label for label in labels.values() if label != segment.speaker]
        wrong = stranger if random.random() < EXTRA_SPEAKER else random.choice(others)
        yield replace(segment, end=at)
        yield SpeakerSegment(at, at + length, wrong)
        yield replace(segment, start=at + length)


def _join(segments: Iterable[SpeakerSegment]) -> list[SpeakerSegment]:
    """Neighbours of one voice with no detectable pause in between as one."""
    joined: list[SpeakerSegment] = []
    for segment in segments:
        last = joined[-1] if joined else None
        if last and last.speaker == segment.speaker and segment.start - last.end < PAUSE:
            joined[-1] = replace(last, end=segment.end)
        else:
            joined.append(segment)
    return joined


def _move_edges(random: Random, segments: Sequence[SpeakerSegment]) -> Iterator[SpeakerSegment]:
    """Edges at a pause are found well; a change without one is found less well, as a single edge."""
    edges = [segments[0].start]
    for left, right in pairwise(segments):
        if right.start - left.end >= PAUSE:
            edges += [left.end + _jitter(random, PAUSE_EDGE), right.start + _jitter(random, PAUSE_EDGE)]
        else:
            edges += [(left.end + right.start) / 2 + _jitter(random, SPEECH_EDGE)] * 2
    edges.append(segments[-1].end)
    rising = list(accumulate(edges, max))
    for segment, start, end in zip(segments, rising[::2], rising[1::2], strict=True):
        if end > start:
            yield SpeakerSegment(start, end, segment.speaker)
