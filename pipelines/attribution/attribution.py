"""A speaker for every token, by one exact optimisation over the whole recording.

    tokens    …  appreciate   it…  │  Thank   you.  │  US   Secretary  …
    speakers  ───── anchor ────────┼─── analyst ────┼────── anchor ─────
    features                sentence, pause    answer, pause

A hidden Markov model (Rabiner 1989). The observations are how much of each token's time, widened by its
uncertainty, the diarization gives to each speaker. The hidden states are who says the token, and whether the
diarization noticed. A miss of the diarization is one event with its own price, however many tokens it spans:
so a short answer that the diarization missed survives if the words call for it, and a stray segment in the
middle of a sentence does not. Speakers change with the odds that `changes` gives for each place. The result
is the most probable sequence (Viterbi 1967) with its posterior probabilities; all evidence is in nats.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from pipelines.attribution.changes import change_odds
from pipelines.overlap import overlaps
from pipelines.text import join_tokens
from pipelines.types import AlignedToken, Attribution, Diarization, Match, SpeakerSegment, Turn

Floats = npt.NDArray[np.float64]
Indexes = npt.NDArray[np.intp]

DOUBT = 0.06
"""Share of a token's time that a speaker may have had unnoticed; it falls with the distance in time."""

BLUR = 0.4
"""Seconds by which diarization and word times may be off."""

BLUR_UNSURE = 0.6
"""The same for tokens whose times are interpolated or come from a dissimilar word."""

SURE = 0.6
"""Confidence of a match from which its times are trusted."""

TRUST = 0.7
"""Weight of each token's evidence, below 1 because the evidence of neighbours is not independent."""

UNNOTICED = 1.5
"""Price of beginning a stretch in which the diarization is wrong."""

UNNOTICED_SECOND = 2.0
"""Price of each second of speech in such a stretch: short answers are missed, long ones are not."""

PRESENCE = 10.0
"""Seconds: a speaker who is not heard this close by is unlikely to be the unnoticed one."""


def attribute(tokens: Sequence[AlignedToken], diarization: Diarization) -> Attribution:
    """A speaker of `diarization.speakers` for every spoken token, "" for the others.

    Where the diarization has no speakers at all, every spoken token goes to "speaker_1".
    """
    speakers = diarization.speakers or ("speaker_1",)
    spoken = [index for index, token in enumerate(tokens) if token.match is not Match.NOT_SPOKEN]
    said_by = [""] * len(tokens)
    confidence = [token.confidence for token in tokens]
    if spoken:
        model = _model(tokens, spoken, speakers, diarization)
        for index, speaker, row in zip(spoken, model.decode(), model.posterior(), strict=True):
            said_by[index] = speakers[speaker]
            confidence[index] = float(row[speaker])
    return Attribution(tuple(said_by), tuple(confidence))


def _model(
    tokens: Sequence[AlignedToken], spoken: Sequence[int], speakers: Sequence[str], diarization: Diarization
) -> SpeakerModel:
    """The model of the spoken tokens; where two people speak at once, the words decide between them."""
    chosen = [tokens[index] for index in spoken]
    segments: dict[str, list[SpeakerSegment]] = defaultdict(list)
    for segment in diarization.segments:
        segments[segment.speaker].append(segment)
    tracks = [segments[speaker] for speaker in speakers]
    noticed = TRUST * _likelihoods(chosen, tracks)
    seconds = np.array([[token.end - token.start] for token in chosen])
    unnoticed = np.broadcast_to(-UNNOTICED_SECOND * seconds, noticed.shape)
    return SpeakerModel(
        evidence=np.concatenate([noticed, unnoticed], axis=1),
        odds=change_odds(tokens, spoken, diarization.exclusive, overlaps(diarization.segments)),
        entry=UNNOTICED - _presence(chosen, tracks),
    )


def _likelihoods(spoken: Sequence[AlignedToken], tracks: Sequence[Sequence[SpeakerSegment]]) -> Floats:
    """Log likelihood of each speaker for each token, 0 for the likeliest, shape (tokens, speakers)."""
    sure = np.array([token.match is Match.MATCHED or token.confidence >= SURE for token in spoken])
    blur = np.where(sure, BLUR, BLUR_UNSURE)
    start = np.array([token.start for token in spoken]) - blur
    end = np.array([token.end for token in spoken]) + blur
    share = np.stack([_talk(track, start, end) for track in tracks], axis=1)
    away = np.stack([_distance(track, (start + end) / 2) for track in tracks], axis=1)
    share = share / (end - start)[:, None] + DOUBT * np.exp(-away / PRESENCE)
    return np.asarray(np.log(share / share.max(axis=1, keepdims=True)))


def _talk(track: Sequence[SpeakerSegment], start: Floats, end: Floats) -> Floats:
    """Seconds that one speaker talks in each stretch: the difference of a running total at its edges."""
    edges, total = [0.0], [0.0]
    for segment in track:
        begin = max(segment.start, edges[-1])
        edges += [begin, max(segment.end, begin)]
        total += [total[-1], total[-1] + edges[-1] - begin]
    return np.asarray(np.interp(end, edges, total) - np.interp(start, edges, total))


def _presence(spoken: Sequence[AlignedToken], tracks: Sequence[Sequence[SpeakerSegment]]) -> Floats:
    """Log probability of each speaker by the distance in time to their speech, shape (tokens, speakers)."""
    middle = np.array([(token.start + token.end) / 2 for token in spoken])
    nearness = np.stack([-_distance(track, middle) / PRESENCE for track in tracks], axis=1)
    return np.asarray(nearness - np.log(np.exp(nearness).sum(axis=1, keepdims=True)))


