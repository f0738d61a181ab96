"""A name for each speaker: mentions are grouped by person, and the weights with which they point add up.

    score(speaker, person) = Σ weights of the person's mentions that point at the speaker
                             + NOT_ONESELF where the speaker mentions the person as somebody else

Nobody introduces, addresses or thanks themselves. A person is one speaker, and a speaker has one name. The
weights are log odds, so a name's confidence is its posterior against "nothing names this speaker" and all
rivals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from rapidfuzz import fuzz

from pipelines.roles.mentions import Kind, Mention
from pipelines.types import Evidence

NO_NAME = 1.0
"""Log weight of "nothing names this speaker": what a name must outweigh."""
NOT_ONESELF = -4.0
"""Log weight for a speaker who mentions the person as somebody else."""
SIMILAR = 65
"""Percentage of letters in common from which two names of one speaker are one, misspelt."""
MOST = 20.0
"""Log weights are capped here: certain is certain."""
RIVALS = 6
"""How many people and how many speakers are weighed against each other."""
QUOTES = 3
"""Quotes kept for a name."""


@dataclass(frozen=True, slots=True)
class Naming:
    """The name of a speaker; `confidence` is the posterior of the name."""

    name: str = ""
    confidence: float = 0.0
    affiliation: str = ""
    evidence: tuple[Evidence, ...] = ()


def name_speakers(mentions: Sequence[Mention]) -> dict[str, Naming]:
    """The speakers with a name that is more likely than all other names and no name together."""
    people = gather(mentions)
    scores = [{speaker: min(score, MOST) for speaker, score in _scores(person).items()} for person in people]
    pointing: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(scores):
        for speaker in row:
            pointing[speaker].append(number)
    named: dict[str, Naming] = {}
    for number, row in enumerate(scores):
        for speaker in row:
            confidence = _posterior(scores, pointing, speaker, number)
            if confidence > 0.5:
                named[speaker] = _naming(people[number], speaker, confidence)
    return named


def gather(mentions: Sequence[Mention]) -> list[list[Mention]]:
    """The mentions grouped by person, the best spelling first. Two mentions are of one person if one name is
    part of the other ("Yuri Retta", "Yuri"), or if both chiefly point at one speaker and look alike."""
    people: list[list[Mention]] = []
    for mention in sorted(mentions, key=lambda mention: (mention.kind, -len(mention.words))):
        person = next((person for person in people if _is_same(person[0], mention)), None)
        if person is None:
            people.append([mention])
        else:
            person.append(mention)
    return people


def _is_same(one: Mention, other: Mention) -> bool:
    if one.words <= other.words or other.words <= one.words:
        return True
    if _are_listed(one, other) or not _meant(one) & _meant(other):
        return False
    one_name, other_name = one.person.name.casefold(), other.person.name.casefold()
    whole = fuzz.ratio(one_name.replace(" ", ""), other_name.replace(" ", ""))
    return max(whole, fuzz.ratio(one_name.split()[0], other_name.split()[0])) >= SIMILAR


def _are_listed(one: Mention, other: Mention) -> bool:
    """Whether one phrase introduces both: "John Smith, professor at …, and Jane Smith, director of …"."""
    apart = one.kind is other.kind is Kind.INTRODUCTION and one.place != other.place
    return apart and max(one.evidence.start, other.evidence.start) < min(one.evidence.end, other.evidence.end)


def _meant(mention: Mention) -> set[str]:
    """The speakers at which it points with the greatest weight."""
    most = max((weight for _, weight in mention.toward), default=0.0)
    return {speaker for speaker, weight in mention.toward if weight == most}


def _scores(person: Sequence[Mention]) -> dict[str, float]:
    scores: dict[str, float] = defaultdict(float)
    for mention in person:
        for speaker, weight in mention.toward:
            scores[speaker] += weight
    own = {mention.by for mention in person if mention.kind in (Kind.SELF, Kind.SIGN_OFF)}
    for by in {mention.by for mention in person} - own:
        if by in scores:
            scores[by] += NOT_ONESELF
    return scores


def _posterior(
    scores: Sequence[dict[str, float]], pointing: dict[str, list[int]], speaker: str, number: int
) -> float:
    """The posterior that the person is this speaker, over all ways to match people and speakers.

    Every person is one speaker or none, every speaker one person or none. Only the RIVALS strongest speakers
    of the person, and the RIVALS strongest other people who may be those speakers, are weighed.
    """
    speakers = sorted(scores[number], key=lambda other: -scores[number][other])[:RIVALS]
    speakers = [speaker, *(other for other in speakers if other != speaker)]
    people = {other for each in speakers for other in pointing[each]} - {number}
    rivals = sorted(people, key=lambda other: -max(scores[other].values()))[:RIVALS]
    rows = [[scores[other].get(each, -MOST) for each in speakers] for other in rivals]
    mine = [scores[number][each] for each in speakers]
    return exp(mine[0] - NO_NAME) * _weight(rows, taken=1) / _weight([mine, *rows])


def _weight(rows: Sequence[Sequence[float]], taken: int = 0) -> float:
    """The total weight of all ways to give each person, a row of scores, one speaker or none. Bits of `taken`
    mark the speakers that are not free."""
    weights = {taken: 1.0}
    for row in rows:
        for speakers, weight in list(weights.items()):
            for bit, score in enumerate(row):
                if not speakers >> bit & 1:
                    mask = speakers | 1 << bit
                    weights[mask] = weights.get(mask, 0.0) + weight * exp(score - NO_NAME)
    return sum(weights.values())


def _naming(person: Sequence[Mention], speaker: str, confidence: float) -> Naming:
    pointing = [mention for mention in person if any(target == speaker for target, _ in mention.toward)]
    placed = next((mention for mention in pointing if mention.person.affiliation), None)
    quotes = [mention.supporting("name") for mention in pointing[:QUOTES]]
    if placed:
        quotes.append(placed.supporting("affiliation"))
    return Naming(_fullest(pointing), confidence, placed.person.affiliation if placed else "", tuple(quotes))


def _fullest(pointing: Sequence[Mention]) -> str:
    """The best spelt name, or a longer one that contains it; not from a call, which may have more words."""
    best = pointing[0]
    for mention in pointing:
        if best.words < mention.words and mention.kind is not Kind.VOCATIVE:
            best = mention
    return best.person.name
