"""How likely the speaker changes between two tokens: what is written, the pauses, the diarization's edges.

    …  so can you say that?   ·0.5 s·   Yes.   ·0.4 s·   And what then?  …
                  question ──┘        └─ answer ─┘ └─ opening

Each feature adds its weight, in nats, to the log odds of a change: a logistic regression. The weights were
fitted by `python -m tests.benchmarks.changes` to synthetic interviews that no reported figure uses.
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


class Feature(StrEnum):
    """A feature of one place between two spoken tokens, in [0, 1]."""

    ALWAYS = "always"  # the rarity of changes
    SENTENCE = "sentence"  # the token before ends one
    QUESTION = "question"  # it ends a question
    INSIDE = "inside"  # it does not end a sentence, although the text around it is punctuated
    CLAUSE = "clause"  # it ends a clause: a comma, a dash
    CAPITAL = "capital"  # the token after begins with a capital
    OPENING = "opening"  # the token after is a word that often begins a turn
    ANSWERING = "answering"  # the sentence after is a short answer, or returns thanks
    ANSWERED = "answered"  # the sentence before was such an answer
    EDGE = "edge"  # 1 where the diarization changes the speaker here, 0 from EDGE_REACH away
    EDGE_AT_BREAK = "edge_at_break"  # the same, if the words leave a gap of SHORTEST_BREAK
    MARK = "mark"  # a caption mark stands here, or the label of a different speaker


SHORTEST_BREAK = 0.08  # seconds
SHORTEST_PAUSE = 0.25  # seconds; ends a sentence that has no full stop
EDGE_REACH = 0.5  # seconds
EDGE_PRECISION = 0.01  # seconds; an edge at the end of an overlap belongs to it

SHORT_ANSWER = 4
"""The most units in a short answer."""

WINDOW = 20
"""Tokens on either side of a place that show whether the text is punctuated there."""

PUNCTUATED = 3
"""Sentence ends in a window from which the text counts as fully punctuated."""

OPENINGS = frozenset(
    """yes yeah yep no nope well okay ok right sure absolutely exactly indeed certainly definitely
    thanks thank so welcome hello hi good joining let look i""".split()  # noqa: SIM905
)
"""Words with which answers, questions and hand-overs begin."""

THANKS = frozenset(["thanks", "thank", "appreciate"])

THANKED = 12
"""Tokens after thanks within which an answer to them begins."""

ANSWERS = frozenset(
    """yes yeah yep no nope right sure absolutely exactly indeed certainly definitely probably hardly
    perhaps maybe thanks thank pleasure welcome correct true never always""".split()  # noqa: SIM905
)
"""Words of short answers."""

WEIGHTS = {
    Feature.ALWAYS: -7.1,
    Feature.SENTENCE: 0.5,
    Feature.QUESTION: 1.9,
    Feature.INSIDE: -3.0,
    Feature.CLAUSE: 0.3,
    Feature.CAPITAL: 2.2,
    Feature.OPENING: 1.1,
    Feature.ANSWERING: 1.3,
    Feature.ANSWERED: 1.9,
    Feature.EDGE: 6.5,
    Feature.EDGE_AT_BREAK: 2.2,
    Feature.MARK: 5.0,  # by hand: the interviews have none; a mark is set on purpose
}


def change_odds(
    tokens: Sequence[AlignedToken],
    spoken: Sequence[int],
    segments: Sequence[SpeakerSegment],
    overlaps: Sequence[Span] = (),
) -> Floats:
    """Log odds of a change of speaker in front of each spoken token, shape (len(spoken),)."""
    weights = np.array([WEIGHTS[feature] for feature in Feature])
    return np.asarray(features(tokens, spoken, segments, overlaps) @ weights)


def features(
    tokens: Sequence[AlignedToken],
    spoken: Sequence[int],
    segments: Sequence[SpeakerSegment],
    overlaps: Sequence[Span] = (),
) -> Floats:
    """The features before each spoken token, shape (len(spoken), len(Feature)); all 0 before the first.

    `segments` do not overlap. Where two speakers did, in `overlaps`, the edge between them may be anywhere.
    """
    chosen = [tokens[index] for index in spoken]
    texts = [token.token.text for token in chosen]
    forms = [units(text) for text in texts]
    start, end = np.array([(token.start, token.end) for token in chosen]).reshape(-1, 2).T
    pause = start[1:] - end[:-1]
    ended = np.array([ends_sentence(text) for text in texts[:-1]], dtype=np.bool_)
    edge = _nearness(_edges(segments, overlaps), end[:-1], start[1:])
    answering, answered = _short_answers(texts, forms, ended | (pause >= SHORTEST_PAUSE))
    values: dict[Feature, npt.ArrayLike] = {
        Feature.ALWAYS: True,
        Feature.SENTENCE: ended,
        Feature.QUESTION: [is_question(text) for text in texts[:-1]],
        Feature.INSIDE: ~ended * _punctuated(texts)[1:],
        Feature.CLAUSE: [text.endswith((",", ";", ":", "-", "–", "—")) for text in texts[:-1]],
        Feature.CAPITAL: [text[:1].isupper() for text in texts[1:]],
        Feature.OPENING: [not OPENINGS.isdisjoint(form[:1]) for form in forms[1:]],
        Feature.ANSWERING: answering[1:-1],
        Feature.ANSWERED: answered[1:-1],
        Feature.EDGE: edge,
        Feature.EDGE_AT_BREAK: edge * (pause >= SHORTEST_BREAK),
        Feature.MARK: _marked(tokens, spoken)[1:],
    }
    seen = np.zeros((len(spoken), len(Feature)))
    for column, feature in enumerate(Feature):
        seen[1:, column] = values[feature]
    return seen


def _short_answers(
    texts: Sequence[str], forms: Sequence[tuple[str, ...]], closed: npt.NDArray[np.bool_]
) -> tuple[list[bool], list[bool]]:
    """For each place, whether a short answer begins there, and whether one has ended there.

    `closed`: where a sentence ends between two tokens, by a full stop or a pause. A short one is an answer
    after a question, and after thanks if it contains one of ANSWERS.
    """
    answering, answered = ([False] * (len(texts) + 1) for _ in range(2))
    for begin, end in pairwise([0, *(np.flatnonzero(closed) + 1).tolist(), len(texts)]):
        sentence = [unit for form in forms[begin : min(end, begin + SHORT_ANSWER + 1)] for unit in form]
        asked = begin > 0 and is_question(texts[begin - 1])
        before = {unit for form in forms[max(0, begin - THANKED) : begin] for unit in form}
        thanked = not THANKS.isdisjoint(before) and not ANSWERS.isdisjoint(sentence)
        answering[begin] = answered[end] = len(sentence) <= SHORT_ANSWER and (asked or thanked)
    return answering, answered


def _edges(segments: Sequence[SpeakerSegment], overlaps: Sequence[Span]) -> Floats:
    """The spans, rising, in which one speaker's segment gives way to another speaker's, shape (n, 2).

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


