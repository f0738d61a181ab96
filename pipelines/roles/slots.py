"""A slot is a place where somebody may be named. It is cut into chunks (partial parsing, Abney 1991).

    Joining me now is  DW's   Ria   bureau chief,,  Yuri Retta.
                       OWNER  NAME  OCCUPATION ×2   NAME

    speak to  G Lan  who's a  lecturer    in US  foreign policy  at Queen Mary University in London
              NAME            OCCUPATION  PLACE                  AT

Where the text has capitals, they mark names. Where it has none, any word that is not in a list of common
words may be part of a name, so a find counts for less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from pipelines.roles.passages import Passage, Word, plain_form
from pipelines.roles.phrases import Phrases

SLOT_WORDS = 40
"""Words in the longest description of the people that one phrase introduces."""
NAME_WORDS = 4
CASELESS_NAME_WORDS = 2
ORGANISATION_WORDS = 8
GAP_WORDS = 3
"""The most words between a name and the part before it: "the very patient Jane Doe"."""


class Chunk(Enum):
    NAME = auto()  # of a person, or of a place before an occupation
    OWNER = auto()  # "DW's"
    ORGANISATION = auto()  # "BBC News"
    AT = auto()  # "at the University of York"
    OF = auto()  # "of the Institute for …"
    PLACE = auto()  # "in Riga"
    OCCUPATION = auto()  # one word: "correspondent"


@dataclass(frozen=True, slots=True)
class Part:
    """Words [first, last) read as one chunk, without a preposition before them."""

    chunk: Chunk
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a passage where somebody may be named: words [first, limit)."""

    passage: Passage
    phrases: Phrases
    first: int
    limit: int

    @property
    def is_cased(self) -> bool:
        """Whether capitals mark names here; recognised words that are not written have none."""
        return self.passage.is_cased and all(
            word.is_written for word in self.words[self.first : self.first + 1]
        )

    def run(self, index: int) -> int:
        """Where the name that starts at `index` ends; `index` where none starts."""
        end = index
        while end < self.limit and end - index < NAME_WORDS and self._continues(index, end):
            end += 1
        # a preposition shows that the words before it belong together
        leads_on = end < self.limit and self.words[end].plain in self.phrases.prepositions
        if not (self.is_cased or leads_on):
            end = min(end, index + CASELESS_NAME_WORDS)
        while end > index and self.words[end - 1].plain in self.phrases.particles:
            end -= 1
        return end

    def organisation_run(self, first: int) -> int:
        """Where an organisation's name ends; it may contain "of", "for" and so on before a name word."""
        end = first
        while end < self.limit and end - first < ORGANISATION_WORDS:
            if end > first and self.passage.pauses(end - 1):
                break
            if self._is_organisation_word(end):
                end += 1
            elif end > first and self._joins(first, end):
                end += 2 if self._is_organisation_word(end + 1) else 3
            else:
                break
        return min(end, self.limit)

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of the passage."""
        return self.passage.words

    def parts(self) -> Iterator[Part]:
        """The chunks up to a new clause or the end of the sentence, except names far from the last chunk."""
        index = end = self.first
        while index < min(self.limit, self.first + SLOT_WORDS):
            plain = self.words[index].plain
            says_more = plain in self.phrases.pronouns and self._goes_on(index)
            if index > self.first and plain in self.phrases.clause and not says_more:
                return
            part = self._part(index)
            if part and (part.chunk is not Chunk.NAME or self._is_reached(end, index)):
                yield part
                end = part.last
            index = part.last if part else index + 1
            if self.passage.stops(index - 1) and not self._goes_on(index):
                return

    def _goes_on(self, index: int) -> bool:
        """Whether the next sentence is about the same person: "My guest is Jane Doe. She teaches at …"."""
        begins = index < self.limit and index > 0 and self.passage.stops(index - 1)
        return begins and self.words[index].plain in self.phrases.pronouns

    def _is_reached(self, end: int, index: int) -> bool:
        """Whether few words lie between the last part and a name; without capitals, only "the", "and" …"""
        between = self.words[end:index]
        if self.is_cased:
            return len(between) <= GAP_WORDS
        return all(word.plain in self.phrases.articles | self.phrases.conjunctions for word in between)

    def _part(self, index: int) -> Part | None:
        phrases, plain = self.phrases, self.words[index].plain
        if plain in phrases.prepositions:
            return self._prepositional(index, plain)
        if self._is_occupation(index):
            return Part(Chunk.OCCUPATION, index, index + 1)
        last = self.broadcaster(index) or self.run(index)
        return Part(self._kind(index, last), index, last) if last > index else None

    def _prepositional(self, index: int, preposition: str) -> Part | None:
        phrases, first = self.phrases, index + 1
        while first < self.limit and self.words[first].plain in phrases.articles:
            first += 1
        last = self.organisation_run(first)
        if last == first:
            return None
        if preposition in phrases.place:
            return Part(Chunk.PLACE, first, last)
        return Part(Chunk.OF if preposition in phrases.of else Chunk.AT, first, last)

    def _kind(self, first: int, last: int) -> Chunk:
        if self.words[last - 1].is_possessive:
            return Chunk.OWNER
        return Chunk.ORGANISATION if self.is_organisation(first, last) else Chunk.NAME

    def _continues(self, start: int, index: int) -> bool:
        """Whether the word at `index` belongs to the name that starts at `start`."""
        word, before = self.words[index], self.words[start:index]
        if before and (self.passage.pauses(index - 1) or before[-1].is_possessive or self.broadcaster(index)):
            return False
        if word.plain in {earlier.plain for earlier in before}:  # a repeated word begins a new sentence
            return False
        if index > start and word.plain in self.phrases.particles:
            after = index + 1
            while after < self.limit and self.words[after].plain in self.phrases.particles:
                after += 1
            return after < self.limit and self._is_name_word(after)
        return self._is_name_word(index)

    def _joins(self, first: int, index: int) -> bool:
        """Whether a small word continues the name: "of", "in" after "University", "and" after "for"."""
        plain, before = self.words[index].plain, {word.plain for word in self.words[first:index]}
        following = index + 1
        if following < self.limit and self.words[following].plain in self.phrases.articles:
            following += 1
        if plain not in self.phrases.joiners or following >= self.limit:
            return False
        if plain in self.phrases.place and not before & self.phrases.organisations:
            return False
        if plain in self.phrases.conjunctions and not before & (self.phrases.of | self.phrases.at):
            return False
        return self._is_organisation_word(following)

    def _is_name_word(self, index: int) -> bool:
        word = self.words[index]
        if self.is_cased and not word.is_capital:
            return False
        if self._is_occupation(index) or any(character.isdigit() for character in word.plain):
            return False
        if self.is_cased:
            inside = index > 0 and not self.passage.stops(index - 1)
            known = word.is_initialism or (inside and word.plain in self.phrases.also_names)
            return known or not {word.plain, plain_form(word.bare)} & self.phrases.common
        return word.plain not in self.phrases.common

    def _is_organisation_word(self, index: int) -> bool:
        word = self.words[index]
        if self.is_cased:
            return word.is_capital and word.plain not in self.phrases.clause
        return word.plain in self.phrases.organisations or self._is_name_word(index)

    def _is_occupation(self, index: int) -> bool:
        plain = self.words[index].plain
        return self.phrases.occupation(plain) is not None or plain in self.phrases.honorifics

    def is_organisation(self, first: int, last: int) -> bool:
        words = self.words[first:last]
        if any(word.plain in self.phrases.organisations for word in words) or self.broadcaster(first):
            return True
        return self.is_cased and all(word.is_initialism for word in words)

    def broadcaster(self, index: int) -> int | None:
        """Where the broadcaster's name that starts at `index` ends."""
        match = self.phrases.broadcasters.match(self.passage.plain, self.passage.offsets[index])
        return self.passage.word_at(match.end() - 1) + 1 if match else None