def _distance(track: Sequence[SpeakerSegment], moments: Floats) -> Floats:
    """Seconds to the nearest segment, 0 inside one; capped at 60 PRESENCE to keep exponents finite."""
    if not track:
        return np.full(len(moments), 60 * PRESENCE)
    start = np.array([segment.start for segment in track])
    end = np.array([segment.end for segment in track])
    after = np.clip(np.searchsorted(start, moments), 0, len(track) - 1)
    before = np.clip(after - 1, 0, None)
    ahead = np.maximum(start[after] - moments, moments - end[after])
    behind = np.maximum(start[before] - moments, moments - end[before])
    return np.asarray(np.clip(np.minimum(ahead, behind), 0.0, 60 * PRESENCE))


@dataclass(frozen=True, slots=True, eq=False)
class SpeakerModel:
    """The hidden Markov model over n tokens and k speakers; state v is speaker v noticed, k + v unnoticed.

    evidence: (n, 2k) log likelihoods. odds: (n,) log odds of a change of speaker in front of each token.
    entry: (n, k) price of beginning an unnoticed stretch of each speaker at each token.

    Leaving a speaker costs the same whoever speaks next. So each step looks at a speaker's own two states and
    at all others together: O(n k) time and memory.
    """

    evidence: Floats
    odds: Floats
    entry: Floats

    @property
    def speakers(self) -> int:
        return int(self.evidence.shape[1]) // 2

    def decode(self) -> list[int]:
        """The speaker of every token in the most probable sequence of states."""
        stay, change = np.logaddexp(0.0, self.odds), np.logaddexp(0.0, -self.odds)
        value = self._first()
        came_from = np.zeros(self.evidence.shape, dtype=np.int32)
        for row in range(1, len(self.evidence)):
            entering = np.concatenate([np.zeros(self.speakers), self.entry[row]])
            came_from[row], value = _arrivals(value, stay[row], change[row], entering)
            value += self.evidence[row]
        path = [int(value.argmax())]
        for origin in came_from[:0:-1]:
            path.append(int(origin[path[-1]]))
        return [state % self.speakers for state in reversed(path)]

    def posterior(self) -> Floats:
        """Probability of each speaker for each token given everything, shape (n, k)."""
        stay, change = (np.exp(-np.logaddexp(0.0, odds)) for odds in (self.odds, -self.odds))
        forward = np.empty((len(self.evidence), 2, self.speakers))
        forward[0] = _normalised(np.exp(self._first().reshape(2, -1)))
        for row in range(1, len(forward)):
            entering, seen = self._factors(row)
            noticed, unnoticed = forward[row - 1]
            others = change[row] * _sums_of_others(noticed + unnoticed)
            forward[row, 0] = stay[row] * (noticed + unnoticed) + others
            forward[row, 1] = entering * (stay[row] * noticed + others) + stay[row] * unnoticed
            forward[row] = _normalised(forward[row] * seen)
        backward = np.ones((2, self.speakers))
        joint = np.empty((len(forward), self.speakers))
        for row in range(len(forward) - 1, -1, -1):
            joint[row] = _normalised((forward[row] * backward).sum(axis=0))
            entering, seen = self._factors(row)
            noticed, unnoticed = backward * seen
            others = change[row] * _sums_of_others(noticed + entering * unnoticed)
            backward[0] = stay[row] * (noticed + entering * unnoticed) + others
            backward[1] = stay[row] * (noticed + unnoticed) + others
            backward = _normalised(backward)
        return joint

    def _first(self) -> Floats:
        return np.asarray(self.evidence[0] - np.concatenate([np.zeros(self.speakers), self.entry[0]]))

    def _factors(self, row: int) -> tuple[Floats, Floats]:
        """For one token, the factor for beginning an unnoticed stretch, (k,), and the likelihoods, (2, k)."""
        return np.exp(-self.entry[row]), np.exp(self.evidence[row]).reshape(2, -1)


def _arrivals(value: Floats, stay: float, change: float, entering: Floats) -> tuple[Indexes, Floats]:
    """For each state, its best origin (the first of equals) and the value with which it is reached."""
    speaker = np.arange(len(value)) % (len(value) // 2)
    best = int(value.argmax())
    own = speaker == speaker[best]
    rest = np.where(own, -np.inf, value)
    second = int(rest.argmax())
    others = np.where(own, rest[second], value[best])
    origins = np.stack([np.where(own, second, best), speaker, speaker + len(value) // 2])
    reached = np.stack(
        [others - (change + entering), value[speaker] - (stay + entering), value[origins[2]] - stay]
    )
    most = reached.max(axis=0)
    return np.where(reached == most, origins, len(value)).min(axis=0), most


def _sums_of_others(each: Floats) -> Floats:
    """The sum of all other entries for each entry, without subtraction, which would round away small ones."""
    sums = np.zeros_like(each)
    sums[1:] = each[:-1].cumsum()
    sums[:-1] += each[:0:-1].cumsum()[::-1]
    return sums


def _normalised(values: Floats) -> Floats:
    return np.asarray(values / values.sum())


def take_turns(tokens: Sequence[AlignedToken], attribution: Attribution) -> tuple[Turn, ...]:
    """The turns in order: the longest runs of spoken tokens of one speaker."""
    spoken = [(speaker, index) for index, speaker in enumerate(attribution.speakers) if speaker]
    return tuple(
        _turn(tokens, speaker, [index for _, index in run])
        for speaker, run in groupby(spoken, key=lambda pair: pair[0])
    )


def _turn(tokens: Sequence[AlignedToken], speaker: str, indexes: Sequence[int]) -> Turn:
    return Turn(
        speaker=speaker,
        start=tokens[indexes[0]].start,
        end=tokens[indexes[-1]].end,
        token_start=indexes[0],
        token_end=indexes[-1] + 1,
        text=join_tokens(tokens, indexes),
    )
