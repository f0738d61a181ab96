"""Where every supplied token is in the recording, or that it was not spoken.

One alignment of the whole recording, in three steps:

1. `anchors.split` cuts the text and the recognised words into blocks at runs that occur once on both sides;
   `editing.best_pairs` aligns each block exactly, by similarity in spelling and sound, with affine gaps
   that begin and end more cheaply at line ends and pauses.
2. Time is evidence. Supplied words without a counterpart were spoken if there is speech left over for
   them. They were not if there is none (ten words do not fit into 0.2 s), or if other words were clearly
   recognised in that time.
3. Spoken words without a counterpart share the time between their neighbours by number of syllables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, pairwise

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from pipelines.alignment.anchors import split
from pipelines.alignment.comparison import Floats, Indexes, Units, Vocabulary, compare
from pipelines.alignment.editing import Gaps, best_pairs
from pipelines.alignment.placement import place
from pipelines.alignment.recovery import matched_share, recover
from pipelines.alignment.speech_clock import SpeechClock
from pipelines.errors import EngineError
from pipelines.protocols import ForcedAligner
from pipelines.text import ends_sentence
from pipelines.types import AlignedToken, Audio, HeardWord, Match, Notice, Span, Token, TokenKind, runs

Times = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# Scores of one block. A rare word recognised exactly as written is worth 1.
EVEN = 0.55  # similarity at which a pair scores 0
WORST_PAIR = -0.6  # so that up to three dissimilar words in a row count as misrecognised
SKIP = 0.15
EDGE = 0.4  # beginning or ending a gap inside a line
EDGE_AT_LINE = 0.1  # pasted text begins and ends with lines
EDGE_AT_SENTENCE = 0.2
EDGE_AT_CAPITAL = 0.2
HEARD_EDGE = 0.15  # recognisers split and merge words often

SOLID = 0.6
"""Similarity from which a pair counts as recognised, so that its times can be trusted."""

NEIGHBOURS = 2
"""Pairs on either side whose time is included: recognisers stretch words over neighbours that they missed."""

HOLD = 0.8
"""Share of its extra time that a surely recognised word keeps: it was said slowly, not stretched."""

# The costs of taking words without a counterpart for spoken, or for pasted in.
CROWDED = 3.0  # per second of speech that the words need but do not have
IDLE = 0.5  # per second of speech that no word fills
PASTE = 0.5  # for anything pasted in here
PASTE_EDGE = 6.0  # times the cost of a gap's edge, at either end of the pasted words

SHORTEST_PASTE = 3
"""Tokens. One or two unrecognised words may just as well have been swallowed."""

LONGEST_MIX = 60
"""Units. A longer run was pasted in as a whole, or not at all."""

SHORTEST_SWAP = 5
"""Units. Fewer misrecognised words can sound like anything."""

FOREIGN = 0.4
"""Below this similarity in sound, words clearly recognised in the time of others contradict them."""

PLAIN = 0.55
"""Mean confidence from which words count as clearly recognised."""


@dataclass(frozen=True, slots=True, eq=False)
class _Pairing:
    """For every supplied unit its recognised unit, or -1, and their similarity. Shapes (n,)."""

    partner: Indexes
    alike: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Sides:
    """Both sides of the alignment, in units, and the time of every recognised unit."""

    tokens: Sequence[Token]
    words: Sequence[HeardWord]
    supplied: Units
    heard: Units
    vocabulary: Vocabulary
    start: Times
    end: Times


def align(
    tokens: Sequence[Token],
    words: Sequence[HeardWord],
    *,
    speech: Sequence[Span],
    duration: float,
    language: str = "en",
) -> tuple[AlignedToken, ...]:
    """Every token in order, with its time and its match.

    `speech` is where somebody speaks; `duration` is that of the recording, in seconds.
    """
    supplied, heard, vocabulary = compare(tokens, words, language)
    start, end = np.clip(_unit_times(heard, words), 0.0, duration)
    sides = _Sides(tokens, words, supplied, heard, vocabulary, start, end)
    rows = _supplied_gaps(sides)
    pairing = _pair(sides, rows)
    clock = SpeechClock(speech, duration)
    need = _time_needed(sides, pairing)
    spoken = _judge(sides, pairing, clock, need, rows.edge)
    start, end = _times(sides, pairing, spoken, clock, need)
    return tuple(_place(sides, pairing, spoken, start, end))


def force_align(
    tokens: tuple[AlignedToken, ...], audio: Audio, aligner: ForcedAligner | None, language: str
) -> tuple[tuple[AlignedToken, ...], tuple[Notice, ...]]:
    """The tokens with better times by the aligner, if there is one for the language, and a notice about it.

    If the aligner fails, the tokens are as they were, and the notice is a warning.
    """
    if aligner is None or not aligner.knows(language):
        return tokens, ()
    try:
        placed = place(tokens, audio, aligner, language)
        recovered = recover(placed, audio, aligner, language)
    except EngineError as error:
        message = f"Words that were not recognised are spaced evenly between their neighbours: {error}"
        return tokens, (Notice("alignment_failed", message),)
    notice = Notice(
        "forced",
        f"Only {100 * matched_share(tokens):.0f} % of the supplied words were recognised; the text was placed"
        " on the recording by forced alignment, which agrees with those words.",
    )
    return recovered, (notice,) if recovered != placed else ()


def _unit_times(heard: Units, words: Sequence[HeardWord]) -> tuple[Times, Times]:
    """The start and end of every recognised unit; the units of one word share its time evenly."""
    start = np.array([words[w].start for w in heard.owner], dtype=np.float64)
    end = np.array([words[w].end for w in heard.owner], dtype=np.float64)
    size = np.bincount(heard.owner, minlength=len(words))[heard.owner] if len(heard) else np.empty(0)
    first = np.searchsorted(heard.owner, heard.owner)
    share = (end - start) / np.maximum(size, 1)
    nth = np.arange(len(heard)) - first
    return start + nth * share, start + (nth + 1) * share


def _pair(sides: _Sides, rows: Gaps) -> _Pairing:
    partner = np.full(len(sides.supplied), -1, dtype=np.int64)
    alike = np.zeros(len(sides.supplied), dtype=np.float32)
    count = len(sides.heard)
    columns = Gaps(np.full(count, SKIP, np.float32), np.full(count + 1, HEARD_EDGE, np.float32))
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
    """The words' weight where they are equal, falling through 0 at similarity EVEN."""
    gain = np.maximum((similarity - EVEN) / (1 - EVEN), WORST_PAIR)
    weight = (ours[:, None] + theirs[None, :]) / 2
    return np.asarray(np.where(gain > 0, gain * weight, gain), dtype=np.float32)


