"""Which voices the places that name somebody point at, and what names come of it."""

from __future__ import annotations

import pytest

from pipelines.roles.conversation import read_conversation
from pipelines.roles.mentions import Finder, Kind, Mention
from pipelines.roles.naming import gather, name_speakers
from pipelines.roles.phrases import ENGLISH
from pipelines.roles.turn_order import question_strengths
from tests.support.scripts import interview


def mentions(script: str) -> list[Mention]:
    made = interview(script)
    conversation = read_conversation(made.turns, made.tokens, made.heard)
    return Finder(conversation, ENGLISH, question_strengths(conversation, ENGLISH)).mentions()


def names(script: str) -> dict[str, str]:
    return {voice: naming.name for voice, naming in name_speakers(mentions(script)).items()}


FILL = "the river rose again and nobody on the coast had seen so much water before"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (f"A: We can now speak to Jane Doe, a lawyer. Why?\nB: {FILL}.", {"B": "Jane Doe"}),
        (f"A: {FILL}. I'm joined by Jane Doe.\nB: {FILL}.", {"B": "Jane Doe"}),
        (f"A: Our reporter Jane Doe has the story.\nB: {FILL}.", {"B": "Jane Doe"}),
        (f"A: Jane Doe joins us from Rome.\nB: {FILL}.", {"B": "Jane Doe"}),
        (f"A: Why?\nB: {FILL}.\nA: Jane Doe in Rome, many thanks.", {"B": "Jane Doe"}),
        (f"A: Why?\nB: {FILL}.\nA: Thank you, Jane.", {"B": "Jane"}),
        (f"A: Why?\nB: Well, Anna, {FILL}.", {"A": "Anna"}),
        (f"A: Hello, I'm Anna Vale. {FILL}.\nB: {FILL}.", {"A": "Anna Vale"}),
        (f"A: And now this.\nB: {FILL}. Jane Doe, BBC News, Rome.", {"B": "Jane Doe"}),
        (f"A: {FILL}.\nB: {FILL}. Jane Doe reporting.", {"B": "Jane Doe"}),
    ],
)
def test_a_voice_gets_its_name(script: str, expected: dict[str, str]) -> None:
    assert names(script) == expected


@pytest.mark.parametrize(
    "script",
    [
        f"A: Marco Rubio is meeting Sergey Lavrov. Why?\nB: Well, Putin wants that. Rubio does too. {FILL}.",
        f"A: Later we will speak to Jane Doe, a lawyer.\nB: {FILL}.",
        f"A: Let's turn to Ukraine. Why?\nB: {FILL}.",
        f"A: Why?\nB: They said: we can now speak to Jane Doe, a lawyer. {FILL}.\nA: {FILL}.",
        f"A: This is Marco Rubio's first visit. I'm Donald Trump's biggest fan.\nB: {FILL}.",
        f"A: Who went?\nB: Germany, France, Italy, Spain, {FILL}.\nA: I see.",
        f"A: Why?\nB: Well, Germany, of course. {FILL}. And Germany knows it, Germany always did.",
        f"A: Thank you. President Trump spoke to reporters. {FILL}.\nB: {FILL}.",
    ],
)
def test_people_who_are_talked_about_name_nobody(script: str) -> None:
    assert names(script) == {}


def test_nobody_is_named_by_their_own_words_about_another() -> None:
    script = f"A: I'm joined by Jane Doe. Jane, why?\nB: {FILL}.\nA: Jane Doe, thank you."
    assert names(script) == {"B": "Jane Doe"}


def test_two_guests_are_told_apart_by_how_they_are_called() -> None:
    script = f"""
A: Joining me are Jane Doe and John Roe. John, let me start with you. Why?
B: {FILL}.
A: Jane, do you agree?
C: {FILL}.
"""
    assert names(script) == {"B": "John Roe", "C": "Jane Doe"}


def test_a_mangled_name_and_a_first_name_are_the_same_person() -> None:
    found = mentions(f"""
A: We can now speak to G Lan, who's a lecturer at York University. Why?
B: {FILL}.
A: Glam from York University. Thank you so much for your time.
""")
    assert [[mention.person.name for mention in person] for person in gather(found)] == [["G Lan", "Glam"]]


def test_the_introduction_of_a_voice_that_has_long_spoken_counts_little() -> None:
    known = mentions(f"B: {FILL}.\nA: I'm joined by Jane Doe, a lawyer.\nB: {FILL}.")
    new = mentions(f"C: {FILL}.\nA: I'm joined by Jane Doe, a lawyer.\nB: {FILL}.")
    weight = {name: found[0].toward[0][1] for name, found in (("known", known), ("new", new))}
    assert weight["known"] < 0.5 * weight["new"]


def test_a_mention_is_found_once_though_it_is_read_twice() -> None:
    found = mentions(f"A: I'm joined by Jane Doe, a lawyer. Jane, why?\nB: {FILL}.")
    assert [mention.kind for mention in found] == [Kind.INTRODUCTION, Kind.VOCATIVE]
