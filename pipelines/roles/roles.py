"""The role and the name of each speaker, with the evidence for both.

    turns + words ──► clues     (who asks, who is asked; what is said by, to and about each speaker)
                  ──► mentions  (who is introduced, addressed, thanked, and which speaker that points at)
    clues         ──► role      posterior over all speakers together
    mentions      ──► name

Each clue adds log evidence for and against roles (naive Bayes; the weights below are set by hand and checked
by tests/benchmarks/roles.py). The roles in a recording depend on each other through the anchors: there is
usually one, sometimes two, and without one a correspondent or an analyst has nobody to answer. UNKNOWN is one
of the roles, and wins where there is little evidence for any other.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pipelines.roles.conversation import add_house, read_conversation
from pipelines.roles.labels import label_mention, read_labels
from pipelines.roles.mentions import Finder, Mention
from pipelines.roles.naming import Naming, name_speakers
from pipelines.roles.passages import plain_form
from pipelines.roles.phrases import phrases_for
from pipelines.roles.remarks import Remarks, label_clues, mention_clues
from pipelines.roles.turn_order import Clue, Exchange, question_strengths
from pipelines.types import AlignedToken, Attribution, Evidence, Heard, HeardWord, Match, Role, Speaker, Turn

Timed = TypeVar("Timed", AlignedToken, HeardWord)

ROLES = (Role.ANCHOR, Role.CORRESPONDENT, Role.ANALYST, Role.NARRATOR, Role.OTHER, Role.UNKNOWN)
Floats = npt.NDArray[np.float64]
Weights = tuple[float, float, float, float, float]

WEIGHTS: Mapping[str, Weights] = {
    #                    anchor corresp. analyst narrator other
    "opens":            (1.2, -0.6, -1.0, 0.0, -0.6),
    "closes":           (0.6, -0.2, -0.3, -0.5, -0.2),
    "asks":             (1.0, -0.9, -0.9, -1.2, -0.7),
    "asked":            (-1.0, 0.9, 1.0, -1.5, -0.3),
    "hub":              (1.0, -0.5, -0.5, -0.5, -0.5),
    "reports":          (-0.8, 0.2, -0.8, 2.4, -0.3),
    "clip":             (-1.5, -0.8, -0.8, -1.0, 2.6),
    "brief":            (-1.5, -1.5, -1.5, -1.5, -0.5),
    "faces_the_press":  (-2.0, -3.0, -2.5, -2.0, 1.0),
    "of_the_press":     (-3.0, -0.5, -1.0, -1.0, 1.0),
    "converses":        (0.0, 0.0, 0.2, -1.5, 0.0),
    "hosts":            (1.0, -0.3, -0.7, -0.7, -0.7),
    "introduces":       (1.5, -0.5, -1.5, -1.0, -0.8),
    "handed_report":    (-1.0, 0.4, -0.8, 1.8, 0.0),
    "guest":            (-1.0, -0.6, 1.4, -1.0, -0.3),
    "asked_as_reporter": (-0.5, 1.3, -0.3, -0.3, -0.3),
    "speaks_as_reporter": (-0.3, 0.9, -0.3, 0.1, -0.2),
    "speaks_as_expert": (-0.5, -0.3, 0.8, -0.5, 0.0),
    "calls_by_name":    (-0.2, 0.9, 0.2, -0.8, -0.3),
    "introduced_reporter": (-1.5, 3.0, -1.0, 0.5, -1.0),
    "introduced_expert": (-2.0, -1.0, 3.0, -1.0, 0.3),
    "names_itself":     (1.4, 0.3, -0.7, -0.7, -0.7),
    "introduced_guest": (-1.5, -0.5, 1.8, -0.8, 0.2),
    "signs_off":        (-1.0, 4.5, -1.0, 1.0, -1.0),
    "labelled_anchor":  (5.0, -2.0, -2.0, -2.0, -2.0),
    "labelled_correspondent": (-2.0, 5.0, -2.0, -1.0, -2.0),
    "labelled_analyst": (-2.0, -2.0, 5.0, -2.0, -1.0),
    "labelled_narrator": (-2.0, -1.0, -2.0, 5.0, -2.0),
    "labelled_other":   (-2.0, -2.0, -1.0, -2.0, 5.0),
}  # fmt: skip
"""Natural-log evidence of one clue for each of the first five of ROLES."""

MOST: Mapping[str, float] = {"asks": 3.0, "asked": 3.0, "hosts": 2.5, "speaks_as_reporter": 2.0}
"""The most that clues of one kind count for one speaker; 1 for kinds not listed."""

PRIOR: Weights = (-0.7, -0.5, 0.0, -0.5, -0.8)
UNKNOWN_PRIOR = 1.3
"""Log weight of UNKNOWN: what the evidence for a role must outweigh."""

ANCHORS = (-1.0, 0.0, -1.2, -3.0, -6.0)
"""Log prior of 0, 1, 2, 3, 4 anchors in one recording; more are not considered."""
NOBODY_ASKS: Weights = (0.0, -1.0, -1.0, 0.0, 0.0)
"""Log evidence on the other roles in a recording without an anchor."""

AROUND = 2.0  # seconds
CLEARLY = 0.6
"""Confidence that every word of a name needs if the name was recognised but not written."""

QUOTES = 4
"""Quotes kept for a role."""


def assign_roles(
    turns: Sequence[Turn],
    tokens: Sequence[AlignedToken],
    heard: Heard,
    attribution: Attribution,
    *,
    stands_in: bool = False,
) -> tuple[Speaker, ...]:
    """Every speaker of the attribution and the turns once, in order of first appearance.

    `stands_in`: whether no text was supplied and the tokens are the recognised words.
    `role_confidence` is the posterior of the role; for UNKNOWN, of anything but the best role.
    `affiliation` is the organisation as the text gives it, without the person's position there ("DW" of
    "DW's Riga bureau chief"). Evidence from words quotes them as written; evidence from "structure"
    describes who did what. In languages without a table in `phrases`, roles come from structure alone, and
    names from labels alone.
    """
    phrases = phrases_for(heard.language)
    conversation = read_conversation(turns, tokens, heard, stands_in=stands_in)
    phrases = add_house(phrases, conversation)
    labels = list(read_labels(tokens, attribution))
    questions = question_strengths(conversation, phrases)
    mentions = Finder(conversation, phrases, questions).mentions()
    named = [mention for label in labels if (mention := label_mention(label, phrases))]
    clues = [
        *Exchange(conversation, questions, phrases).clues(),
        *Remarks(conversation, phrases, questions).clues(),
        *mention_clues(mentions),
        *label_clues(labels, phrases),
    ]
    speakers = list(dict.fromkeys([*(turn.speaker for turn in turns), *filter(None, attribution.speakers)]))
    said = [mention for mention in mentions if _was_said(mention, tokens, heard.words)]
    return tuple(_speakers(speakers, turns, clues, name_speakers([*named, *said])))


def _was_said(mention: Mention, tokens: Sequence[AlignedToken], words: Sequence[HeardWord]) -> bool:
    """Whether recognition confirms that the mention was spoken.

    Around a written name, a third of the words must be recognised as written; a name that was recognised but
    not written must have been recognised clearly.
    """
    start, end = mention.evidence.start, mention.evidence.end
    if mention.evidence.source == "heard":
        name = [
            word.confidence for word in _during(words, start, end) if plain_form(word.text) in mention.words
        ]
        return min(name, default=0.0) >= CLEARLY
    around = _during(tokens, start - AROUND, end + AROUND)
    return 3 * sum(token.match is Match.MATCHED for token in around) >= max(1, len(around))


def _during(items: Sequence[Timed], start: float, end: float) -> Sequence[Timed]:
    """The `items`, ordered by start, that begin in [start, end]."""
    begin = attrgetter("start")
    return items[bisect_left(items, start, key=begin) : bisect_right(items, end, key=begin)]


def _speakers(
    speakers: Sequence[str], turns: Sequence[Turn], clues: Sequence[Clue], names: Mapping[str, Naming]
) -> Iterator[Speaker]:
    by_speaker: dict[str, list[Clue]] = {speaker: [] for speaker in speakers}
    for clue in clues:
        by_speaker[clue.speaker].append(clue)
    talk: dict[str, float] = defaultdict(float)
    for turn in turns:
        talk[turn.speaker] += turn.end - turn.start
    count = Counter(turn.speaker for turn in turns)
    posteriors = role_posteriors([_scores(by_speaker[speaker]) for speaker in speakers])
    for speaker, posterior in zip(speakers, posteriors, strict=True):
        best, confidence = _decide(posterior)
        naming = names.get(speaker, Naming())
        yield Speaker(
            id=speaker,
            role=ROLES[best],
            role_confidence=confidence,
            name=naming.name,
            name_confidence=naming.confidence,
            affiliation=naming.affiliation,
            evidence=(*_reasons(by_speaker[speaker], best), *naming.evidence),
            talk_time=talk[speaker],
            turn_count=count[speaker],
        )


def _decide(posterior: Floats) -> tuple[int, float]:
    """The best role and its posterior; UNKNOWN unless it is more likely than all others together."""
    best = int(np.argmax(posterior))
    if posterior[best] > 0.5:
        return best, float(posterior[best])
    return ROLES.index(Role.UNKNOWN), float(1.0 - posterior[:-1].max())


def _reasons(clues: Sequence[Clue], role: int) -> list[Evidence]:
    """The evidence that speaks most strongly for the role; none for UNKNOWN."""
    if ROLES[role] is Role.UNKNOWN:
        return []
    weighed = [(WEIGHTS[clue.kind][role] * clue.amount, clue.evidence) for clue in clues]
    chosen = sorted((pair for pair in weighed if pair[0] > 0.3), key=lambda pair: -pair[0])
    return list(dict.fromkeys(evidence for _, evidence in chosen))[:QUOTES]


def _scores(clues: Sequence[Clue]) -> Floats:
    """Log evidence for each of ROLES, shape (6,)."""
    amounts: dict[str, float] = defaultdict(float)
    for clue in clues:
        amounts[clue.kind] += clue.amount
    scores = np.array([*PRIOR, UNKNOWN_PRIOR])
    for kind, amount in amounts.items():
        scores[:-1] += np.array(WEIGHTS[kind]) * min(amount, MOST.get(kind, 1.0))
    return scores


def role_posteriors(scores: Sequence[Floats]) -> Floats:
    """The posterior of each role for each speaker, shape (n, 6), summed over all joint assignments.

    The joint weight of an assignment is exp(Σ scores + ANCHORS[number of anchors]), with NOBODY_ASKS added to
    every speaker where that number is 0. The sum over exponentially many assignments needs only, for each
    number of anchors, the weight of the speakers before and after each one (forward-backward).
    """
    if not scores:
        return np.zeros((0, len(ROLES)))
    table = np.array(scores)
    others = table[:, 1:]
    alone = np.logaddexp.reduce(others + np.array([*NOBODY_ASKS[1:], 0.0]), axis=1)
    some = np.logaddexp.reduce(others, axis=1)
    before, after = _counts(table[:, 0], some), _counts(table[::-1, 0], some[::-1])[::-1]
    posterior = np.empty_like(table)
    for index, row in enumerate(table):
        rest = _convolve(before[index], after[index + 1])  # rest[k]: weight of k anchors among the others
        prior = np.array(ANCHORS)
        anchored = row[0] + np.logaddexp.reduce(rest[:-1] + prior[1:])
        answering = row[1:] + np.logaddexp.reduce(rest[1:] + prior[1:])
        lonely = row[1:] + np.array([*NOBODY_ASKS[1:], 0.0]) + prior[0] + alone.sum() - alone[index]
        logs = np.array([anchored, *np.logaddexp(answering, lonely)])
        posterior[index] = np.exp(logs - np.logaddexp.reduce(logs))
    return posterior


def _counts(anchor: Floats, other: Floats) -> Floats:
    """counts[i, k]: log weight of the first i speakers with k anchors among them, shape (n + 1, 5)."""
    counts = np.full((len(anchor) + 1, len(ANCHORS)), -np.inf)
    counts[0, 0] = 0.0
    for index in range(len(anchor)):
        counts[index + 1] = counts[index] + other[index]
        counts[index + 1, 1:] = np.logaddexp(counts[index + 1, 1:], counts[index, :-1] + anchor[index])
    return counts


def _convolve(one: Floats, other: Floats) -> Floats:
    """Log weights of the sum of two numbers of anchors."""
    total = range(len(ANCHORS))
    return np.array([np.logaddexp.reduce([one[k] + other[n - k] for k in range(n + 1)]) for n in total])
