"""Speaker labels in the text, "ANCHOR:", "Jane Doe:", "JOHN ROE, BBC REPORTER:": a role, a name, or both.

A label names the speaker of the next spoken token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pipelines.roles.introductions import Person
from pipelines.roles.mentions import Kind, Mention
from pipelines.roles.passages import plain_form
from pipelines.roles.phrases import Phrases
from pipelines.text import join_words
from pipelines.types import AlignedToken, Attribution, Evidence, Role, TokenKind

LABEL_WEIGHT = 3.0
"""Log odds that a label names the speaker of the words after it."""
LABEL_WORDS = 4
"""Words in the longest name."""


@dataclass(frozen=True, slots=True)
class Label:
    """One label and the speaker whose words follow it."""

    text: str
    speaker: str
    start: float
    end: float

    @property
    def evidence(self) -> Evidence:
        return Evidence("role", self.text, self.start, self.end, "supplied")


def read_labels(tokens: Sequence[AlignedToken], attribution: Attribution) -> Iterator[Label]:
    """Every label that is followed by a spoken token; a label may be several tokens."""
    waiting: list[AlignedToken] = []
    for token, speaker in zip(tokens, attribution.speakers, strict=False):
        if token.token.kind is TokenKind.LABEL:
            waiting.append(token)
        elif speaker and waiting:
            text = join_words([label.token.text for label in waiting])
            yield Label(text, speaker, waiting[0].start, waiting[-1].end)
            waiting = []


def label_role(label: Label, phrases: Phrases) -> Role:
    """The role that the label states, UNKNOWN if none."""
    whole = _plain(label.text)
    stated = next((role for role, pattern in phrases.labels if pattern.fullmatch(whole)), None)
    if stated:
        return stated
    details = _plain(label.text.partition(",")[2])
    roles = [role for role, pattern in phrases.labels if pattern.search(details)]
    occupations = [role for word in details.split() if (role := phrases.occupation(word))]
    return next(iter([*roles, *occupations]), Role.UNKNOWN)


def label_mention(label: Label, phrases: Phrases) -> Mention | None:
    """The name in the label, unless it only states a role or names nobody."""
    name = label.text.partition(",")[0].partition("(")[0].strip(" :>-\t")
    plain = _plain(name)
    unnamed = [phrases.anonymous, *(pattern for _, pattern in phrases.labels)]
    if not plain or any(pattern.fullmatch(plain) for pattern in unnamed):
        return None
    if len(name.split()) > LABEL_WORDS or not all(word[0].isalpha() for word in plain.split()):
        return None
    person = Person(name, _broadcaster(label, phrases), label_role(label, phrases), 0, 0)
    toward = ((label.speaker, LABEL_WEIGHT),)
    return Mention(Kind.LABEL, person, "", toward, replace(label.evidence, supports="name"))


def _broadcaster(label: Label, phrases: Phrases) -> str:
    """The broadcaster after the name, as written; "" for none."""
    words = label.text.partition(",")[2].strip(" :").split()
    plain = [plain_form(word) for word in words]
    for first in range(len(words)):
        for last in range(len(words), first, -1):
            if phrases.broadcasters.fullmatch(" ".join(plain[first:last])):
                return " ".join(words[first:last]).strip(",")
    return ""


def _plain(text: str) -> str:
    return join_words([plain_form(word) for word in text.split()])
