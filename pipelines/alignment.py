"""Where every supplied token is in the recording, or that it was not spoken.

One alignment of the whole recording, in three steps:

1. `anchors.split` cuts text and words heard into blocks at runs that occur once on both sides;
   `editing.best_pairs` aligns each block exactly, by alikeness in spelling and sound, with affine gaps
   that begin and end more cheaply at line ends and pauses.
2. Time is evidence. Supplied words without a counterpart were spoken if there is speech left over for
   them, and were not if there is none (ten words do not fit into 0.2 s), or if other words were plainly
   heard in that time.
3. Spoken words without a counterpart share the time between their neighbours by their syllables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from pipelines.anchors import split
from pipelines.clock import SpeechClock
from pipelines.comparison import Units, Vocabulary, compare
from pipelines.editing import Gaps, best_pairs
from pipelines.normalization import ends_sentence
from pipelines.types import AlignedToken, HeardWord, Match, Span, Token, TokenKind

Floats = npt.NDArray[np.float32]
Indexes = npt.NDArray[np.int64]

# Scores of one block. A rare word heard exactly as written is worth 1.
EVEN = 0.59  # alikeness at which a pair is as good as nothing
WORST_PAIR = -0.5  # so that up to three unlike words in a row are taken for misheard ones
SKIP = 0.15
EDGE = 0.3  # beginning or ending a gap inside a line
EDGE_AT_LINE = 0.1  # pasted text begins and ends with lines
EDGE_AT_SENTENCE = 0.2
EDGE_AT_CAPITAL = 0.2
HEARD_EDGE = 0.15  # recognisers split and merge words often

SOLID = 0.6
"""Alikeness from which a pair counts as heard, so that its times can be relied on."""

NEIGHBOURS = 2
"""Pairs on either side whose time is counted in: recognisers stretch words over unheard neighbours."""

FIT = 0.5
"""Words were spoken if at least this share of the time that they need is there."""

SHORTEST_PASTE = 3
"""Tokens. One or two words that nothing was heard of are too short to be told from swallowed ones."""

SHORTEST_SWAP = 5
"""Units. Fewer misheard words can sound like anything."""

FOREIGN = 0.4
"""Below this alikeness in sound, words plainly heard in the time of others contradict them."""


@dataclass(frozen=True, slots=True, eq=False)
class _Pairing:
    """For every supplied unit its heard unit, or -1, and how alike they are. Shapes (n,)."""

    partner: Indexes
    alike: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Sides:
    """Both sides of the alignment, in units, and the time of every heard unit."""

    tokens: Sequence[Token]
    words: Sequence[HeardWord]
    supplied: Units
    heard: Units
    vocabulary: Vocabulary
    start: npt.NDArray[np.float64]
    end: npt.NDArray[np.float64]


def align(
    tokens: Sequence[Token],
    words: Sequence[HeardWord],
    *,
    speech: Sequence[Span],
    duration: float,
    language: str = "en",
) -> tuple[AlignedToken, ...]:
    """Every token in order, with its time and its match; as many as came in.

    `speech` is where somebody speaks; `duration` is that of the recording, in seconds.
    """
    supplied, heard, vocabulary = compare(tokens, words, language)
    start, end = _unit_times(heard, words)
    sides = _Sides(tokens, words, supplied, heard, vocabulary, start, end)
    pairing = _pair(sides)
    clock = SpeechClock(speech, duration)
    need = _time_needed(sides, pairing)
    spoken = _judge(sides, pairing, clock, need)
    start, end = _times(sides, pairing, spoken, clock, need)
    return tuple(_place(sides, pairing, spoken, start, end))


def _unit_times(
    heard: Units, words: Sequence[HeardWord]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Units of one word share its time evenly."""
    start = np.array([words[w].start for w in heard.owner], dtype=np.float64)
    end = np.array([words[w].end for w in heard.owner], dtype=np.float64)
    size = np.bincount(heard.owner, minlength=len(words))[heard.owner] if len(heard) else np.empty(0)
    first = np.searchsorted(heard.owner, heard.owner)
    share = (end - start) / np.maximum(size, 1)
    nth = np.arange(len(heard)) - first
    return start + nth * share, start + (nth + 1) * share


# --------------------------------------------------------------------------- which word is which


