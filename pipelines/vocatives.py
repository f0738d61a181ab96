"""Names by which one voice calls another: "Well, Anna, …", "Thank you, Yuri.", "Jane, what do you …?".

A name alone proves nothing ("Putin, personally"). It calls somebody where a greeting or thanks stands right
in front of it; where it opens a sentence after "well", "so" and the like, or before a question or "over to
you"; or, for somebody who was introduced, where it opens a sentence or ends a turn between commas.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.conversation import Passage
from pipelines.introductions import Person, Slot
from pipelines.phrases import Phrases
from pipelines.types import Role, join_words

CALL_WORDS = 2
"""Nobody is called by more names."""
LEAD_WORDS = 3


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody is called in a passage; the quote begins at word `first`."""

    passage: Passage
    first: int
    person: Person
    is_known: bool  # introduced somewhere
    is_thanks: bool


def find_calls(
    passage: Passage, phrases: Phrases, known: frozenset[str], *, is_cased: bool
) -> Iterator[Call]:
    """The vocatives of a passage; `known` holds the plain words of the names of people introduced.

    Without capitals, only known names are found.
    """
    thanks = {last: first for first, last in passage.find(phrases.thanks)}
    greetings = {last: first for first, last in passage.find(phrases.greeting)} | thanks
    for name in _names(passage, phrases, is_cased):
        is_known = any(word.plain in known for word in passage.words[name.start : name.stop])
        if not (is_cased or is_known):
            continue
        greeting = greetings.get(name.start)
        first = _lead(passage, phrases, name.start) if greeting is None else greeting
        if greeting is None and not _opens_or_ends(passage, phrases, first, name, is_known):
            continue
        if is_known or passage.pauses(name.stop - 1) or passage.matches(name.stop, phrases.over_to):
            written = join_words([word.bare for word in passage.words[name.start : name.stop]])
            person = Person(written, "", Role.UNKNOWN, name.start, name.stop)
            yield Call(passage, first, person, is_known, name.start in thanks)


def _names(passage: Passage, phrases: Phrases, is_cased: bool) -> Iterator[range]:
    """Where names of one or two words stand, each once."""
    slot = Slot(passage, phrases, is_cased, 0, len(passage.words))
    index = 0
    while index < len(passage.words):
        end = slot.run(index)
        if 0 < end - index <= CALL_WORDS and not passage.words[end - 1].is_possessive:
            yield range(index, end)
        index = max(end, index + 1)


def _lead(passage: Passage, phrases: Phrases, first: int) -> int:
    """Where the words begin that lead up to the name: "Well,", "So", "And yes,"."""
    lead = first
    while lead and first - lead < LEAD_WORDS and passage.words[lead - 1].plain in phrases.discourse:
        lead -= 1
        if passage.begins(lead):
            break
    return lead


def _opens_or_ends(passage: Passage, phrases: Phrases, first: int, name: range, is_known: bool) -> bool:
    """Whether the name stands where somebody is called, with what leads up to it from `first` on."""
    begins, led = passage.begins(first), first < name.start
    closed = passage.words[name.stop - 1].is_closed
    if begins and (led or passage.matches(name.stop, phrases.over_to)):
        return True
    if not is_known:
        return False
    ends = name.stop == len(passage.words) and passage.words[name.start - 1].is_closed
    return ends or (begins and closed) or (led and passage.pauses(name.stop - 1))
