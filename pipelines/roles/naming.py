"""A name for each voice: mentions of one person are gathered, and their pointers to voices add up.

    score(voice, person) = Σ weights of the mentions that point at the voice
                         − NOT_ONESELF where the voice itself speaks of the person as of another

Nobody introduces, addresses or thanks themselves, a person has one voice, and a voice one name. The weights
are log odds, so a name's confidence is the posterior against "nothing names this voice" and all rivals.
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
"""Log weight of "nothing names this voice": what a name must outweigh."""
NOT_ONESELF = -4.0
"""Log weight against a voice that speaks of the person as of somebody else."""
SIMILAR = 65
"""Letters in common, in percent, from which two names of one voice, whole or first, are one mangled name."""
MOST = 20.0
"""Log weights are cut off here: certain is certain."""
RIVALS = 6
"""People and voices that are weighed against each other at once."""
QUOTES = 3
"""Quotes kept for a name."""


@dataclass(frozen=True, slots=True)
class Naming:
    """What a voice is called; `confidence` is the posterior of the name."""

    name: str = ""
    confidence: float = 0.0
    affiliation: str = ""
    evidence: tuple[Evidence, ...] = ()


def name_voices(mentions: Sequence[Mention]) -> dict[str, Naming]:
    """The voices that have a name more likely than all others and none."""
    people = gather(mentions)
    scores = [{voice: min(score, MOST) for voice, score in _scores(person).items()} for person in people]
    pointing: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(scores):
        for voice in row:
            pointing[voice].append(number)
    named: dict[str, Naming] = {}
    for number, row in enumerate(scores):
        for voice in row:
            confidence = _posterior(scores, pointing, voice, number)
            if confidence > 0.5:
                named[voice] = _naming(people[number], voice, confidence)
    return named


def gather(mentions: Sequence[Mention]) -> list[list[Mention]]:
    """The mentions of each person, best written first: one name is part of the other ("Yuri Retta",
    "Yuri"), or both mean the same voice before all others and sound alike ("G Lan", "Glam")."""
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
    """The voices that it points at before all others."""
    most = max((weight for _, weight in mention.toward), default=0.0)
    return {voice for voice, weight in mention.toward if weight == most}


def _scores(person: Sequence[Mention]) -> dict[str, float]:
    scores: dict[str, float] = defaultdict(float)
    for mention in person:
        for voice, weight in mention.toward:
            scores[voice] += weight
    own = {mention.by for mention in person if mention.kind in (Kind.SELF, Kind.SIGN_OFF)}
    for by in {mention.by for mention in person} - own:
        if by in scores:
            scores[by] += NOT_ONESELF
    return scores


def _posterior(
    scores: Sequence[dict[str, float]], pointing: dict[str, list[int]], voice: str, number: int
) -> float:
    """How surely the person has the voice: summed over who may have the voices that the person may have.

    Every person has one of these voices or none, every voice one person or none. Where very many people
    point at them, only the RIVALS strongest count.
    """
    voices = sorted(scores[number], key=lambda other: -scores[number][other])[:RIVALS]
    voices = [voice, *(other for other in voices if other != voice)]
    people = {other for each in voices for other in pointing[each]} - {number}
    rivals = sorted(people, key=lambda other: -max(scores[other].values()))[:RIVALS]
    rows = [[scores[other].get(each, -MOST) for each in voices] for other in rivals]
    mine = [scores[number][each] for each in voices]
    return exp(mine[0] - NO_NAME) * _weight(rows, taken=1) / _weight([mine, *rows])


def _weight(rows: Sequence[Sequence[float]], taken: int = 0) -> float:
    """The weight of all ways to give each person, a row of scores, one voice or none; bits of `taken` are
    the voices that are not free."""
    weights = {taken: 1.0}
    for row in rows:
        for voices, weight in list(weights.items()):
            for bit, score in enumerate(row):
                if not voices >> bit & 1:
                    mask = voices | 1 << bit
                    weights[mask] = weights.get(mask, 0.0) + weight * exp(score - NO_NAME)
    return sum(weights.values())


def _naming(person: Sequence[Mention], voice: str, confidence: float) -> Naming:
    pointing = [mention for mention in person if any(target == voice for target, _ in mention.toward)]
    placed = next((mention for mention in pointing if mention.person.affiliation), None)
    quotes = [mention.supporting("name") for mention in pointing[:QUOTES]]
    if placed:
        quotes.append(placed.supporting("affiliation"))
    return Naming(_fullest(pointing), confidence, placed.person.affiliation if placed else "", tuple(quotes))


def _fullest(pointing: Sequence[Mention]) -> str:
    """The best written name, or a longer one that contains it; a call may run on into other words."""
    best = pointing[0]
    for mention in pointing:
        if best.words < mention.words and mention.kind is not Kind.VOCATIVE:
            best = mention
    return best.person.name
