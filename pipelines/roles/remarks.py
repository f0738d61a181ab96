"""What is said by, to and about each speaker: the words that reveal roles.

anchor         "Welcome to DW. Thank you so much for your time."   → hosts; the next speaker is a guest
anchor         "Let's take a look at …"                            → hosts; the next speaker reads a report
correspondent  "Well, Anna, people here in Riga …"                 → speaks as a reporter
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.roles.conversation import Conversation
from pipelines.roles.labels import Label, label_role
from pipelines.roles.mentions import Kind, Mention
from pipelines.roles.passages import Passage
from pipelines.roles.phrases import Phrases
from pipelines.roles.turn_order import ASKING, Clue, answers
from pipelines.types import Role

OPENING_WORDS = 25
"""A welcome in the first words of a recording is addressed to the audience."""
HANDOVER_WORDS = 40
"""A report is announced in the last words of a turn."""
LEAST_WORDS = 30
"""A way of speaking is not judged from fewer words."""
CONVERSATIONAL_SHARE = 0.02
"""With this share of "I", "you" and "um", nobody is reading aloud."""

OWN = {Kind.SELF: "names_itself", Kind.SIGN_OFF: "signs_off"}
INTRODUCED = {Role.CORRESPONDENT: "introduced_reporter", Role.ANALYST: "introduced_expert"}


@dataclass(frozen=True, slots=True)
class Remarks:
    """The remarks of one conversation."""

    conversation: Conversation
    phrases: Phrases
    questions: Sequence[float]

    def clues(self) -> list[Clue]:
        """All remarks, each only once, even if both readings have it."""
        clues: list[Clue] = []
        for passage in self.conversation.passages:
            clues += self._own(passage)
            clues += self._to_guests(passage)
            clues += self._to_next(passage)
        for passage in self.conversation.texts:
            clues += self._conversational(passage)
        return _distinct(clues)

    def _own(self, passage: Passage) -> Iterator[Clue]:
        hosting = 0.2 if answers(self.questions, passage.turn) else 0.7
        yield from self._found(passage, self.phrases.hosting, "hosts", hosting)
        yield from self._found(passage, self.phrases.of_reporter, "speaks_as_reporter", 0.7)
        yield from self._found(passage, self.phrases.of_expert, "speaks_as_expert", 1.0)

    def _to_guests(self, passage: Passage) -> Iterator[Clue]:
        """Guests are welcomed before they speak and thanked afterwards, but not in an answer."""
        if answers(self.questions, passage.turn):
            return
        after = self.conversation.speaker_after(passage.turn)
        before = self.conversation.speaker_before(passage.turn)
        welcomes = after is not None and self.conversation.is_first_appearance(after)
        guest = after if welcomes else before
        later = () if passage.turn else passage.words[OPENING_WORDS:]
        for clue in self._found(passage, self.phrases.to_guest, "hosts", 0.5):
            yield clue
            if guest is not None and not (later and clue.evidence.start < later[0].start):
                yield Clue(self._speaker(guest), "guest", 1.0, clue.evidence)

    def _to_next(self, passage: Passage) -> Iterator[Clue]:
        following = self.conversation.speaker_after(passage.turn)
        if following is None:
            return
        speaker = self._speaker(following)
        late = len(passage.words) - HANDOVER_WORDS
        if self.questions[passage.turn] < ASKING:
            yield from self._found(passage, self.phrases.to_report, "handed_report", 1.0, speaker, late)
        elif not answers(self.questions, passage.turn):
            yield from self._found(passage, self.phrases.to_reporter, "asked_as_reporter", 1.0, speaker)

    def _conversational(self, passage: Passage) -> Iterator[Clue]:
        words = len(passage.words)
        found = list(passage.find(self.phrases.conversational))
        if words >= LEAST_WORDS and len(found) >= CONVERSATIONAL_SHARE * words:
            yield Clue(passage.speaker, "converses", 1.0, passage.evidence("role", *found[0]))

    def _found(
        self,
        passage: Passage,
        pattern: re.Pattern[str],
        kind: str,
        amount: float,
        speaker: str = "",
        late: int = 0,
    ) -> Iterator[Clue]:
        """A clue for each match from word `late` on: about `speaker`, or about whoever says it."""
        for first, last in passage.find(pattern):
            if first >= late:
                yield Clue(speaker or passage.speaker, kind, amount, passage.evidence("role", first, last))

    def _speaker(self, turn: int) -> str:
        return self.conversation.turns[turn].speaker


def _distinct(clues: Sequence[Clue]) -> list[Clue]:
    """The clues, with only the first of those of one kind about one speaker that overlap in time."""
    kept: list[Clue] = []
    ends: dict[tuple[str, str], float] = {}
    for clue in sorted(clues, key=lambda clue: clue.evidence.start):
        key = clue.speaker, clue.kind
        if clue.evidence.start >= ends.get(key, 0.0):
            kept.append(clue)
            ends[key] = clue.evidence.end
    return kept


def mention_clues(mentions: Sequence[Mention]) -> Iterator[Clue]:
    """What introductions, calls and sign-offs say about the roles of those who speak and are spoken of."""
    for mention in mentions:
        person, evidence = mention.person, mention.supporting("role")
        # a mere affiliation makes a guest, and a name alone says nothing
        introduced = INTRODUCED.get(person.role, "introduced_guest" if person.affiliation else "")
        if mention.kind in OWN:
            yield Clue(mention.by, OWN[mention.kind], 1.0, evidence)
        if mention.kind is Kind.VOCATIVE and mention.is_answer:
            yield Clue(mention.by, "calls_by_name", 1.0, evidence)
        for speaker, weight in mention.toward:
            if introduced and mention.kind in (Kind.INTRODUCTION, Kind.THANKS):
                yield Clue(speaker, introduced, min(1.0, weight / 3.0), evidence)
            if mention.kind is Kind.INTRODUCTION:
                yield Clue(mention.by, "introduces", min(1.0, weight / 3.0), evidence)


def label_clues(labels: Sequence[Label], phrases: Phrases) -> Iterator[Clue]:
    """The roles that labels state."""
    for label in labels:
        role = label_role(label, phrases)
        if role is not Role.UNKNOWN:
            yield Clue(label.speaker, f"labelled_{role.value}", 0.6, label.evidence)
