"""Glossary words that the text spells differently.

    glossary   Pete Hegseth                      University of Bramford
    text       … Defense Secretary Pete Heath …  … Zaleski at the Bramfort campus …
                                   │    └ Hegseth: a little alike, beside    └ Bramford: much alike
                                   └ as it is in the glossary

A word that was recognised as written, here or anywhere else in the recording, is a word in its own right and
stays. Otherwise the recognised word is ignored: a recogniser that does not know a name outputs another.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from rapidfuzz import process
from rapidfuzz.distance import OSA

from pipelines.text import sound, units
from pipelines.types import AlignedToken, Match

ALIKE = 0.7
"""Similarity from which a glossary word is meant."""

ALIKE_UNCAPITALISED = 0.85
"""The same if the glossary has a capital and the text does not: it may be a common word."""

ALIKE_BESIDE = 0.5
"""The same next to another word of its term."""

SPELLED_ALIKE = 0.3
"""Similarity in spelling that is always required: many words partly sound alike."""

SHORTEST = 4
"""Letters; a shorter word resembles too many others."""

_POSSESSIVE = re.compile(r"['’]s\W*$")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One word of a term, and the forms of its neighbours in the term, "" for none."""

    word: str
    before: str
    behind: str


def find_terms(
    tokens: Sequence[AlignedToken], terms: Iterable[str], language: str
) -> Iterator[tuple[int, str]]:
    """Tokens that stand for a glossary word, and that word, in order."""
    entries = _entries(terms, language)
    spoken = [(index, token) for index, token in enumerate(tokens) if token.match is not Match.NOT_SPOKEN]
    forms = ["", *(_form(token.token.text, language) for _, token in spoken), ""]
    heard = (
        form for form, (_, token) in zip(forms[1:], spoken, strict=False) if token.match is Match.MATCHED
    )
    known = {*heard, *entries}
    near = cache(lambda form: tuple(_near(form, entries.keys())))  # the same forms recur
    for place, (index, token) in enumerate(spoken, start=1):
        if len(forms[place]) >= SHORTEST and forms[place] not in known:
            written = _Entry(token.token.text, forms[place - 1], forms[place + 1])
            word = _meant(near(forms[place]), written, entries)
            if word:
                yield index, word


def _entries(terms: Iterable[str], language: str) -> Mapping[str, list[_Entry]]:
    """The words of all terms that are long enough, by form."""
    entries: dict[str, list[_Entry]] = defaultdict(list)
    for term in terms:
        words = term.split()
        forms = ["", *(_form(word, language) for word in words), ""]
        for place, word in enumerate(words, start=1):
            if len(forms[place]) >= SHORTEST:
                entries[forms[place]].append(_Entry(word, forms[place - 1], forms[place + 1]))
    return entries


def _form(text: str, language: str) -> str:
    return "".join(units(_POSSESSIVE.sub("", text), language))


def _meant(near: Iterable[tuple[str, float]], written: _Entry, entries: Mapping[str, list[_Entry]]) -> str:
    """The most similar word among the `near` forms that is similar enough, "" for none."""
    accepted = [
        (alike, entry.word)
        for other, alike in near
        for entry in entries[other]
        if alike >= _bar(written, entry)
    ]
    return max(accepted, default=(0.0, ""))[1]


def _near(form: str, others: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Forms with a similar spelling, and their similarity in spelling and sound together."""
    alike = OSA.normalized_similarity  # swapped letters are one slip
    found = process.extract(form, others, scorer=alike, score_cutoff=SPELLED_ALIKE, limit=None)
    for other, spelling, _ in found:
        yield other, (spelling + alike(sound(form), sound(other))) / 2


def _bar(written: _Entry, entry: _Entry) -> float:
    neighbours = ((written.before, entry.before), (written.behind, entry.behind))
    if any(ours == theirs and len(ours) >= SHORTEST for ours, theirs in neighbours):
        return ALIKE_BESIDE
    if entry.word[:1].isupper() and not written.word.lstrip("\"'“‘([")[:1].isupper():
        return ALIKE_UNCAPITALISED
    return ALIKE
