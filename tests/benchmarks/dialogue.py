"""Writes made-up broadcast interviews: who says what, in which order, in grammatical English."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from random import Random

from pipelines.types import Role

STORY_POOLS = {"first": 8, "last": 8, "country": 3, "city": 3, "demonym": 3, "body": 3, "matter": 4}
"""Symbol of the grammar → how many of its alternatives one story uses, so that a story keeps to its own names
and subjects, as a real one does, and a heading pasted into it shares its words."""

TURNS_PER_STORY = 24
HEADINGS_PER_STORY = 8
SHORT_ANSWERS = 0.1  # share of answers that are one to three words; the hardest part for any method
SAID_TWICE = 0.5  # probability that the host repeats the whole opening before the second guest

CASTS: dict[int, tuple[tuple[str, Role], ...]] = {
    2: (("HOST", Role.ANCHOR), ("GUEST1", Role.ANALYST)),
    3: (("HOST", Role.ANCHOR), ("GUEST1", Role.ANALYST), ("REPORTER", Role.CORRESPONDENT)),
}
CASTS[4] = (CASTS[3][0], ("NARRATOR", Role.NARRATOR), *CASTS[3][1:])
CASTS[5] = (*CASTS[4], ("GUEST2", Role.ANALYST))
CASTS[6] = (*CASTS[5], ("VOICE", Role.OTHER))


@dataclass(frozen=True, slots=True)
class Line:
    """What one speaker says before another one does."""

    speaker: str
    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Script:
    """A broadcast, and headings of the page it is shown on, about the same stories."""

    lines: tuple[Line, ...]
    headings: tuple[str, ...]


@cache
def rules() -> dict[str, tuple[str, ...]]:
    """The grammar: symbol → its alternatives."""
    text = Path(__file__).with_name("grammar.txt").read_text(encoding="utf-8")
    blocks = re.findall(r"^\[(\w+)\]\n((?:[^\[\n].*\n?)+)", text, re.MULTILINE)
    return {symbol: tuple(re.split(r" \| |\n", body.strip())) for symbol, body in blocks}


@cache
def vocabulary() -> tuple[str, ...]:
    """Every word that the grammar can say, lower case, sorted."""
    text = " ".join(choice for choices in rules().values() for choice in choices)
    return tuple(sorted(set(re.findall(r"[a-z][a-z']*", re.sub(r"\{\w+\}", " ", text).lower()))))


@cache
def names() -> frozenset[str]:
    """First and last names, lower case: words that no recogniser has in its dictionary."""
    return frozenset(name.lower() for symbol in ("first", "last") for name in rules()[symbol])


class Writer:
    """Writes sentences about one story."""

    def __init__(self, random: Random) -> None:
        self._random = random
        pools = {symbol: tuple(random.sample(rules()[symbol], size)) for symbol, size in STORY_POOLS.items()}
        constants = {symbol: (random.choice(rules()[symbol]),) for symbol in ("broadcaster", "institute")}
        self._rules = rules() | pools | constants

    def write(self, symbol: str, guest: str = "") -> str:
        """One expansion of the symbol, its sentences capitalised."""
        text = self._expand("{" + symbol + "}", guest)
        return re.sub(r"(^|[.?!] )([a-z])", lambda found: found[1] + found[2].upper(), text)

    def _expand(self, text: str, guest: str) -> str:
        named = text.replace("{guest}", guest).replace("{guest_first}", guest.split(" ", maxsplit=1)[0])
        return re.sub(r"\{(\w+)\}", lambda found: self._expand(self._choose(found[1]), guest), named)

    def _choose(self, symbol: str) -> str:
        return self._random.choice(self._rules[symbol])


def converse(random: Random, speakers: int, turns: int, short_answers: float = SHORT_ANSWERS) -> Script:
    """A broadcast of so many turns, one story after the other; neighbouring lines differ in their speaker."""
    if speakers not in CASTS:
        raise ValueError(f"an interview has 2 to 6 speakers, not {speakers}")
    lines: list[Line] = []
    headings: list[str] = []
    while len(lines) <= turns:
        writer = Writer(random)
        planned = min(TURNS_PER_STORY, turns - len(lines))
        lines = [
            *lines[:-1],
            *_merge([*lines[-1:], *_story(random, writer, CASTS[speakers], planned, short_answers)]),
        ]
        headings += [writer.write("heading") for _ in range(HEADINGS_PER_STORY)]
    return Script(tuple(lines[:turns]), tuple(headings))


def _merge(lines: Sequence[Line]) -> list[Line]:
    """Neighbouring lines of one speaker as one."""
    groups = (list(group) for _, group in groupby(lines, key=lambda line: line.speaker))
    return [Line(group[0].speaker, group[0].role, " ".join(line.text for line in group)) for group in groups]


def _story(
    random: Random, writer: Writer, cast: tuple[tuple[str, Role], ...], turns: int, short_answers: float
) -> Iterator[Line]:
    host = cast[0]
    guests = [member for member in cast[1:] if member[1] in (Role.ANALYST, Role.CORRESPONDENT)]
    opening = writer.write("opening")
    yield Line(*host, opening)
    yield from _report(random, writer, cast)
    exchanges = max(1, round((turns - 4) / len(guests) / 2 - 1))
    for number, guest in enumerate(guests):
        if number == 1 and random.random() < SAID_TWICE:
            yield Line(*host, opening)
        yield from _interview(random, writer, host, guest, exchanges, short_answers)
    yield Line(*host, writer.write("closing"))


def _report(random: Random, writer: Writer, cast: tuple[tuple[str, Role], ...]) -> Iterator[Line]:
    by_role = {role: (speaker, role) for speaker, role in cast}
    if Role.NARRATOR not in by_role:
        return
    yield Line(*by_role[Role.NARRATOR], _sentences(random, writer, "report", 5, 9))
    if Role.OTHER in by_role:
        yield Line(*by_role[Role.OTHER], writer.write("clip"))
        yield Line(*by_role[Role.NARRATOR], _sentences(random, writer, "report", 2, 5))


def _interview(
    random: Random,
    writer: Writer,
    host: tuple[str, Role],
    guest: tuple[str, Role],
    exchanges: int,
    short_answers: float,
) -> Iterator[Line]:
    name = writer.write("first") + " " + writer.write("last")
    yield Line(*host, writer.write("introduction", name))
    for _ in range(exchanges):
        yield Line(*host, _question(random, writer))
        if random.random() < short_answers:
            yield Line(*guest, writer.write("short_answer"))
            yield Line(*host, writer.write("follow_up"))
        yield Line(*guest, writer.write("answer_start") + " " + _sentences(random, writer, "answer", 2, 6))
    yield Line(*host, writer.write("thanks", name))
    if random.random() < 0.6:
        yield Line(*guest, writer.write("goodbye"))


def _question(random: Random, writer: Writer) -> str:
    bridge = writer.write("bridge") + " " if random.random() < 0.3 else ""
    return bridge + writer.write("question")


def _sentences(random: Random, writer: Writer, symbol: str, least: int, most: int) -> str:
    return " ".join(writer.write(symbol) for _ in range(random.randint(least, most)))
