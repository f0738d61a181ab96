"""People as a broadcast introduces them: the name, the organisation and the occupation in a slot.

    "DW's Ria bureau chief,, Yuri Retta"                       → Yuri Retta, DW, correspondent
    "G Lan who's a lecturer in US foreign policy at Queen Mary University in London"
                                                 → G Lan, Queen Mary University in London, analyst

Names and affiliations are quoted letter for letter. The affiliation is the organisation alone, without the
person's position there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipelines.roles.passages import Word, plain_words
from pipelines.roles.slots import Chunk, Part, Slot
from pipelines.text import join_words
from pipelines.types import Role


@dataclass(frozen=True, slots=True)
class Person:
    """Someone named in words [first, last) of a passage; the affiliation is "" where none is given.

    `role` is what the occupation suggests, UNKNOWN without one.
    """

    name: str
    affiliation: str
    role: Role
    first: int
    last: int

    @property
    def is_described(self) -> bool:
        """Whether more than a name is given."""
        return bool(self.affiliation) or self.role is not Role.UNKNOWN


def read_people(slot: Slot) -> list[Person]:
    """Everybody named in the slot, in order."""
    return [person for parts in _groups(slot, list(slot.parts())) if (person := _person(slot, parts))]


def _groups(slot: Slot, parts: Sequence[Part]) -> list[list[Part]]:
    """The parts grouped by person: a new person begins after "and" or a comma between two names."""
    for cut in range(1, len(parts)):
        before, after = parts[:cut], parts[cut:]
        if _is_joined(slot, before, after[0]) and _leads_to_name(slot, after):
            return [list(before), *_groups(slot, after)]
    return [list(parts)]


def _is_joined(slot: Slot, parts: Sequence[Part], other: Part) -> bool:
    """Whether "and" or a comma separates `other` from `parts`, which already describe a named person."""
    name = _name(slot, parts)
    if name is None:
        return False
    between = slot.words[parts[-1].last : other.first]
    if any(word.plain in slot.phrases.conjunctions for word in between):
        return True
    following = next((part for part in parts if part.first >= name.last), None)
    complete = following is None or not _modifies(slot, name, following)
    return complete and slot.is_cased and slot.passage.pauses(parts[-1].last - 1)


def _leads_to_name(slot: Slot, parts: Sequence[Part]) -> bool:
    """Whether a full name comes first, apart from words that may precede a name."""
    leading = (Chunk.OCCUPATION, Chunk.OWNER, Chunk.ORGANISATION)
    at = next((at for at, part in enumerate(parts) if part.chunk not in leading), None)
    if at is None or parts[at].chunk is not Chunk.NAME:
        return False
    titled = at > 0 and not slot.passage.pauses(parts[at - 1].last - 1)
    return titled or parts[at].last - parts[at].first > 1


def _person(slot: Slot, parts: Sequence[Part]) -> Person | None:
    name = _name(slot, parts)
    if name is None:
        return None
    owned = _owned(parts, name)
    organisation = _affiliation(slot, owned, name)
    affiliation = _written(slot.words[organisation.first : organisation.last]) if organisation else ""
    used = [name, *([organisation] if organisation else []), *_occupations(owned)]
    last = max(part.last for part in used)
    last = next((p.last for p in parts if p.chunk is Chunk.PLACE and 0 <= p.first - last <= 1), last)
    written = _written(slot.words[name.first : name.last])
    return Person(written, affiliation, _role(slot, owned, name), min(part.first for part in used), last)


def _owned(parts: Sequence[Part], name: Part) -> list[Part]:
    """The parts that describe this person: everything up to the next name, except places."""
    others = (part.first for part in parts if part.chunk is Chunk.NAME and part.first > name.first)
    limit = next(others, parts[-1].last)
    return [part for part in parts if part.last <= limit and part.chunk not in (Chunk.PLACE, Chunk.NAME)]


def _name(slot: Slot, parts: Sequence[Part]) -> Part | None:
    """The first name that does not merely describe an occupation ("Riga bureau chief")."""
    names = [at for at, part in enumerate(parts) if part.chunk is Chunk.NAME]
    for at in names:
        modifies = at + 1 < len(parts) and _modifies(slot, parts[at], parts[at + 1])
        full = at == names[-1] and parts[at].last - parts[at].first > 1
        if full or not modifies:
            return parts[at]
    return None if slot.is_cased else _name_after_place(parts)


def _modifies(slot: Slot, part: Part, following: Part) -> bool:
    between = slot.words[part.last : following.first]
    near = len(between) <= 1 and not any(word.plain in slot.phrases.common for word in between)
    return near and following.chunk is Chunk.OCCUPATION and not slot.passage.pauses(part.last - 1)


def _name_after_place(parts: Sequence[Part]) -> Part | None:
    """The last two words of a long place: "our correspondent in moscow steve rosenberg" has no comma."""
    for before, part in pairwise(parts):
        long = part.last - part.first >= 3
        if part.chunk is Chunk.PLACE and before.chunk is Chunk.OCCUPATION and long:
            return Part(Chunk.NAME, part.last - 2, part.last)
    return None


def _affiliation(slot: Slot, parts: Sequence[Part], name: Part) -> Part | None:
    """The organisation: preferably "at …", then "of …", then "DW's …", then a bare name."""
    ranks = [(rank, part) for part in parts if (rank := _rank(slot, part, parts, name)) is not None]
    if not ranks:
        return None
    best = min(ranks, key=lambda ranked: ranked[0])[1]
    return best if slot.is_cased else _without_name(slot, best, name)


def _rank(slot: Slot, part: Part, parts: Sequence[Part], name: Part) -> int | None:
    """How surely a part names the person's organisation, 0 for most surely; None where it does not."""
    preposition = slot.words[max(part.first - 1, 0)].plain
    formal = slot.is_organisation(part.first, part.last)
    before = max((other.last for other in [*parts, name] if other.last <= part.first), default=slot.first)
    adjacent = part.first - before <= 2
    if part.chunk is Chunk.AT:
        return 0 if preposition == "at" or formal else (1 if adjacent else None)
    if part.chunk is Chunk.OF:
        heads = any(slot.words[other.first].plain in slot.phrases.heads_of for other in parts)
        return 2 if formal or heads else None
    if part.chunk is Chunk.OWNER:
        return 3
    own = any(word.plain not in slot.phrases.common for word in slot.words[part.first : part.last])
    return 4 if part.chunk is Chunk.ORGANISATION and adjacent and own else None