def _supplied_gaps(sides: _Sides) -> Gaps:
    edge = np.full(len(sides.supplied) + 1, EDGE, dtype=np.float32)
    edge[0] = edge[-1] = EDGE_AT_LINE
    for at, (before, after) in enumerate(pairwise(sides.supplied.owner), start=1):
        if before != after:
            edge[at] = _edge(sides.tokens[before], sides.tokens[after])
    return Gaps(np.full(len(sides.supplied), SKIP, dtype=np.float32), edge)


def _edge(before: Token, after: Token) -> float:
    """The cost of beginning or ending unspoken text between two tokens."""
    if before.line != after.line:
        return EDGE_AT_LINE
    if ends_sentence(before.text):
        return EDGE_AT_SENTENCE
    return EDGE_AT_CAPITAL if after.text[:1].isupper() else EDGE


def _judge(sides: _Sides, pairing: _Pairing, clock: SpeechClock, need: Times, edge: Floats) -> Flags:
    """For every supplied unit, whether it was spoken. Shape (n,)."""
    spoken = np.ones(len(sides.supplied), dtype=np.bool_)
    for first, last in runs(pairing.partner < 0):
        if _token_count(sides, first, last) >= SHORTEST_PASTE:
            free = _free_time(sides, pairing, clock, need, first, last)
            start, end = _pasted(sides, need, edge, first, last, free)
            spoken[start:end] = False
    return spoken


def _token_count(sides: _Sides, first: int, last: int) -> int:
    """The number of tokens that the units [first, last) belong to."""
    owner = sides.supplied.owner
    return int(owner[last - 1] - owner[first] + 1)


def _pasted(sides: _Sides, need: Times, edge: Floats, first: int, last: int, free: float) -> tuple[int, int]:
    """The part of the units [first, last) that was not spoken, given the seconds free for the rest.

    The rest should fit that time, and pasted text tends to begin and end with lines and sentences.
    """
    total = np.concatenate([[0.0], np.cumsum(need[first:last])])
    best, part = _misfit(free - total[-1]), (first, first)
    for start, end in _parts(sides, first, last):
        rest = total[-1] - (total[end - first] - total[start - first])
        price = PASTE + PASTE_EDGE * float(edge[start] + edge[end]) + _misfit(free - rest)
        if price < best:
            best, part = price, (start, end)
    return part


def _misfit(idle: float) -> float:
    return IDLE * idle if idle >= 0 else -CROWDED * idle


