"""The places where a broadcast names somebody, and the speakers that each place points at.

    "we can now speak to G Lan, who's …"   → the next speaker, more surely one who has not spoken yet
    "So Yuri, these talks …"               → the person addressed: the next speaker, or the one who just asked
    "Glam from Queen Mary … Thank you"     → the speaker before
    "I'm Anna Vale and this is …"          → the one who is speaking
    "JANE DOE:"                            → the one who is speaking

People who are merely talked about appear in none of these places and name no speaker.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from pipelines.roles.conversation import Conversation
from pipelines.roles.introductions import Person, read_people
from pipelines.roles.passages import Passage, plain_words
from pipelines.roles.phrases import Phrases
from pipelines.roles.slots import Slot
from pipelines.roles.turn_order import ASKING, answers
from pipelines.roles.vocatives import Call, find_calls
from pipelines.text import join_words
from pipelines.types import Evidence, Role, Span

THANKED_WORDS = 14
"""A name belongs to a "thank you" at most this many words after it."""
SIGN_OFF_WORDS = 8
SURE = 1.5
"""From this weight on, a mention makes a name known; elsewhere the same name may then be a call."""


class Kind(IntEnum):
    """Where a name stands; the lower the value, the better the spelling there."""

    LABEL = 0
    INTRODUCTION = 1
    SELF = 2
    SIGN_OFF = 3
    THANKS = 4
    VOCATIVE = 5


@dataclass(frozen=True, slots=True)
class Mention:
    """A person named in a place that points at speakers; weights are natural-log odds."""

    kind: Kind
    person: Person
    by: str  # who says it, "" for a label
    toward: tuple[tuple[str, float], ...]
    evidence: Evidence
    place: int = 0  # position among the people that one phrase introduces
    is_answer: bool = False  # said in answer to a question

    def supporting(self, decision: str) -> Evidence:
        """The quote as evidence for another decision: "role", "name" or "affiliation"."""
        return replace(self.evidence, supports=decision)

    @property
    def words(self) -> frozenset[str]:
        return plain_words(self.person.name)


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds the mentions of one conversation."""

    conversation: Conversation
    phrases: Phrases
    questions: Sequence[float]

    def mentions(self) -> list[Mention]:
        """Introductions, thanks and self-introductions, then the vocatives that they make known."""
        found: list[Mention] = []
        for passage in self.conversation.passages:
            found += self._introductions(passage)
            found += self._reports(passage)
            found += self._thanks(passage)
            found += self._selves(passage)
        found = _distinct(found)
        return _distinct(found + self._vocatives(found))

    def _slot(self, passage: Passage, first: int, limit: int | None = None) -> Slot:
        end = len(passage.words) if limit is None else limit
        return Slot(passage, self.phrases, first, end)

    def _mention(
        self,
        kind: Kind,
        person: Person,
        passage: Passage,
        first: int,
        toward: Sequence[tuple[int | None, float]],
        place: int = 0,
        last: int = 0,
    ) -> Mention:
        """A mention whose quote covers words [first, last) and the person's own words."""
        first, last = min(first, person.first), max(first + 1, person.last, last)
        turns = self.conversation.turns
        return Mention(
            kind,
            person,
            passage.speaker,
            tuple((turns[turn].speaker, weight) for turn, weight in toward if turn is not None),
            passage.evidence("name", first, last),
            place,
            is_answer=answers(self.questions, passage.turn),
        )

    def _introductions(self, passage: Passage) -> Iterator[Mention]:
        for first, last in passage.find(self.phrases.introduction):
            if self._is_later(passage, first) or self._is_quoted(passage, first):
                continue
            for reading, begin, start in self._readings(passage, first, last):
                yield from self._introduced(reading, begin, start)

    def _introduced(self, passage: Passage, first: int, start: int) -> Iterator[Mention]:
        slot = self._slot(passage, start)
        people = read_people(slot)
        for place, person in enumerate(people):
            weight = introduction_weight(person, slot.is_cased)
            toward = self._next_speakers(passage.turn, weight, place, len(people))
            yield self._mention(Kind.INTRODUCTION, person, passage, first, toward, place)

    def _readings(self, passage: Passage, first: int, last: int) -> list[tuple[Passage, int, int]]:
        """The phrase in words [first, last) and the start of the slot after it, in both readings.

        A phrase may be found among the recognised words only, but names are spelt better in the text.
        """
        text = self.conversation.texts[passage.turn]
        places = [word.place for word in passage.words[last : last + 2] if word.is_written]
        if passage is text or not places:
            return [(passage, first, last)]
        begin = min((word.place for word in passage.words[first:last] if word.is_written), default=places[0])
        return [(text, begin, places[0]), (passage, first, last)]

    def _reports(self, passage: Passage) -> Iterator[Mention]:
        """Introductions whose name precedes the phrase: "Our correspondent Jane Doe has this report"."""
        described = [(first, last, True) for first, last in passage.find(self.phrases.report)]
        joined = [(first, last, False) for first, last in passage.find(self.phrases.joins)]
        for first, last, needs_description in [*described, *joined]:
            start = self._phrase_start(passage, first)
            slot = self._slot(passage, start, first)
            for person in read_people(slot)[:1]:
                if first - person.last <= 2 and (
                    person.is_described or (slot.is_cased and not needs_description)
                ):
                    weight = introduction_weight(person, slot.is_cased)
                    toward = self._next_speakers(passage.turn, weight, 0, 1)
                    yield self._mention(Kind.INTRODUCTION, person, passage, start, toward, last=last)

    def _next_speakers(
        self, turn: int, weight: float, place: int, people: int
    ) -> list[tuple[int | None, float]]:
        """The first turns and weights of the speakers that an introduction may point at.

        One person is the next speaker. Of several, the first is more likely the next new speaker, the second
        the one after, and so on. An introduction counts less in an answer, or if that speaker is not new.
        """
        if answers(self.questions, turn):
            weight *= 0.3
        following = self.conversation.speaker_after(turn)
        if people == 1 or following is None:
            return [(following, weight if self._is_new(following, turn) else 0.3 * weight)]
        firsts: dict[str, int] = {}
        for index, later in enumerate(self.conversation.turns[turn + 1 :], start=turn + 1):
            firsts.setdefault(later.speaker, index)
        new = [first for first in firsts.values() if self._is_new(first, turn)]
        return [(first, weight * (0.7 if at == place else 0.3)) for at, first in enumerate(new[:people])]

    def _is_new(self, turn: int | None, now: int) -> bool:
        """Whether the speaker of `turn` is new: has said next to nothing up to the end of turn `now`."""
        if turn is None:
            return False
        speaker, texts = self.conversation.turns[turn].speaker, self.conversation.texts
        return sum(len(text.words) for text in texts[: now + 1] if text.speaker == speaker) < 6

    def _is_later(self, passage: Passage, first: int) -> bool:
        start = max(0, first - 6)
        for index in range(start, first):
            if passage.stops(index):
                start = index + 1
        ahead = join_words([word.plain for word in passage.words[start : first + 4]])
        return self.phrases.later.search(ahead) is not None

    def _is_quoted(self, passage: Passage, first: int) -> bool:
        """Whether these are somebody else's words: in quotation marks, or after "they said"."""
        if passage.words[first].text[:1] in "\"“«„'‘":
            return True
        before = passage.words[max(0, first - 2) : first]
        return self.phrases.quoting.search(join_words([word.plain for word in before])) is not None

    def _clause_start(self, passage: Passage, last: int) -> int:
        start = last
        while start > max(0, last - THANKED_WORDS) and not passage.stops(start - 1):
            start -= 1
        return start

    def _phrase_start(self, passage: Passage, last: int) -> int:
        """Where "our correspondent …" or "DW's …" begins in this clause, or else where the clause begins."""
        start = self._clause_start(passage, last)
        for index in range(last - 2, start, -1):
            word = passage.words[index]
            if word.plain in self.phrases.articles or word.is_possessive:
                return index
        return start

    def _thanks(self, passage: Passage) -> Iterator[Mention]:
        """Names on either side of "thank you": "DW's Yuri, many thanks", "Thank you, Jane"."""
        before = self.conversation.speaker_before(passage.turn)
        thanks = [(first, last, max(first - 1, 0)) for first, last in passage.find(self.phrases.thanks)]
        farewells = [(first, last, first) for first, last in passage.find(self.phrases.farewell)]
        for first, last, clause in [*thanks, *farewells]:
            if person := self._bare_person(passage, self._clause_start(passage, clause), first):
                toward = [(before, thanks_weight(person))]
                yield self._mention(Kind.THANKS, person, passage, person.first, toward, last=last)

    def _bare_person(self, passage: Passage, start: int, limit: int) -> Person | None:
        """The person in words [start, limit), if these words do nothing but name somebody."""
        idle = self.phrases.discourse | self.phrases.articles | self.phrases.idle
        while start < limit and passage.words[start].plain in idle:
            start += 1
        slot = self._slot(passage, start, limit)
        people = read_people(slot)
        if len(people) != 1 or people[0].first != start:
            return None
        rest = [word.plain for word in passage.words[people[0].last : limit]]
        certain = people[0].is_described or slot.is_cased
        return people[0] if certain and all(word in idle for word in rest) else None

    def _selves(self, passage: Passage) -> Iterator[Mention]:
        for first, last in passage.find(self.phrases.myself):
            person = self._own_name(passage, last)
            if person and not self._is_quoted(passage, first):
                weight = 3.0 if passage.is_cased else 2.0
                yield self._mention(Kind.SELF, person, passage, first, [(passage.turn, weight)])
        yield from self._sign_off(passage)

    def _own_name(self, passage: Passage, first: int) -> Person | None:
        """A name of at least two words right here, unless what follows makes it part of a statement."""
        slot = self._slot(passage, first)
        end = slot.run(first) if first < len(passage.words) else first
        people = read_people(slot) if end - first >= 2 else []
        if not people or people[0].first != first or passage.words[end - 1].is_possessive:
            return None
        following = passage.words[end].plain if end < len(passage.words) else ""
        settled = following in self.phrases.after_own_name or (
            passage.is_cased and (passage.pauses(end - 1) or not following)
        )
        return people[0] if settled else None

    def _sign_off(self, passage: Passage) -> Iterator[Mention]:
        """The speaker's own name at the end of a turn: "Jane Doe, BBC News", "Jane Doe reporting"."""
        signs = (self.phrases.broadcasters, self.phrases.sign_off)
        for first in range(max(0, len(passage.words) - SIGN_OFF_WORDS), len(passage.words) - 2):
            slot = self._slot(passage, first)
            end = slot.run(first)
            begins = first == 0 or not passage.is_cased or passage.stops(first - 1)
            signed = begins and any(passage.matches(end, sign) for sign in signs)
            people = read_people(slot) if signed and 2 <= end - first <= 3 else []
            if people:
                yield self._mention(Kind.SIGN_OFF, people[0], passage, first, [(passage.turn, 3.0)])
                return

    def _vocatives(self, found: Sequence[Mention]) -> list[Mention]:
        """Names by which people are addressed; an unknown name counts unless it is also talked about."""
        known = frozenset(
            word
            for mention in found
            for word in mention.words
            if len(word) > 2 and any(weight >= SURE for _, weight in mention.toward)
        )
        calls = [
            call
            for passage in self.conversation.passages
            for call in find_calls(passage, self.phrases, known)
        ]
        talked_about = self._talked_about(calls)
        spans: dict[str, list[Span]] = defaultdict(list)
        for mention in sorted(found, key=lambda mention: mention.evidence.start):
            spans[mention.by].append(Span(mention.evidence.start, mention.evidence.end))
        return [
            self._mention(Kind.VOCATIVE, call.person, call.passage, call.first, self._spoken_to(call))
            for call in calls
            if (call.is_known or not plain_words(call.person.name) & talked_about)
            and not _is_quoted_in(spans[call.passage.speaker], call)
        ]

    def _talked_about(self, calls: Sequence[Call]) -> set[str]:
        """Names that occur more often elsewhere than in calls; with a single call, any other occurrence."""
        called = Counter(word for call in calls for word in plain_words(call.person.name))
        written = Counter(word.plain for passage in self.conversation.passages for word in passage.words)
        return {word for word, count in called.items() if written[word] > (1 if count == 1 else 2 * count)}

    def _spoken_to(self, call: Call) -> list[tuple[int | None, float]]:
        """The turns a call points at: thanks and answers the one before, a question the next, others both."""
        weight, turn, conversation = call.weight, call.passage.turn, self.conversation
        before, after = conversation.speaker_before(turn), conversation.speaker_after(turn)
        if call.is_thanks or answers(self.questions, turn):
            return [(before, weight)]
        if self.questions[turn] >= ASKING:
            return [(after, weight)]
        return [(before, 0.5 * weight), (after, 0.5 * weight)]


