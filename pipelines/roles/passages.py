"""The words of one turn as they can be searched and quoted.

Words are compared in one plain form and quoted as they were written.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from pipelines.text import ends_sentence, fold, is_question, join_words
from pipelines.types import Evidence

PAUSE_SECONDS = 0.3
"""A silence that ends a phrase where there is no punctuation."""
CLOSING = ",;:.!?…—–)"

_EDGES = re.compile(r"^[^\w]+|[^\w]+$")
_INNER = re.compile(r"[^\w'-]+")
_POSSESSIVE = re.compile(r"['’]s?$", re.IGNORECASE)
_INITIAL = re.compile(r"[^\W\d_]\.")


def plain_form(text: str) -> str:
    """A word without case, accents or outer punctuation; inner apostrophes and hyphens stay."""
    return _INNER.sub("", fold(text)).strip("'-_")


def plain_words(name: str) -> frozenset[str]:
    """The words of a name in plain form."""
    return frozenset(plain for word in name.split() if (plain := plain_form(word)))


@dataclass(frozen=True, slots=True)
class Word:
    """One word as written, with the loose punctuation after it, and its plain form.

    `place` is its index among the written words of the turn, -1 if it was recognised but not written.
    """

    text: str  # "Yuri,,"
    plain: str  # "yuri"
    start: float
    end: float
    place: int
    line: int = 0
    is_cut: bool = False  # the text closes each line with a full stop, and this is one

    @property
    def bare(self) -> str:
        """As written, without punctuation around it and without a possessive: "DW" of "DW’s,"."""
        if _INITIAL.fullmatch(self.text):
            return self.text
        return _POSSESSIVE.sub("", _EDGES.sub("", self.text))

    @property
    def is_written(self) -> bool:
        return self.place >= 0

    @property
    def is_capital(self) -> bool:
        return self.bare[:1].isupper()

    @property
    def is_initialism(self) -> bool:
        """Written in capitals only: "BBC", "U.S."."""
        letters = [character for character in self.bare if character.isalpha()]
        return len(letters) > 1 and all(character.isupper() for character in letters)

    @property
    def is_possessive(self) -> bool:
        return self.plain.endswith("'s")

    @property
    def is_closed(self) -> bool:
        """Whether punctuation follows."""
        return self.text[-1:] in CLOSING and not (self.is_cut or _INITIAL.fullmatch(self.text))

    @property
    def asks(self) -> bool:
        return is_question(self.text)


@dataclass(frozen=True, slots=True)
class Passage:
    """The words of one turn in one reading, as written or as recognised.

    `written` are the words of the turn as the text gives them; quotes are taken from these. `source` is where
    they come from: "supplied", or "heard" where there is no text.
    """

    turn: int
    speaker: str
    source: str
    is_cased: bool  # capitals mark names
    words: tuple[Word, ...]
    written: tuple[Word, ...]
    plain: str  # all words in plain form, single spaces between them
    offsets: tuple[int, ...]  # where each word begins in `plain`

    def find(self, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
        """Word ranges that the pattern matches in the plain text."""
        for match in pattern.finditer(self.plain):
            if match.end() > match.start():
                yield self.word_at(match.start()), self.word_at(match.end() - 1) + 1

    def matches(self, index: int, pattern: re.Pattern[str]) -> bool:
        """Whether the pattern matches the words from `index` on."""
        return index < len(self.words) and pattern.match(self.plain, self.offsets[index]) is not None

    def word_at(self, offset: int) -> int:
        """The word that stands at a character of `plain`."""
        return bisect_right(self.offsets, offset) - 1

    def evidence(self, supports: str, first: int, last: int) -> Evidence:
        """Words [first, last) as the text gives them, or as recognised where the text lacks them."""
        words = self.words[first:last]
        places = [word.place for word in words if word.is_written]
        source = self.source if places else "heard"
        if places:
            words = self.written[min(places) : max(places) + 1]
        return Evidence(
            supports, join_words([word.text for word in words]), words[0].start, words[-1].end, source
        )

    def stops(self, index: int) -> bool:
        """Whether a sentence ends after the word, as far as the punctuation can be trusted."""
        word = self.words[index]
        return index + 1 == len(self.words) or (ends_sentence(word.text) and not word.is_cut)

    def begins(self, index: int) -> bool:
        """Whether a sentence or a line begins with the word."""
        if index == 0 or self.stops(index - 1):
            return True
        return self.words[index - 1].line != self.words[index].line

    def pauses(self, index: int) -> bool:
        """Whether punctuation or silence follows the word."""
        word, following = self.words[index], self.words[index + 1 : index + 2]
        if word.is_closed or not following:
            return True
        return following[0].start - word.end >= PAUSE_SECONDS


def make_passage(
    turn: int, speaker: str, source: str, words: Sequence[Word], written: Sequence[Word], *, is_cased: bool
) -> Passage:
    """A passage with its searchable form."""
    offsets = tuple(accumulate((len(word.plain) + 1 for word in words), initial=0))[: len(words)]
    plain = " ".join(word.plain for word in words)
    return Passage(turn, speaker, source, is_cased, tuple(words), tuple(written), plain, offsets)
