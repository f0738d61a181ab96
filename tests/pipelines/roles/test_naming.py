from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.roles.introductions import Person
from pipelines.roles.mentions import Kind, Mention
from pipelines.roles.naming import MOST, NO_NAME, gather, name_speakers
from pipelines.roles.roles import assign_roles
from pipelines.types import Evidence, Role
from tests.support.scripts import interview


def mention(name: str, toward: dict[str, float], *, by: str = "X", kind: Kind = Kind.INTRODUCTION) -> Mention:
    person = Person(name, "", Role.UNKNOWN, 0, 1)
    return Mention(kind, person, by, tuple(toward.items()), Evidence("name", name, 0.0, 1.0, "supplied"))


def test_a_weak_pointer_names_nobody() -> None:
    assert name_speakers([mention("Jane Doe", {"A": 0.9})]) == {}
    assert name_speakers([mention("Jane Doe", {"A": 1.1})])["A"].name == "Jane Doe"


def test_pointers_add_up() -> None:
    named = name_speakers([mention("Jane Doe", {"A": 0.8}), mention("Jane", {"A": 0.8}, kind=Kind.VOCATIVE)])
    assert named["A"].name == "Jane Doe"
    assert named["A"].confidence == pytest.approx(1 / (1 + exp(NO_NAME - 1.6)))


def test_a_person_has_one_voice_and_a_voice_one_name() -> None:
    named = name_speakers(
        [mention("Jane Doe", {"A": 3.0, "B": 2.0}), mention("John Roe", {"A": 2.0, "B": 3.0})]
    )
    assert {voice: naming.name for voice, naming in named.items()} == {"A": "Jane Doe", "B": "John Roe"}


def test_who_speaks_of_somebody_is_somebody_else() -> None:
    assert name_speakers([mention("Jane Doe", {"A": 3.0}, by="A")]) == {}
    assert name_speakers([mention("Jane Doe", {"A": 3.0}, by="A", kind=Kind.SELF)])["A"].name == "Jane Doe"


def test_the_longer_name_is_given() -> None:
    found = [mention("Yuri", {"A": 3.0}), mention("Yuri Retta", {"A": 2.0}, kind=Kind.THANKS)]
    assert name_speakers(found)["A"].name == "Yuri Retta"


@pytest.mark.parametrize("names", [("John Smith", "Jane Smith"), ("Anna Meier", "Hanna Maier")])
def test_two_people_with_names_much_alike_keep_them(names: tuple[str, str]) -> None:
    script = f"""
A: Good evening. Joining me now are {names[0]}, professor of law at the University of York, and {names[1]},
director of the Harbour Museum. {names[0]}, can this ceasefire hold?
B: I doubt it. Both sides have used the last one to rearm, and I see no reason why it should be different now.
A: {names[1]}, do you agree?
C: Not entirely. When I was there I saw how tired people were. There is a real wish for peace.
A: {names[0]}, {names[1]}, thank you both for joining us.
"""
    made = interview(script)
    speakers = assign_roles(made.turns, made.tokens, made.heard, made.attribution)
    assert [speaker.name for speaker in speakers if speaker.id in "BC"] == list(names)


def test_names_of_one_list_are_two_people_though_only_one_of_them_speaks() -> None:
    first, second = mention("Anna Meier", {"B": 2.1}), mention("Hanna Maier", {"B": 0.9})
    assert len(gather([first, replace(second, place=1)])) == 2
    assert len(gather([first, second])) == 1


def test_names_much_alike_are_two_people_where_they_mean_different_voices() -> None:
    first = mention("Anna Meier", {"B": 2.1, "C": 0.9})
    assert len(gather([first, mention("Hanna Maier", {"B": 0.9, "C": 2.1})])) == 2
    assert len(gather([first, mention("Hanna Maier", {"A": 0.9, "B": 0.9}, kind=Kind.VOCATIVE)])) == 1


@given(st.lists(st.lists(st.floats(0.1, 6), min_size=3, max_size=3), min_size=1, max_size=4))
def test_confidence_is_the_posterior_over_all_ways_to_name_the_voices(table: list[list[float]]) -> None:
    names = ["Ada Bell", "Corin Dex", "Emil Fox", "Gus Holt"][: len(table)]
    found = [
        mention(name, dict(zip("ABC", row, strict=True))) for name, row in zip(names, table, strict=True)
    ]
    total, each = 0.0, dict.fromkeys(product("ABC", names), 0.0)
    for choice in product("ABC-", repeat=len(table)):
        given_voices = [voice for voice in choice if voice != "-"]
        if len(set(given_voices)) < len(given_voices):
            continue
        pairs = [
            (row["ABC".index(voice)], voice) for row, voice in zip(table, choice, strict=True) if voice != "-"
        ]
        weight = exp(sum(min(score, MOST) - NO_NAME for score, _ in pairs))
        total += weight
        for name, voice in zip(names, choice, strict=True):
            if voice != "-":
                each[voice, name] += weight
    named = name_speakers(found)
    for (voice, name), weight in each.items():
        if weight > 0.501 * total:
            assert named[voice].name == name
            assert named[voice].confidence == pytest.approx(weight / total)