def _distinct(mentions: Sequence[Mention]) -> list[Mention]:
    """Of overlapping mentions, found in both readings, the one that says most."""
    best: dict[tuple[Kind, str, int], list[Mention]] = defaultdict(list)
    for mention in sorted(mentions, key=lambda mention: mention.evidence.start):
        kept = best[mention.kind, mention.by, mention.place]
        if not kept or mention.evidence.start >= kept[-1].evidence.end:
            kept.append(mention)
        elif _says(mention) > _says(kept[-1]):
            kept[-1] = mention
    return [mention for kept in best.values() for mention in kept]


def _says(mention: Mention) -> tuple[bool, bool, int]:
    person = mention.person
    return person.role is not Role.UNKNOWN, bool(person.affiliation), len(mention.words)


def _is_quoted_in(spans: Sequence[Span], call: Call) -> bool:
    """Whether the call lies inside one of `spans`, the introductions, thanks and so on, ordered by start."""
    start = call.passage.words[call.person.first].start
    at = bisect_right(spans, start, key=lambda span: span.start)
    return any(start < span.end for span in spans[max(at - 3, 0) : at])


def introduction_weight(person: Person, is_cased: bool) -> float:
    """How surely the words after an introducing phrase name somebody: "Jane Doe, professor at …" surely,
    a single bare word ("turn to Ukraine") hardly."""
    single = len(person.name.split()) == 1
    described, bare = (2.0, 0.8) if single else (3.0, 2.2)
    weight = described if person.is_described else bare
    return weight if is_cased else 0.7 * weight


def thanks_weight(person: Person) -> float:
    """How surely the words beside "thank you" name the person thanked."""
    return 2.0 if person.is_described or len(person.name.split()) > 1 else 1.4
