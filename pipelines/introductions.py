"""People as a broadcast introduces them: the name, the organisation and the occupation around a slot.

    Joining me now is DW's        Ria   bureau chief,,  Yuri Retta.
                      OWNER       NAME  OCCUPATION ×2   NAME            → Yuri Retta, DW, correspondent

    speak to  G Lan  who's a  lecturer    in US  foreign policy  at Queen Mary University in London
              NAME            OCCUPATION  PLACE                  AT
                                            → G Lan, Queen Mary University in London, analyst

The words of a slot are cut into chunks, as in partial parsing (Abney 1991), and the chunks are read in
order. Where the text has capitals they mark names; where it has none, every word does that is in no list
of common words, so less is believed. A name or an affiliation is what the text gives, letter for letter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise

from pipelines.conversation import Passage, Word
from pipelines.phrases import Phrases
from pipelines.types import Role, join_words

SLOT_WORDS = 30
"""A description of one person is not longer."""
NAME_WORDS = 4
CASELESS_NAME_WORDS = 2
ORGANISATION_WORDS = 8
GAP_WORDS = 3
"""Words that may stand between a name and what leads up to it: "the very patient Jane Doe"."""


@dataclass(frozen=True, slots=True)
class Person:
    """Someone named in words [first, last) of a passage; "" where no organisation is.

    `role` is what the occupation suggests, UNKNOWN without one.
    """

    name: str
    affiliation: str
    role: Role
    first: int
    last: int

    @property
    def is_described(self) -> bool:
        """More than a name is said."""
        return bool(self.affiliation) or self.role is not Role.UNKNOWN


class Chunk(Enum):
    NAME = auto()  # a person's, or a place's in front of an occupation
    OWNER = auto()  # "DW's"
    ORGANISATION = auto()  # "BBC News"
    AT = auto()  # "at the University of York"
    OF = auto()  # "of the Institute for …"
    PLACE = auto()  # "in Riga"
    OCCUPATION = auto()  # one word: "correspondent"


@dataclass(frozen=True, slots=True)
class Part:
    """Words [first, last) read as one chunk, without the preposition in front."""

    chunk: Chunk
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a passage where somebody may be named: words [first, limit)."""

    passage: Passage
    phrases: Phrases
    is_cased: bool
    first: int
    limit: int

    def people(self) -> list[Person]:
        """Everybody named here, in order; more than one only where "and" joins them."""
        groups = self._groups(list(self._parts()))
        return [person for group in groups if (person := self._person(group))]

    def run(self, index: int) -> int:
        """Where the name that starts at `index` ends; `index` where none starts."""
        longest = NAME_WORDS if self.is_cased else CASELESS_NAME_WORDS
        end = index
        while end < self.limit and end - index < longest and self._continues(index, end):
            end += 1
        while end > index and self._words[end - 1].plain in self.phrases.particles:
            end -= 1
        return end

    # ------------------------------------------------------------------ words into parts

    @property
    def _words(self) -> tuple[Word, ...]:
        return self.passage.words

    def _parts(self) -> Iterator[Part]:
        index = self.first
        while index < min(self.limit, self.first + SLOT_WORDS):
            if index > self.first and self._words[index].plain in self.phrases.clause:
                return
            part = self._part(index)
            if part:
                yield part
            index = part.last if part else index + 1
            if self.passage.stops(index - 1):
                return

    def _part(self, index: int) -> Part | None:
        phrases, plain = self.phrases, self._words[index].plain
        if plain in phrases.at | phrases.of | phrases.place:
            return self._prepositional(index, plain)
        if self._is_occupation(index):
            return Part(Chunk.OCCUPATION, index, index + 1)
        last = self._broadcaster(index) or self.run(index)
        return Part(self._kind(index, last), index, last) if last > index else None

    def _prepositional(self, index: int, preposition: str) -> Part | None:
        phrases, first = self.phrases, index + 1
        while first < self.limit and self._words[first].plain in phrases.articles:
            first += 1
        last = self._organisation_run(first)
        if last == first:
            return None
        if preposition in phrases.place:
            return Part(Chunk.PLACE, first, last)
        return Part(Chunk.OF if preposition in phrases.of else Chunk.AT, first, last)

    def _kind(self, first: int, last: int) -> Chunk:
        if self._words[last - 1].is_possessive:
            return Chunk.OWNER
        return Chunk.ORGANISATION if self._is_organisation(first, last) else Chunk.NAME

    def _continues(self, start: int, index: int) -> bool:
        """Whether the word at `index` belongs to the name that starts at `start`."""
        word = self._words[index]
        if index > start and (self.passage.pauses(index - 1) or self._words[index - 1].is_possessive):
            return False
        if index > start and (self._broadcaster(index) or word.plain == self._words[index - 1].plain):
            return False
        if index > start and word.plain in self.phrases.particles:
            return index + 1 < self.limit and self._is_name_word(index + 1)
        return self._is_name_word(index)

    def _organisation_run(self, first: int) -> int:
        """Names of organisations also run over "of", "for" and the like, in front of another name word."""
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

    def _joins(self, first: int, index: int) -> bool:
        """Whether a small word continues the name: "of", "in" after "University", "and" after "for"."""
        plain, before = self._words[index].plain, {word.plain for word in self._words[first:index]}
        following = index + 1
        if following < self.limit and self._words[following].plain in self.phrases.articles:
            following += 1
        if plain not in self.phrases.joiners or following >= self.limit:
            return False
        if plain in self.phrases.place and not before & self.phrases.organisations:
            return False
        if plain in self.phrases.conjunctions and not before & (self.phrases.of | self.phrases.at):
            return False
        return self._is_organisation_word(following)

    def _is_name_word(self, index: int) -> bool:
        word = self._words[index]
        if self._is_occupation(index) or any(character.isdigit() for character in word.plain):
            return False
        if self.is_cased:
            inside = index > 0 and not self.passage.stops(index - 1)
            known = word.is_initialism or (inside and word.plain in self.phrases.also_names)
            return word.is_capital and (known or word.plain not in self.phrases.common)
        return word.plain not in self.phrases.common

    def _is_organisation_word(self, index: int) -> bool:
        word = self._words[index]
        if self.is_cased:
            return word.is_capital and word.plain not in self.phrases.clause
        return word.plain in self.phrases.organisations or self._is_name_word(index)

    def _is_occupation(self, index: int) -> bool:
        plain = self._words[index].plain
        return self.phrases.occupation(plain) is not None or self._is_title(index)

    def _is_title(self, index: int) -> bool:
        return self._words[index].plain in self.phrases.honorifics

    def _is_organisation(self, first: int, last: int) -> bool:
        words = self._words[first:last]
        if any(word.plain in self.phrases.organisations for word in words) or self._broadcaster(first):
            return True
        return self.is_cased and all(word.is_initialism for word in words)

    def _broadcaster(self, index: int) -> int | None:
        """Where the broadcaster's name that starts at `index` ends."""
        match = self.phrases.broadcasters.match(self.passage.plain, self.passage.offsets[index])
        return self.passage.word_at(match.end() - 1) + 1 if match else None

    # ------------------------------------------------------------------ parts into people

    def _groups(self, parts: Sequence[Part]) -> list[list[Part]]:
        """The parts of each person: cut at an "and" that has a name on both sides."""
        for cut in range(1, len(parts)):
            before, after = parts[:cut], parts[cut:]
            between = self._words[before[-1].last : after[0].first]
            joined = any(word.plain in self.phrases.conjunctions for word in between)
            if joined and self._name(before) and self._leads_to_name(after):
                return [list(before), *self._groups(after)]
        return [list(parts)]

    def _leads_to_name(self, parts: Sequence[Part]) -> bool:
        leading = (Chunk.OCCUPATION, Chunk.OWNER, Chunk.ORGANISATION)
        first = next((part for part in parts if part.chunk not in leading), None)
        return first is not None and first.chunk is Chunk.NAME

    def _person(self, parts: Sequence[Part]) -> Person | None:
        name = self._name(parts)
        if name is None:
            return None
        owned = self._owned(parts, name)
        organisation = self._affiliation(owned, name)
        role = self._role(owned, name)
        used = [name, *([organisation] if organisation else []), *self._occupations(owned)]
        return Person(
            self._written(name),
            self._written(organisation) if organisation else "",
            role,
            min(part.first for part in used),
            max(part.last for part in used),
        )

    def _owned(self, parts: Sequence[Part], name: Part) -> list[Part]:
        """What describes this person: everything up to the next name, but for places."""
        others = (part.first for at, part in enumerate(parts) if self._is_other(parts, at, name))
        limit = next(others, self.limit)
        return [part for part in parts if part.last <= limit and part.chunk not in (Chunk.PLACE, Chunk.NAME)]

    def _is_other(self, parts: Sequence[Part], at: int, name: Part) -> bool:
        later = parts[at].first > name.first
        return later and parts[at].chunk is Chunk.NAME and self._is_reached(parts, at)

    def _name(self, parts: Sequence[Part]) -> Part | None:
        """The first name that does not merely describe an occupation ("Riga bureau chief")."""
        names = [
            at for at, part in enumerate(parts) if part.chunk is Chunk.NAME and self._is_reached(parts, at)
        ]
        for at in names:
            if not (at != names[-1] and self._modifies(parts, at)):
                return parts[at]
        return None if self.is_cased else self._name_after_place(parts)

    def _name_after_place(self, parts: Sequence[Part]) -> Part | None:
        """No comma is heard: "our correspondent in moscow steve rosenberg"."""
        for before, part in pairwise(parts):
            long = part.last - part.first >= 3
            if part.chunk is Chunk.PLACE and before.chunk is Chunk.OCCUPATION and long:
                return Part(Chunk.NAME, part.last - 2, part.last)
        return None

    def _is_reached(self, parts: Sequence[Part], at: int) -> bool:
        """A name stands near the start of the slot or near another part; without capitals, right there."""
        start = parts[at - 1].last if at else self.first
        between = self._words[start : parts[at].first]
        if self.is_cased:
            return len(between) <= GAP_WORDS
        return all(word.plain in self.phrases.articles | self.phrases.conjunctions for word in between)

    def _modifies(self, parts: Sequence[Part], at: int) -> bool:
        following = parts[at + 1]
        near = following.first - parts[at].last <= 1 and not self.passage.pauses(parts[at].last - 1)
        return near and following.chunk is Chunk.OCCUPATION

    def _affiliation(self, parts: Sequence[Part], name: Part) -> Part | None:
        """The organisation: "at …" before "from …" and "of …" before "DW's …" before a bare name of one."""
        ranks = [(rank, part) for part in parts if (rank := self._rank(part, parts, name)) is not None]
        return min(ranks, key=lambda ranked: ranked[0])[1] if ranks else None

    def _rank(self, part: Part, parts: Sequence[Part], name: Part) -> int | None:
        """How surely a part names the person's organisation, 0 first; None where it names none."""
        preposition = self._words[max(part.first - 1, 0)].plain
        formal = self._is_organisation(part.first, part.last)
        before = max((other.last for other in [*parts, name] if other.last <= part.first), default=self.first)
        adjacent = part.first - before <= 2
        if part.chunk is Chunk.AT:
            return 0 if preposition == "at" or formal else (1 if adjacent else None)
        if part.chunk is Chunk.OF:
            heads = any(self._words[other.first].plain in self.phrases.heads_of for other in parts)
            return 2 if formal or heads else None
        if part.chunk is Chunk.OWNER:
            return 3
        return 4 if part.chunk is Chunk.ORGANISATION and adjacent else None

    def _occupations(self, parts: Sequence[Part]) -> list[Part]:
        return [part for part in parts if part.chunk is Chunk.OCCUPATION]

    def _role(self, parts: Sequence[Part], name: Part) -> Role:
        """What the first occupation suggests; a broadcaster's own is a reporter, a former one a guest."""
        start = min([part.first for part in parts] + [name.first])
        lead = {word.plain for word in self._words[self.first : max(start, name.first)]}
        roles = [self.phrases.occupation(self._words[part.first].plain) for part in self._occupations(parts)]
        known = [role for role in roles if role is not None]
        if known:
            return Role.ANALYST if lead & self.phrases.former else known[0]
        owners = [part for part in parts if part.chunk is Chunk.OWNER and part.last == name.first]
        house = any(self._broadcaster(part.first) for part in owners)
        return Role.CORRESPONDENT if house else Role.UNKNOWN

    def _written(self, part: Part) -> str:
        """The words as the text gives them, without the punctuation around."""
        return join_words([word.bare for word in self._words[part.first : part.last]])