def _pair(sides: _Sides) -> _Pairing:
    partner = np.full(len(sides.supplied), -1, dtype=np.int64)
    alike = np.zeros(len(sides.supplied), dtype=np.float32)
    rows, columns = _supplied_gaps(sides), _heard_gaps(sides)
    for top, bottom, left, right in split(sides.supplied.ids, sides.heard.ids):
        ours, theirs = sides.supplied.ids[top:bottom], sides.heard.ids[left:right]
        similarity = sides.vocabulary.similarity(ours, theirs)
        weight = sides.vocabulary.weight
        score = _score(similarity, weight[ours], weight[theirs])
        pairs = best_pairs(score, rows.cut(top, bottom), columns.cut(left, right))
        partner[top + pairs[:, 0]] = left + pairs[:, 1]
        alike[top + pairs[:, 0]] = similarity[pairs[:, 0], pairs[:, 1]]
    return _Pairing(partner, alike)


def _score(similarity: Floats, ours: Floats, theirs: Floats) -> Floats:
    """The weight of the word where both are equal, falling through 0 at EVEN."""
    gain = np.maximum((similarity - EVEN) / (1 - EVEN), WORST_PAIR)
    weight = (ours[:, None] + theirs[None, :]) / 2
    return np.asarray(np.where(gain > 0, gain * weight, gain), dtype=np.float32)


def _supplied_gaps(sides: _Sides) -> Gaps:
    edge = np.full(len(sides.supplied) + 1, EDGE, dtype=np.float32)
    edge[0] = edge[-1] = EDGE_AT_LINE
    for place, (before, after) in enumerate(pairwise(sides.supplied.owner), start=1):
        if before != after:
            edge[place] = _edge(sides.tokens[before], sides.tokens[after])
    return Gaps(np.full(len(sides.supplied), SKIP, dtype=np.float32), edge)


def _edge(before: Token, after: Token) -> float:
    """What it costs to begin or end unspoken text between two tokens."""
    if before.line != after.line:
        return EDGE_AT_LINE
    if ends_sentence(before.text):
        return EDGE_AT_SENTENCE
    return EDGE_AT_CAPITAL if after.text[:1].isupper() else EDGE


def _heard_gaps(sides: _Sides) -> Gaps:
    count = len(sides.heard)
    return Gaps(np.full(count, SKIP, dtype=np.float32), np.full(count + 1, HEARD_EDGE, dtype=np.float32))


# --------------------------------------------------------------------------- what was spoken


