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
    start, end = np.array([(token.start, token.end) for token in chosen]).T
    away = np.stack([_distance(track, (start + end) / 2) for track in tracks], axis=1)
    near = np.exp(-away / PRESENCE)
    sure = np.array([token.match is Match.MATCHED or token.confidence >= SURE for token in chosen])
    blur = np.where(sure, BLUR, BLUR_UNSURE)
    talk = np.stack([_talk(track, start - blur, end + blur) for track in tracks], axis=1)
    share = talk / (end - start + 2 * blur)[:, None] + DOUBT * near
    noticed = TRUST * np.log(share / share.max(axis=1, keepdims=True))
    unnoticed = np.broadcast_to(-UNNOTICED_SECOND * (end - start)[:, None], noticed.shape)
    return SpeakerModel(
        evidence=np.concatenate([noticed, unnoticed], axis=1),
        odds=change_odds(tokens, spoken, diarization.exclusive, overlaps(diarization.segments)),
        entry=UNNOTICED + away / PRESENCE + np.log(near.sum(axis=1, keepdims=True)),
    )


def _talk(track: Sequence[SpeakerSegment], start: Floats, end: Floats) -> Floats:
    """Seconds that one speaker talks in each stretch: the difference of a running total at its edges."""
    edges, total = [0.0], [0.0]
    for segment in track:
        begin = max(segment.start, edges[-1])
        edges += [begin, max(segment.end, begin)]
        total += [total[-1], total[-1] + edges[-1] - begin]
    return np.asarray(np.interp(end, edges, total) - np.interp(start, edges, total))


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
    entry: (n, k) price, >= 0, of beginning an unnoticed stretch of each speaker at each token.

    Leaving a speaker costs the same whoever speaks next. So each step looks at a speaker's own two states and
    at all others together: O(n k) time and memory. Where a change is not likelier than not, "all others" may
    even include the speaker: to stay is at least as likely.
    """

    evidence: Floats
    odds: Floats
    entry: Floats

    @property
    def speakers(self) -> int:
        return int(self.evidence.shape[1]) // 2

    def decode(self) -> list[int]:
        """The speaker of every token in the most probable sequence of states.

        Staying is free here and a change gains its odds: that shifts all values of a token alike.
        """
        value = self.evidence.reshape(len(self.evidence), 2, -1).copy()
        value[0, 1] -= self.entry[0]
        for row, odds in enumerate(self.odds[1:].tolist(), start=1):
            noticed, unnoticed = value[row - 1]
            own = np.maximum(noticed, unnoticed)
            others = odds + (own.max() if odds <= 0.0 else _best_of_others(own))
            value[row, 0] += np.maximum(own, others)
            value[row, 1] += np.maximum(np.maximum(noticed, others) - self.entry[row], unnoticed)
        state = int(value[-1].argmax())
        path = [state % self.speakers]
        for row in range(len(value) - 1, 0, -1):
            speaker = path[-1]
            reached = value[row - 1] + self.odds[row]
            reached[:, speaker] = value[row - 1, :, speaker]
            if state != speaker:  # unnoticed: whoever was so before does not pay for it again
                reached[1, speaker] += self.entry[row, speaker]
            state = int(reached.argmax())
            path.append(state % self.speakers)
        return path[::-1]

    def posterior(self) -> Floats:
        """Probability of each speaker for each token given everything, shape (n, k)."""
        stay, change = (np.exp(-np.logaddexp(0.0, odds)).tolist() for odds in (self.odds, -self.odds))
        entering = np.exp(-self.entry)
        joint = np.exp(self.evidence).reshape(len(self.evidence), 2, -1)  # … times forward, times backward
        joint[0, 1] *= entering[0]
        for row in range(1, len(joint)):
            noticed, unnoticed = joint[row - 1]
            arriving, scale = _mixed(noticed + unnoticed, stay[row], change[row])
            remaining = stay[row] * scale * unnoticed
            joint[row, 0] *= arriving
            joint[row, 1] *= remaining + entering[row] * (arriving - remaining)
        backward = np.ones(joint.shape[1:])
        for row in range(len(joint) - 1, 0, -1):
            joint[row] *= backward
            backward *= np.exp(self.evidence[row]).reshape(2, -1)
            begun = entering[row] * backward[1]
            leaving, scale = _mixed(backward[0] + begun, stay[row], change[row])
            backward[1] = leaving + stay[row] * scale * (backward[1] - begun)
            backward[0] = leaving
        joint[0] *= backward
        shares = joint.sum(axis=1)
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _best_of_others(each: Floats) -> Floats:
    """The greatest of the other entries for each entry; -inf for an only one."""
    best = int(each.argmax())
    rest = each.copy()
    rest[best] = -np.inf
    others = np.full_like(each, each[best])
    others[best] = rest.max()
    return others


def _mixed(each: Floats, stay: float, change: float) -> tuple[Floats, float]:
    """`stay` of each entry and `change` of all others, scaled to a sum of 1 before, and that scale.

    Nothing small is subtracted from something large, which would round it away.
    """
    scale = 1.0 / float(each.sum())
    if change <= stay:
        return change + (stay - change) * scale * each, scale
    others = np.zeros_like(each)
    others[1:] = each[:-1].cumsum()
    others[:-1] += each[:0:-1].cumsum()[::-1]
    return stay * scale * each + change * scale * others, scale


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
