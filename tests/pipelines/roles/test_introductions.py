from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.roles.introductions import Person, read_people
from pipelines.roles.passages import Passage, Word, make_passage, plain_form
from pipelines.roles.phrases import ENGLISH
from pipelines.roles.slots import Slot
from pipelines.types import Role


def read(text: str, *, is_cased: bool = True) -> list[Person]:
    passage = passage_of(text, is_cased=is_cased)
    return read_people(Slot(passage, ENGLISH, 0, len(passage.words)))


def passage_of(text: str, *, is_cased: bool = True) -> Passage:
    words = [
        Word(word, plain_form(word), float(index), index + 1.0, index)
        for index, word in enumerate(text.split())
        if plain_form(word)
    ]
    return make_passage(0, "A", "supplied", words, words, is_cased=is_cased)


@pytest.mark.parametrize(
    ("slot", "name", "affiliation", "role"),
    [
        ("Jane Doe.", "Jane Doe", "", Role.UNKNOWN),
        (
            "G Lan who’s a lecturer in US foreign policy at Queen Mary University in London welcome to to DW",
            "G Lan",
            "Queen Mary University in London",
            Role.ANALYST,
        ),
        ("DW’s Ria bureau chief,, Yuri Retta. Yuri and his team", "Yuri Retta", "DW", Role.CORRESPONDENT),
        ("our Moscow correspondent Ann Poe.", "Ann Poe", "", Role.CORRESPONDENT),
        ("our correspondent in Moscow, Ann Poe.", "Ann Poe", "", Role.CORRESPONDENT),
        ("the BBC's Ann Poe in Rome.", "Ann Poe", "BBC", Role.CORRESPONDENT),
        ("Professor Ann Poe of Leeds University.", "Ann Poe", "Leeds University", Role.ANALYST),
        ("Dr. Ann Poe, a fellow at the Atlantic Council.", "Ann Poe", "Atlantic Council", Role.ANALYST),
        ("Ann Poe, former BBC correspondent.", "Ann Poe", "BBC", Role.ANALYST),
        (
            "Ann Poe, director of the Institute for War and Peace in Bern.",
            "Ann Poe",
            "Institute for War and Peace in Bern",
            Role.ANALYST,
        ),
        ("former US ambassador to Ukraine, John Roe.", "John Roe", "", Role.ANALYST),
        ("Ann Poe from Greenpeace. What", "Ann Poe", "Greenpeace", Role.UNKNOWN),
        ("Ludwig van der Berg, who is an economist.", "Ludwig van der Berg", "", Role.ANALYST),
        ("John F. Kennedy, a senator.", "John F. Kennedy", "", Role.ANALYST),
        ("Theresa May, who's a professor at Oxford.", "Theresa May", "Oxford", Role.ANALYST),
        ("Ann Poe. She teaches law at York College.", "Ann Poe", "York College", Role.ANALYST),
    ],
)
def test_reads_one_person(slot: str, name: str, affiliation: str, role: Role) -> None:
    (person,) = read(slot)
    assert (person.name, person.affiliation, person.role) == (name, affiliation, role)


@pytest.mark.parametrize(
    ("slot", "name", "affiliation"),
    [
        ("g lan who's a lecturer in us foreign policy at queen mary university in london welcome", "g lan",
         "queen mary university in london"),
        ("dw's ria bureau chief yuri retta yuri and his team report", "yuri retta", "dw"),
        ("our correspondent in moscow ann poe so what", "ann poe", ""),
        ("ines pardo of the university of porto ines why do people", "ines pardo", "university of porto"),
    ],
)  # fmt: skip
def test_reads_a_person_without_capitals_and_punctuation(slot: str, name: str, affiliation: str) -> None:
    person = read(slot, is_cased=False)[0]
    assert (person.name, person.affiliation) == (name, affiliation)


def test_reads_everybody_of_a_list() -> None:
    people = read(
        "Ann Poe, a fellow at the Atlantic Council, John Roe, former ambassador to Yemen, and Ruth Fell, "
        "who's a columnist for the Morning Post."
    )
    assert [(person.name, person.affiliation) for person in people] == [
        ("Ann Poe", "Atlantic Council"),
        ("John Roe", ""),
        ("Ruth Fell", "Morning Post"),
    ]


@pytest.mark.parametrize(
    "slot",
    [
        "",
        "the people of the city.",
        "what we have seen.",
        "more after the break.",
        "him about it. John Roe said",
    ],
)
def test_names_nobody_where_nobody_is_named(slot: str) -> None:
    assert read(slot) == []


def test_a_full_stop_ends_the_description() -> None:
    (person,) = read("Ann Poe. President Roe of Leeds University said so.")
    assert (person.name, person.affiliation) == ("Ann Poe", "")


WORDS = st.sampled_from(
    re.findall(
        r"\S+",
        """Ann Poe, Roe. DW's at the of University Institute and for in who's a professor bureau chief ?? U.S.
        welcome ann poe's 7 é — Dr van der""",
    )
)


@given(st.lists(WORDS, max_size=40), st.booleans())
def test_people_lie_inside_the_slot_and_are_what_it_says(words: list[str], is_cased: bool) -> None:
    passage = passage_of(" ".join(words), is_cased=is_cased)
    for person in read_people(Slot(passage, ENGLISH, 0, len(passage.words))):
        assert 0 <= person.first < person.last <= len(passage.words)
        assert person.name
        bare = [word.bare for word in passage.words[person.first : person.last]]
        assert set(person.name.split()) <= set(bare)
        assert set(person.affiliation.split()) <= set(bare)


@pytest.mark.parametrize("text", ["“DW’s,", "DW's", "DW’S", "DW’", "DW."])
def test_a_name_is_quoted_without_its_possessive(text: str) -> None:
    (word,) = passage_of(text).words
    assert word.bare == "DW"