def _judge(
    sides: _Sides, pairing: _Pairing, clock: SpeechClock, need: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """For every supplied unit, whether it was spoken. Shape (n,)."""
    spoken = np.ones(len(sides.supplied), dtype=np.bool_)
    for first, last in _runs(pairing.partner < 0):
        tokens = sides.supplied.owner[last - 1] - sides.supplied.owner[first] + 1
        if tokens >= SHORTEST_PASTE:
            spoken[first:last] = _was_spoken(sides, pairing, clock, need, first, last)
    return spoken


def _runs(mask: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """The half-open ranges in which mask is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    for start, end in edges.reshape(-1, 2):
        yield int(start), int(end)


def _time_needed(sides: _Sides, pairing: _Pairing) -> npt.NDArray[np.float64]:
    """Seconds that each supplied unit takes to say, at the median pace of the words heard as written."""
    syllables = sides.vocabulary.syllables[sides.supplied.ids].astype(np.float64)
    solid = pairing.alike >= SOLID
    taken = (sides.end - sides.start)[pairing.partner[solid]]
    pace = float(np.median(taken / syllables[solid])) if solid.any() else 0.2
    return syllables * min(max(pace, 0.08), 0.4)


def _was_spoken(
    sides: _Sides,
    pairing: _Pairing,
    clock: SpeechClock,
    need: npt.NDArray[np.float64],
    first: int,
    last: int,
) -> bool:
    low, high = max(0, first - NEIGHBOURS), min(len(need), last + NEIGHBOURS)
    while low > 0 and pairing.partner[low] < 0:
        low -= 1
    while high < len(need) and pairing.partner[high - 1] < 0:
        high += 1
    start = sides.start[pairing.partner[low]] if pairing.partner[low] >= 0 else 0.0
    after = pairing.partner[high - 1]
    end = sides.end[after] if after >= 0 else clock.duration
    wanted = float(need[first:last].sum())
    free = clock.between(start, end) - float(need[low:first].sum() + need[last:high].sum())
    return free >= FIT * wanted and not _contradicted(sides, pairing, first, last, wanted)


def _contradicted(sides: _Sides, pairing: _Pairing, first: int, last: int, wanted: float) -> bool:
    """Whether words unlike these were heard in the time that these would take."""
    left = pairing.partner[first - 1] + 1 if first else 0
    right = pairing.partner[last] if last < len(sides.supplied) else len(sides.heard)
    taken = sides.end[left:right] - sides.start[left:right]
    if last - first < SHORTEST_SWAP or taken.sum() < FIT * wanted:
        return False
    ours = "".join(sides.vocabulary.sounds[i] for i in sides.supplied.ids[first:last])
    theirs = "".join(sides.vocabulary.sounds[i] for i in sides.heard.ids[left:right])
    return Levenshtein.normalized_similarity(ours, theirs) < FOREIGN


# --------------------------------------------------------------------------- times


def _times(
    sides: _Sides,
    pairing: _Pairing,
    spoken: npt.NDArray[np.bool_],
    clock: SpeechClock,
    need: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Start and end of every supplied unit: as heard, else shared out. Undefined where not spoken."""
    start = np.where(pairing.partner >= 0, _at(sides.start, pairing.partner), 0.0)
    end = np.where(pairing.partner >= 0, _at(sides.end, pairing.partner), 0.0)
    for first, last in _runs(pairing.partner < 0):
        unheard = first + np.flatnonzero(spoken[first:last])
        opening = end[first - 1] if first else 0.0
        closing = start[last] if last < len(start) else clock.duration
        edges = clock.share(opening, max(opening, closing), need[unheard])
        start[unheard], end[unheard] = edges[:-1], edges[1:]
    return start, end


def _at(times: npt.NDArray[np.float64], partner: Indexes) -> npt.NDArray[np.float64]:
    return times[partner] if len(times) else np.zeros(len(partner))


def _place(
    sides: _Sides,
    pairing: _Pairing,
    spoken: npt.NDArray[np.bool_],
    start: npt.NDArray[np.float64],
    end: npt.NDArray[np.float64],
) -> Iterator[AlignedToken]:
    """Tokens with times that never decrease."""
    bounds = np.searchsorted(sides.supplied.owner, np.arange(len(sides.tokens) + 1))
    now = until = 0.0
    match = Match.NOT_SPOKEN
    for token, first, last in zip(sides.tokens, bounds[:-1], bounds[1:], strict=True):
        match = _match(token, pairing, spoken, first, last, match)
        if match is Match.NOT_SPOKEN or first == last:
            now = until
        else:
            now = max(now, float(start[first]))
            until = max(until, now, float(end[last - 1]))
        left, right = _heard_range(sides, pairing, first, last)
        yield AlignedToken(
            token, match, now, until, left, right, _confidence(sides, pairing, match, first, last)
        )


def _match(
    token: Token, pairing: _Pairing, spoken: npt.NDArray[np.bool_], first: int, last: int, before: Match
) -> Match:
    """`before` is the match of the token in front: loose punctuation goes with it."""
    if token.kind is not TokenKind.WORD:
        return Match.NOT_SPOKEN
    if first == last:
        return Match.NOT_SPOKEN if before is Match.NOT_SPOKEN else Match.INTERPOLATED
    if not spoken[first:last].any():
        return Match.NOT_SPOKEN
    if (pairing.partner[first:last] < 0).all():
        return Match.INTERPOLATED
    return Match.MATCHED if (pairing.alike[first:last] == 1.0).all() else Match.DIFFERS


def _heard_range(sides: _Sides, pairing: _Pairing, first: int, last: int) -> tuple[int, int]:
    """The heard words that the units [first, last) stand against; empty where there are none."""
    partners = pairing.partner[first:last]
    partners = partners[partners >= 0]
    if not len(partners):
        return 0, 0
    owners = sides.heard.owner[partners]
    return int(owners[0]), int(owners[-1]) + 1


def _confidence(sides: _Sides, pairing: _Pairing, match: Match, first: int, last: int) -> float:
    """Of the match: for a pair the recogniser's confidence and the alikeness, else one half or so."""
    if match is Match.NOT_SPOKEN:
        return 0.9
    left, right = _heard_range(sides, pairing, first, last)
    if left == right:
        return 0.5
    heard = float(np.mean([word.confidence for word in sides.words[left:right]]))
    return (0.5 + 0.5 * heard) * float(pairing.alike[first:last].mean())
