"""Names by which one speaker calls another: "Well, Anna, …", "Thank you, Yuri.", "Jane, what do you …?".

A name alone proves nothing ("Putin, personally"). It is a call after a greeting or thanks; at the start of
a sentence after "well", "so" and the like, or before a question or "over to you"; and, for somebody who has
been introduced, at the start of a sentence or between commas at the end of a turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.roles.introductions import Person
from pipelines.roles.passages import Passage, plain_form
from pipelines.roles.phrases import Phrases
from pipelines.roles.slots import Slot
from pipelines.text import join_words
from pipelines.types import Role

CALL_WORDS = 2
"""Words in the longest name used in a call."""
LEAD_WORDS = 3
KNOWN, LED, BRACKETED = 1.5, 1.3, 0.7
"""Log odds of a call: by a name introduced elsewhere, after a lead, and merely between commas."""


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody is called in a passage; the quote begins at word `first`."""

    passage: Passage
    first: int
    person: Person
    is_known: bool  # introduced somewhere
    is_thanks: bool
    weight: float  # natural-log odds that this calls somebody of that name


def find_calls(passage: Passage, phrases: Phrases, known: frozenset[str]) -> Iterator[Call]:
    """The vocatives of a passage; `known` holds the plain words of names introduced elsewhere.

    Without capitals, only known names are found.
    """
    thanks = {last: first for first, last in passage.find(phrases.thanks)}
    greetings = {last: first for first, last in passage.find(phrases.greeting)} | thanks
    for name in _names(passage, phrases, known):
        is_known = any(word.plain in known for word in passage.words[name.start : name.stop])
        greeting = greetings.get(name.start)
        first = _lead(passage, phrases, name.start) if greeting is None else greeting
        weight = _weight(passage, phrases, range(first, name.start), name, greeting is not None, is_known)
        if weight:
            written = join_words([word.bare for word in passage.words[name.start : name.stop]])
            person = Person(written, "", Role.UNKNOWN, name.start, name.stop)
            yield Call(passage, first, person, is_known, name.start in thanks, weight)


def _weight(
    passage: Passage, phrases: Phrases, lead: range, name: range, is_greeted: bool, is_known: bool
) -> float:
    """How surely the name calls somebody; 0 where nothing suggests it."""
    if is_greeted or _opens_or_ends(passage, phrases, lead.start, name, is_known):
        if is_known:
            return KNOWN
        settled = passage.pauses(name.stop - 1) or passage.matches(name.stop, phrases.over_to)
        return LED if settled else 0.0
    return BRACKETED if _is_bracketed(passage, name) else 0.0


def _is_bracketed(passage: Passage, name: range) -> bool:
    """Whether the name stands between commas, but not in a list: "as you know, Anna, …"."""
    first, last = name.start, name.stop
    if first == 0 or last - first > 1 or not passage.words[last - 1].is_closed:
        return False
    before = passage.words[first - 1]
    listed = (before.is_capital and not passage.begins(first - 1)) or (
        last < len(passage.words) and passage.words[last].is_capital and not passage.stops(last - 1)
    )
    return before.is_closed and not passage.stops(first - 1) and not listed


def _names(passage: Passage, phrases: Phrases, known: frozenset[str]) -> Iterator[range]:
    """The places of names of one or two words; without capitals, of runs of known words."""
    slot = Slot(passage, phrases, 0, len(passage.words))
    index = 0
    while index < len(passage.words):
        end = slot.run(index) if passage.is_cased else _known_run(passage, index, known)
        words = passage.words[index:end]
        written = all(word.is_written for word in words)
        if 0 < len(words) <= CALL_WORDS and written and not words[-1].is_possessive:
            yield range(index, end)
        index = max(end, index + 1)


def _known_run(passage: Passage, index: int, known: frozenset[str]) -> int:
    while index < len(passage.words) and passage.words[index].plain in known:
        index += 1
    return index


def _lead(passage: Passage, phrases: Phrases, first: int) -> int:
    """The start of the words that lead up to the name: "Well,", "So", "And yes,"."""
    lead = first
    leading = phrases.discourse | phrases.honorifics
    while lead and first - lead < LEAD_WORDS:
        word = passage.words[lead - 1]
        # a capital word recognised as another is part of the name: "Anton" of "Anton Breslik", heard as "and"
        if word.plain not in leading or (word.is_capital and plain_form(word.text) != word.plain):
            break
        lead -= 1
        if passage.begins(lead):
            break
    return lead


def _opens_or_ends(passage: Passage, phrases: Phrases, first: int, name: range, is_known: bool) -> bool:
    """Whether the name, with the words from `first` on that lead up to it, stands where people are called."""
    begins = passage.begins(first)
    led = any(word.plain in phrases.discourse for word in passage.words[first : name.start])
    closed = passage.words[name.stop - 1].is_closed
    over = passage.matches(name.stop, phrases.over_to)
    if (begins and led) or (over and (begins or is_known)):
        return True
    if not is_known:
        return False
    ends = name.stop == len(passage.words) and passage.words[name.start - 1].is_closed
    return ends or (begins and closed) or (led and passage.pauses(name.stop - 1))
