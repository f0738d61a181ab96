from __future__ import annotations

import pytest

from pipelines.roles.labels import Label, label_mention, label_role, read_labels
from pipelines.roles.phrases import ENGLISH
from pipelines.types import Role
from tests.support.scripts import interview


def label(text: str) -> Label:
    return Label(text, "A", 1.0, 1.0)


@pytest.mark.parametrize(
    ("text", "role", "name", "affiliation"),
    [
        ("ANCHOR:", Role.ANCHOR, "", ""),
        ("Q:", Role.ANCHOR, "", ""),
        ("Voice-over:", Role.NARRATOR, "", ""),
        ("Jane Doe:", Role.UNKNOWN, "Jane Doe", ""),
        ("JANE DOE, BBC NEWS CORRESPONDENT:", Role.CORRESPONDENT, "JANE DOE", "BBC NEWS"),
        ("Jane Doe, professor:", Role.ANALYST, "Jane Doe", ""),
        ("Jane Doe (voice-over):", Role.UNKNOWN, "Jane Doe", ""),
        ("SPEAKER 1:", Role.UNKNOWN, "", ""),
        ("Unidentified man:", Role.UNKNOWN, "", ""),
        ("What I have to say to all of you is this:", Role.UNKNOWN, "", ""),
        (":", Role.UNKNOWN, "", ""),
    ],
)
def test_what_a_label_says(text: str, role: Role, name: str, affiliation: str) -> None:
    mention = label_mention(label(text), ENGLISH)
    assert label_role(label(text), ENGLISH) is role
    assert (mention.person.name if mention else "") == name
    assert (mention.person.affiliation if mention else "") == affiliation


def test_a_label_belongs_to_the_voice_that_speaks_next() -> None:
    made = interview("A: Hello. {READ MORE} [B BE:]\nB: Yes. [A:] {ALSO}\nA: Good.")
    found = list(read_labels(made.tokens, made.attribution))
    assert [(each.text, each.speaker) for each in found] == [("B BE:", "B"), ("A:", "A")]