def _without_name(slot: Slot, part: Part, name: Part) -> Part | None:
    """Cuts off the person's name, which may follow without punctuation: "university of porto ines why do"."""
    own = plain_words(_written(slot.words[name.first : name.last]))
    last = part.last
    while last > part.first and slot.words[last - 1].plain in own:
        last -= 1
    return Part(part.chunk, part.first, last) if last > part.first else None


def _occupations(parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if part.chunk is Chunk.OCCUPATION]


def _role(slot: Slot, parts: Sequence[Part], name: Part) -> Role:
    """What the first occupation suggests; a broadcaster's own staff are reporters, "former" staff guests."""
    occupations = _occupations(parts)
    roles = [slot.phrases.occupation(slot.words[part.first].plain) for part in occupations]
    known = [role for role in roles if role is not None]
    owners = [part for part in parts if part.chunk is Chunk.OWNER and part.last <= name.first]
    house = any(slot.broadcaster(part.first) == part.last for part in owners)
    if house and all(slot.words[part.first].plain in slot.phrases.vague for part in occupations):
        return Role.CORRESPONDENT
    if known:
        lead = {word.plain for word in slot.words[slot.first : occupations[0].first]}
        return Role.ANALYST if lead & slot.phrases.former else known[0]
    return Role.UNKNOWN


def _written(words: Sequence[Word]) -> str:
    """The words as the text gives them, without the punctuation around them."""
    return join_words([word.bare for word in words])