def _nearness(edges: Floats, end: Floats, start: Floats) -> Floats:
    """1 where an edge lies between the end of one token and the start of the next, 0 far from any; (n,)."""
    if not len(edges):
        return np.zeros(len(end))
    low, high = np.minimum(end, start), np.maximum(end, start)
    place = np.searchsorted(edges[:, 1], low)
    near = edges[[np.maximum(place - 1, 0), np.minimum(place, len(edges) - 1)]]
    distance = np.maximum(low - near[..., 1], near[..., 0] - high).clip(min=0.0).min(axis=0)
    return np.asarray(np.maximum(0.0, 1.0 - distance / EDGE_REACH))


def _punctuated(texts: Sequence[str]) -> Floats:
    """How regularly sentences end in the window around each place, in [0, 1], shape (len(texts),)."""
    ends = np.cumsum([0, *(ends_sentence(text) for text in texts)])
    place = np.arange(len(texts))
    around = ends[np.minimum(place + WINDOW, len(texts))] - ends[np.maximum(place - WINDOW, 0)]
    return np.asarray(np.minimum(around / PUNCTUATED, 1.0))


def _marked(tokens: Sequence[AlignedToken], spoken: Sequence[int]) -> list[bool]:
    """For each place, whether a mark in front of it says that another speaker begins.

    ANCHOR: So it begins. ANCHOR: Let us hear it. >> Yes. ANCHOR: And then?
                          same name: no           yes     yes: ">>" may have been anybody
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
