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

from pipelines.mentions import Kind, Mention
from pipelines.types import Evidence

NO_NAME = 1.0
"""Log weight of "nothing names this voice": what a name must outweigh."""
NOT_ONESELF = -4.0
"""Log weight against a voice that speaks of the person as of somebody else."""
SIMILAR = 65
"""Letters in common, in percent, from which two names of one voice, whole or first, are one mangled name."""
MOST = 20.0
"""Log weights are cut off here: certain is certain."""
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
    """The voices that have a name more likely than none."""
    people = gather(mentions)
    scores = {
        (voice, number): min(score, MOST)
        for number, person in enumerate(people)
        for voice, score in _scores(person).items()
    }
    named: dict[str, Naming] = {}
    taken: set[int] = set()
    for (voice, number), _ in sorted(scores.items(), key=lambda item: -item[1]):
        confidence = _posterior(scores, voice, number)
        if voice not in named and number not in taken and confidence > 0.5:
            named[voice] = _naming(people[number], voice, confidence)
            taken.add(number)
    return named


def gather(mentions: Sequence[Mention]) -> list[list[Mention]]:
    """The mentions of each person, best written first: one name is part of the other ("Yuri Retta",
    "Yuri"), or both mean the same voice and sound alike ("G Lan", "Glam")."""
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
    if not {voice for voice, _ in one.toward} & {voice for voice, _ in other.toward}:
        return False
    one_name, other_name = one.person.name.casefold(), other.person.name.casefold()
    whole = fuzz.ratio(one_name.replace(" ", ""), other_name.replace(" ", ""))
    return max(whole, fuzz.ratio(one_name.split()[0], other_name.split()[0])) >= SIMILAR


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


def _posterior(scores: dict[tuple[str, int], float], voice: str, number: int) -> float:
    """Against no name, other names of the voice, and other voices of the person."""
    rivals = [score for (other, person), score in scores.items() if (other == voice) != (person == number)]
    mine = scores[voice, number]
    return 1.0 / (1.0 + sum(exp(score - mine) for score in [NO_NAME, *rivals]))


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