def _parts(sides: _Sides, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Every part of whole tokens that is long enough to have been pasted in."""
    if last - first > LONGEST_MIX:
        yield first, last
        return
    owner = sides.supplied.owner
    cuts = [i for i in range(first, last + 1) if i in (first, last) or owner[i - 1] != owner[i]]
    for start, end in combinations(cuts, 2):
        if _token_count(sides, start, end) >= SHORTEST_PASTE:
            yield start, end


def _time_needed(sides: _Sides, pairing: _Pairing) -> Times:
    """Seconds that each supplied unit takes to say, at the median pace of the well recognised words."""
    syllables = sides.vocabulary.syllables[sides.supplied.ids].astype(np.float64)
    solid = pairing.alike >= SOLID
    taken = (sides.end - sides.start)[pairing.partner[solid]]
    pace = float(np.median(taken / syllables[solid])) if solid.any() else 0.2
    return syllables * min(max(pace, 0.08), 0.4)


def _free_time(
    sides: _Sides, pairing: _Pairing, clock: SpeechClock, need: Times, first: int, last: int
) -> float:
    """Seconds of speech that neighbours and clearly recognised words leave for the units [first, last)."""
    before = list(islice((i for i in range(first - 1, -1, -1) if pairing.partner[i] >= 0), NEIGHBOURS))
    after = list(islice((i for i in range(last, len(need)) if pairing.partner[i] >= 0), NEIGHBOURS))
    start = sides.start[pairing.partner[before[-1]]] if before else 0.0
    end = sides.end[pairing.partner[after[-1]]] if after else clock.duration
    low, high = (before[-1] if before else 0), (after[-1] + 1 if after else len(need))
    taken = sum(_taken(sides, pairing, need, i) for i in (*range(low, first), *range(last, high)))
    return clock.between(start, end) - taken - _contradiction(sides, pairing, need, first, last)


def _taken(sides: _Sides, pairing: _Pairing, need: Times, unit: int) -> float:
    """Seconds that a neighbour takes: those of its recognised word, less how far it may be stretched."""
    partner = pairing.partner[unit]
    if partner < 0:
        return float(need[unit])
    heard = float(sides.end[partner] - sides.start[partner])
    doubt = 1.0 - HOLD * sides.words[sides.heard.owner[partner]].confidence
    return float(heard - doubt * max(0.0, heard - float(need[unit])))


def _contradiction(sides: _Sides, pairing: _Pairing, need: Times, first: int, last: int) -> float:
    """Seconds in which words unlike the units [first, last) were clearly recognised in their place."""
    left = pairing.partner[first - 1] + 1 if first else 0
    right = pairing.partner[last] if last < len(sides.supplied) else len(sides.heard)
    if last - first < SHORTEST_SWAP or right <= left:
        return 0.0
    confidence = np.mean([sides.words[word].confidence for word in sides.heard.owner[left:right]])
    ours = "".join(sides.vocabulary.sounds[i] for i in sides.supplied.ids[first:last])
    theirs = "".join(sides.vocabulary.sounds[i] for i in sides.heard.ids[left:right])
    if confidence < PLAIN or Levenshtein.normalized_similarity(ours, theirs) >= FOREIGN:
        return 0.0
    return float((sides.end[left:right] - sides.start[left:right]).sum())


def _times(
    sides: _Sides, pairing: _Pairing, spoken: Flags, clock: SpeechClock, need: Times
) -> tuple[Times, Times]:
    """Start and end of every supplied unit: as recognised, else shared out. Undefined where not spoken."""
    heard = pairing.partner >= 0
    start, end = np.zeros((2, len(heard)))
    start[heard], end[heard] = (times[pairing.partner[heard]] for times in (sides.start, sides.end))
    for first, last in runs(pairing.partner < 0):
        unheard = first + np.flatnonzero(spoken[first:last])
        opening = end[first - 1] if first else 0.0
        closing = start[last] if last < len(start) else clock.duration
        start[unheard], end[unheard] = clock.share(opening, max(opening, closing), need[unheard])
    return start, end


def _place(
    sides: _Sides, pairing: _Pairing, spoken: Flags, start: Times, end: Times
) -> Iterator[AlignedToken]:
    """Tokens with times that never decrease."""
    bounds = np.searchsorted(sides.supplied.owner, np.arange(len(sides.tokens) + 1))
    now = until = 0.0
    match = Match.NOT_SPOKEN
    for token, first, last in zip(sides.tokens, bounds[:-1], bounds[1:], strict=True):
        match = _match(token, pairing, spoken, first, last, match)
        said = first + np.flatnonzero(spoken[first:last])
        if len(said):
            now = max(now, float(start[said[0]]))
            until = max(until, now, float(end[said[-1]]))
        else:
            now = until
        left, right = _heard_range(sides, pairing, first, last)
        confidence = _confidence(match, sides.words[left:right], pairing.alike[first:last])
        yield AlignedToken(token, match, now, until, left, right, confidence)


def _match(token: Token, pairing: _Pairing, spoken: Flags, first: int, last: int, before: Match) -> Match:
    """The match of a token; `before` is that of the previous token, which loose punctuation shares."""
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
    """The range of recognised words aligned with the units [first, last); empty if there are none."""
    partners = pairing.partner[first:last]
    partners = partners[partners >= 0]
    if not len(partners):
        return 0, 0
    owners = sides.heard.owner[partners]
    return int(owners[0]), int(owners[-1]) + 1


def _confidence(match: Match, words: Sequence[HeardWord], alike: Floats) -> float:
    """Confidence in the match: for a pair, from recogniser confidence and similarity; else fixed."""
    if match is Match.NOT_SPOKEN:
        return 0.9
    if not words:
        return 0.5
    return (0.5 + 0.5 * float(np.mean([word.confidence for word in words]))) * float(alike.mean())
