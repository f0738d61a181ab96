"""How likely the speaker changes between two tokens: what is written, the pauses, the diarization's edges.

    …  so can you say that?   ·0.5 s·   Yes.   ·0.4 s·   And what then?  …
                  question ──┘        └─ answer ─┘ └─ opening

Each cue adds its weight, in nats, to the log odds of a change: a logistic regression. The weights were
fitted by `python -m tests.benchmarks.cues`, on made-up interviews that no reported figure uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import groupby, pairwise

import numpy as np
import numpy.typing as npt

from pipelines.text import ends_sentence, is_question, units
from pipelines.types import AlignedToken, Span, SpeakerSegment, Token, TokenKind

Floats = npt.NDArray[np.float64]


class Cue(StrEnum):
    """What can be seen at one place between two spoken tokens; each is between 0 and 1."""

    ALWAYS = "always"  # the rarity of changes
    SENTENCE = "sentence"  # the token before ends one
    QUESTION = "question"  # it ends a question
    INSIDE = "inside"  # it ends none, though sentences do end nearby: the passage is punctuated
    CLAUSE = "clause"  # it ends a clause: a comma, a dash
    CAPITAL = "capital"  # the token after begins with a capital
    OPENING = "opening"  # the token after is a word with which turns begin
    ANSWERING = "answering"  # the sentence after is a short answer, or returns thanks
    ANSWERED = "answered"  # the sentence before was one
    EDGE = "edge"  # 1 where the diarization changes the speaker here, 0 from EDGE_REACH away
    EDGE_AT_BREAK = "edge_at_break"  # the same, where the words leave a gap of SHORTEST_BREAK
    MARK = "mark"  # a caption mark stands here, or the label of another speaker than the last one


SHORTEST_BREAK = 0.08  # seconds
SHORTEST_PAUSE = 0.25  # seconds; ends a sentence that has no full stop
EDGE_REACH = 0.5  # seconds
EDGE_PRECISION = 0.01  # seconds; an edge at the end of an overlap belongs to it

SHORT_ANSWER = 4
"""Units of the longest short answer."""

PASSAGE = 20
"""Tokens before and after."""

PUNCTUATED = 3
"""Sentence ends in a passage from which the lack of one tells all that it can."""

OPENINGS = frozenset(
    """yes yeah yep no nope well okay ok right sure absolutely exactly indeed certainly definitely
    thanks thank so welcome hello hi good joining let look i""".split()  # noqa: SIM905
)
"""Words with which answers, questions and hand-overs begin."""

THANKS = frozenset(["thanks", "thank", "appreciate"])

THANKED = 12
"""Tokens within which thanks are returned."""

ANSWERS = frozenset(
    """yes yeah yep no nope right sure absolutely exactly indeed certainly definitely probably hardly
    perhaps maybe thanks thank pleasure welcome correct true never always""".split()  # noqa: SIM905
)
"""Words of short answers."""

WEIGHTS = {
    Cue.ALWAYS: -7.1,
    Cue.SENTENCE: 0.5,
    Cue.QUESTION: 1.9,
    Cue.INSIDE: -3.0,
    Cue.CLAUSE: 0.3,
    Cue.CAPITAL: 2.2,
    Cue.OPENING: 1.1,
    Cue.ANSWERING: 1.3,
    Cue.ANSWERED: 1.9,
    Cue.EDGE: 6.5,
    Cue.EDGE_AT_BREAK: 2.2,
    Cue.MARK: 5.0,  # by hand: the interviews have none; whoever sets one means it
}


def change_odds(
    tokens: Sequence[AlignedToken],
    spoken: Sequence[int],
    segments: Sequence[SpeakerSegment],
    overlaps: Sequence[Span] = (),
) -> Floats:
    """Log odds of a change of speaker in front of each spoken token, shape (len(spoken),)."""
    weights = np.array([WEIGHTS[cue] for cue in Cue])
    return np.asarray(cues(tokens, spoken, segments, overlaps) @ weights)


def cues(
    tokens: Sequence[AlignedToken],
    spoken: Sequence[int],
    segments: Sequence[SpeakerSegment],
    overlaps: Sequence[Span] = (),
) -> Floats:
    """What is seen in front of each spoken token, shape (len(spoken), len(Cue)); nothing before the first.

    `segments` do not overlap: where two voices did, in `overlaps`, the edge between them is anywhere.
    """
    edges = _edges(segments, overlaps)
    seen = np.zeros((len(spoken), len(Cue)))
    forms = [units(tokens[index].token.text) for index in spoken]
    column = {cue: place for place, cue in enumerate(Cue)}
    punctuated = _punctuated([tokens[index].token.text for index in spoken])
    marked = _marked(tokens, spoken)
    answering, answered = _short_answers([tokens[index] for index in spoken], forms)
    for place in range(1, len(spoken)):
        before, after = tokens[spoken[place - 1]], tokens[spoken[place]]
        pause = after.start - before.end
        ended = ends_sentence(before.token.text)
        edge = _nearness(edges, before.end, after.start)
        values = {
            Cue.ALWAYS: True,
            Cue.SENTENCE: ended,
            Cue.QUESTION: is_question(before.token.text),
            Cue.INSIDE: (not ended) * punctuated[place],
            Cue.CLAUSE: not ended and before.token.text.endswith((",", ";", ":", "-", "–", "—")),
            Cue.CAPITAL: after.token.text[:1].isupper(),
            Cue.OPENING: not OPENINGS.isdisjoint(forms[place][:1]),
            Cue.ANSWERING: answering[place],
            Cue.ANSWERED: answered[place],
            Cue.EDGE: edge,
            Cue.EDGE_AT_BREAK: edge * (pause >= SHORTEST_BREAK),
            Cue.MARK: marked[place],
        }
        for cue, value in values.items():
            seen[place, column[cue]] = value
    return seen


def _short_answers(
    spoken: Sequence[AlignedToken], forms: Sequence[tuple[str, ...]]
) -> tuple[list[bool], list[bool]]:
    """For each place, whether a short answer begins there, and whether one has ended there.

    A sentence ends with a full stop or a pause. A short one is an answer after a question, and after thanks
    where one of its words is a word of answers.
    """
    begins = [0, *(place for place in range(1, len(spoken)) if _closed(spoken[place - 1], spoken[place]))]
    answering, answered = ([False] * (len(spoken) + 1) for _ in range(2))
    for begin, end in pairwise([*begins, len(spoken)]):
        sentence = [unit for form in forms[begin : min(end, begin + SHORT_ANSWER + 1)] for unit in form]
        asked = begin > 0 and is_question(spoken[begin - 1].token.text)
        before = {unit for form in forms[max(0, begin - THANKED) : begin] for unit in form}
        thanked = not THANKS.isdisjoint(before) and not ANSWERS.isdisjoint(sentence)
        answering[begin] = answered[end] = len(sentence) <= SHORT_ANSWER and (asked or thanked)
    return answering, answered


def _closed(before: AlignedToken, after: AlignedToken) -> bool:
    return ends_sentence(before.token.text) or after.start - before.end >= SHORTEST_PAUSE


def _edges(segments: Sequence[SpeakerSegment], overlaps: Sequence[Span]) -> Floats:
    """From when to when, rising, the voice changes between two segments of different speakers, shape (n, 2).

    a |==========|            a |=====|
    b |     ==========|       b |         =====|
            ^----^ overlap              ^ the middle of a gap
    """
    moments = np.array([(a.end + b.start) / 2 for a, b in pairwise(segments) if a.speaker != b.speaker])
    edges = np.stack([moments, moments], axis=1)
    for overlap in overlaps:
        inside = slice(*np.searchsorted(moments, [overlap.start, overlap.end + EDGE_PRECISION]))
        edges[inside, 0] = np.minimum(edges[inside, 0], overlap.start)
        edges[inside, 1] = np.maximum(edges[inside, 1], overlap.end)
    return edges


def _nearness(edges: Floats, end: float, start: float) -> float:
    """1 where an edge lies between the end of one token and the start of the next, 0 far from any."""
    low, high = min(end, start), max(end, start)
    place = int(np.searchsorted(edges[:, 1], low))
    near = edges[max(0, place - 1) : place + 1]
    if not len(near):
        return 0.0
    distance = float(np.maximum(np.maximum(low - near[:, 1], near[:, 0] - high), 0.0).min())
    return max(0.0, 1.0 - distance / EDGE_REACH)


def _punctuated(texts: Sequence[str]) -> Floats:
    """How regularly sentences end in the passage around each place, in [0, 1], shape (len(texts),)."""
    ends = np.cumsum([0, *(ends_sentence(text) for text in texts)])
    place = np.arange(len(texts))
    around = ends[np.minimum(place + PASSAGE, len(texts))] - ends[np.maximum(place - PASSAGE, 0)]
    return np.asarray(np.minimum(around / PUNCTUATED, 1.0))


def _marked(tokens: Sequence[AlignedToken], spoken: Sequence[int]) -> list[bool]:
    """For each place, whether a mark in front of it says that another speaker begins.

    ANCHOR: So it begins. ANCHOR: Let us hear it. >> Yes. ANCHOR: And then?
                          same name: no           yes     yes: nobody knows who ">>" was
    """
    marked: list[bool] = []
    name = ""
    for before, index in pairwise([-1, *spoken]):
        marks = [token.token for token in tokens[before + 1 : index]]
        label = _label(marks)
        change = not label and any(mark.kind is TokenKind.CHANGE for mark in marks)
        marked.append(change or label not in ("", name))
        name = "" if change else label or name
    return marked


def _label(marks: Sequence[Token]) -> str:
    """The name in the last label, which may be several tokens; "" where there is none."""
    runs = [list(run) for kind, run in groupby(marks, key=lambda mark: mark.kind) if kind is TokenKind.LABEL]
    return " ".join(token.text for token in runs[-1]).rstrip(": ：").casefold() if runs else ""
