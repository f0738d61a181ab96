"""What is said by each voice, to it and about it: the words that tell roles apart.

anchor         "Welcome to DW. Thank you so much for your time."   → hosts; the next voice is a guest
anchor         "Let's take a look at …"                            → hosts; the next voice reads a report
correspondent  "Well, Anna, people here in Riga …"                 → speaks as a reporter
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.roles.conversation import Conversation
from pipelines.roles.introductions import Person
from pipelines.roles.labels import Label, label_role
from pipelines.roles.mentions import Kind, Mention
from pipelines.roles.passages import Passage
from pipelines.roles.phrases import Phrases
from pipelines.roles.turn_order import ASKING, Cue, answers
from pipelines.types import Role

OPENING_WORDS = 25
"""A welcome in the first words of a recording is for the audience."""
HANDOVER_WORDS = 40
"""A report is announced in the last words of a turn."""
LEAST_WORDS = 30
"""Nobody's way of speaking is judged from fewer words."""
CONVERSATIONAL_SHARE = 0.02
"""This share of "I", "you", "um" is no reading aloud."""

OWN = {Kind.SELF: "names_itself", Kind.SIGN_OFF: "signs_off"}
INTRODUCED = {Role.CORRESPONDENT: "introduced_reporter", Role.ANALYST: "introduced_expert"}


@dataclass(frozen=True, slots=True)
class Remarks:
    """The remarks of one conversation."""

    conversation: Conversation
    phrases: Phrases
    questions: Sequence[float]

    def cues(self) -> list[Cue]:
        """All remarks, each once, whether it was found as written or as heard."""
        cues: list[Cue] = []
        for passage in self.conversation.passages:
            cues += self._own(passage)
            cues += self._to_guests(passage)
            cues += self._to_next(passage)
        for passage in self.conversation.texts:
            cues += self._conversational(passage)
        return _distinct(cues)

    def _own(self, passage: Passage) -> Iterator[Cue]:
        hosting = 0.2 if answers(self.questions, passage.turn) else 0.7
        yield from self._found(passage, self.phrases.hosting, "hosts", hosting)
        yield from self._found(passage, self.phrases.of_reporter, "speaks_as_reporter", 0.7)
        yield from self._found(passage, self.phrases.of_expert, "speaks_as_expert", 1.0)

    def _to_guests(self, passage: Passage) -> Iterator[Cue]:
        """Welcomed before they speak, thanked after; who answers is in no place to do either."""
        if answers(self.questions, passage.turn):
            return
        after = self.conversation.voice_after(passage.turn)
        before = self.conversation.voice_before(passage.turn)
        welcomes = after is not None and self.conversation.is_first_appearance(after)
        for cue in self._found(passage, self.phrases.to_guest, "hosts", 0.5):
            yield cue
            guest = after if welcomes else before
            if guest is not None and not self._is_opening(passage, cue):
                yield Cue(self._speaker(guest), "guest", 1.0, cue.evidence)

    def _to_next(self, passage: Passage) -> Iterator[Cue]:
        following = self.conversation.voice_after(passage.turn)
        if following is None:
            return
        speaker = self._speaker(following)
        late = len(passage.words) - HANDOVER_WORDS
        if self.questions[passage.turn] < ASKING:
            yield from self._found(passage, self.phrases.to_report, "handed_report", 1.0, speaker, late)
        elif not answers(self.questions, passage.turn):
            yield from self._found(passage, self.phrases.to_reporter, "asked_as_reporter", 1.0, speaker)

    def _conversational(self, passage: Passage) -> Iterator[Cue]:
        words = len(passage.words)
        found = list(passage.find(self.phrases.conversational))
        if words >= LEAST_WORDS and len(found) >= CONVERSATIONAL_SHARE * words:
            yield Cue(passage.speaker, "converses", 1.0, passage.evidence("role", *found[0]))

    def _found(
        self,
        passage: Passage,
        pattern: re.Pattern[str],
        kind: str,
        amount: float,
        speaker: str = "",
        late: int = 0,
    ) -> Iterator[Cue]:
        """A cue for each match from word `late` on, for who speaks unless for another `speaker`."""
        for first, last in passage.find(pattern):
            if first >= late:
                yield Cue(speaker or passage.speaker, kind, amount, passage.evidence("role", first, last))

    def _speaker(self, turn: int) -> str:
        return self.conversation.turns[turn].speaker

    def _is_opening(self, passage: Passage, cue: Cue) -> bool:
        if passage.turn or len(passage.words) <= OPENING_WORDS:
            return False
        return cue.evidence.start < passage.words[OPENING_WORDS].start


def _distinct(cues: Sequence[Cue]) -> list[Cue]:
    """Without cues of one kind about one voice that overlap in time."""
    kept: list[Cue] = []
    ends: dict[tuple[str, str], float] = {}
    for cue in sorted(cues, key=lambda cue: cue.evidence.start):
        key = cue.speaker, cue.kind
        if cue.evidence.start >= ends.get(key, 0.0):
            kept.append(cue)
            ends[key] = cue.evidence.end
    return kept


def mention_cues(mentions: Sequence[Mention]) -> Iterator[Cue]:
    """What introductions, calls and sign-offs say about the roles of who makes and who gets them."""
    for mention in mentions:
        evidence = mention.supporting("role")
        if mention.kind in OWN:
            yield Cue(mention.by, OWN[mention.kind], 1.0, evidence)
        if mention.kind is Kind.VOCATIVE and mention.is_answer:
            yield Cue(mention.by, "calls_by_name", 1.0, evidence)
        for voice, weight in mention.toward:
            introduced = _introduced_as(mention.person)
            if introduced and mention.kind in (Kind.INTRODUCTION, Kind.THANKS):
                yield Cue(voice, introduced, min(1.0, weight / 3.0), evidence)
            if mention.kind is Kind.INTRODUCTION:
                yield Cue(mention.by, "introduces", min(1.0, weight / 3.0), evidence)


def _introduced_as(person: Person) -> str:
    """The kind of cue; who only belongs somewhere is a guest, and a name alone says nothing."""
    return INTRODUCED.get(person.role, "introduced_guest" if person.affiliation else "")


def label_cues(labels: Sequence[Label], phrases: Phrases) -> Iterator[Cue]:
    """The roles that labels state."""
    for label in labels:
        role = label_role(label, phrases)
        if role is not Role.UNKNOWN:
            yield Cue(label.voice, f"labelled_{role.value}", 0.6, label.evidence)
