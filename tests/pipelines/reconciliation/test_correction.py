"""Each repair on a dictation (see tests/support/timelines.py), and that none of them makes a text worse."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.alignment.alignment import align
from pipelines.attribution.attribution import attribute, take_turns
from pipelines.reconciliation.correction import correct, read
from pipelines.reconciliation.reconciliation import find
from pipelines.scoring.measures import word_errors
from pipelines.types import AlignedToken, Correction, HeardWord, Turn
from tests.benchmarks.generator import generate
from tests.support.timelines import dictate


def corrections(text: str, *glossary: str) -> tuple[Correction, ...]:
    tokens, words, turns = dictate(text)
    return correct(tokens, turns, find(tokens, words, "en"), words, glossary)


def corrected(text: str, *glossary: str) -> str:
    tokens, _, turns = dictate(text)
    reading, _ = read(tokens, turns, corrections(text, *glossary))
    return reading


# --------------------------------------------------------------------------- what was not said


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("The talks (Storm) (warning) go on.", "The talks go on."),
        ("On the {the} river.", "On the river."),
        ("We go (We) (go) on.", "We go on."),
        (">> ANNA: We go [Music] on.", "We go on."),
        ("We go on. (The) (end)", "We go on."),
        ("We {go} on.", "We go on."),  # said by all evidence
        ("(Storm)", ""),
    ],
)
def test_what_was_not_said_is_left_out(text: str, reading: str) -> None:
    assert corrected(text) == reading


def test_words_that_the_text_leaves_out_are_not_put_in() -> None:
    assert corrected("They met <for> <two> <hours> there.") == "They met there."


def test_a_line_shown_twice_is_called_that() -> None:
    assert {change.reason for change in corrections("We go on. (We) (go) (on.)")} == {"written twice"}


def test_every_change_has_its_reason() -> None:
    changes = corrections("lks|talks at >> the {the} (Storm) Basel,, nd|and so.", "Basle")
    assert [(change.before, change.after, change.reason) for change in changes] == [
        ("lks", "Talks", "heard 'talks'"),
        (">>", "", "caption mark: change"),
        ("the", "", "written twice"),
        ("Storm", "", "not spoken"),
        ("Basel,,", "Basel,", "punctuation and case"),
        ("nd", "and", "heard 'and'"),
    ]


# --------------------------------------------------------------------------- first letters


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("The Lks|talks go on nd|and on.", "The Talks go on and on."),
        ("The lks,|talks go on “nd”|and on.", "The talks, go on “and” on."),
        ("The lks|talks end.", "The lks end."),  # one alone is rather misheard
        ("And nd|and r|our and|hand.", "And and our and."),  # "and" was heard as written elsewhere
        ("So lks|~talks nd|and r|our.", "So lks and our."),  # not heard with certainty
        ("So alks|sidewalks nd|and r|our.", "So alks and our."),  # too many letters
        ("So talk|talks nd|and r|our.", "So talk and our."),  # no end of what was heard
        ("So nd-so|and nd|and r|our.", "So nd-so and our."),  # two words for one
    ],
)
def test_first_letters_are_restored_where_the_whole_word_was_heard(text: str, reading: str) -> None:
    assert corrected(text) == reading


# --------------------------------------------------------------------------- glossary


def test_words_of_the_glossary_reach_the_reading() -> None:
    text = "Talks with Zelenenksy’s|else man and “Zaleski,,”|alas began."
    assert corrected(text, "Volodymyr Zelenskyy") == "Talks with Zelenskyy’s man and “Zelenskyy,” began."


def test_a_wrong_glossary_changes_nothing_that_was_heard_as_written() -> None:
    text = "That peace at what price? Then Russia said so. Kyiv|key was quiet."
    glossary = ("Pete Thatcher", "Rubio Russo", "Pierce", "Priestley", "Sadi", "Quietus")
    assert corrected(text, *glossary) == text.replace("|key", "")


# --------------------------------------------------------------------------- punctuation and case


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("well,, is it?? It is..", "Well, is it? It is."),
        ("It waits... and waits.", "It waits... and waits."),
        ("It’s… a big step.", "It’s… a big step."),
        ("indeed ,Putin did ,and so.", "Indeed, Putin did, and so."),
        ("Indeed , he did .", "Indeed, he did."),
        ("Indeed, ,Putin did.", "Indeed, Putin did."),
        (", indeed he did", ", indeed he did."),
        ("It grew by .5 percent.", "It grew by .5 percent."),
        ("so it was. then it rained. ten fell.", "So it was. Then it rained. Ten fell."),
        ("He met Mr. roe in the U.S. and left", "He met Mr. roe in the U.S. and left."),
        ("so we wait,", "So we wait."),
        ("“so we wait.”", "“so we wait.”"),
        ("<script>alert(1)</script>, & “5 < 6”", "<script>alert(1)</script>, & “5 < 6”"),
    ],
)
def test_punctuation_and_case(text: str, reading: str) -> None:
    assert corrected(text) == reading


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("Between the US. / and Russia.", "Between the US and Russia."),
        ("Between the US. / And Russia.", "Between the US. And Russia."),  # a new sentence
        ("Between the US. and Russia.", "Between the US. And Russia."),  # no line ends here
        ("Between the U.S. / and Russia.", "Between the U.S. and Russia."),  # part of the word
        ("Is it? / and Russia.", "Is it? And Russia."),
        ("It is... / and Russia.", "It is... and Russia."),
        ("Between the US. / (Storm) (warning) / and Russia.", "Between the US and Russia."),
    ],
)
def test_a_stray_full_stop_at_the_end_of_a_line(text: str, reading: str) -> None:
    assert corrected(text) == reading


# --------------------------------------------------------------------------- the reading


def test_a_line_for_each_turn() -> None:
    text = "is it so? @ben yes (Storm) , it is @anna well then"
    tokens, _, turns = dictate(text)
    reading, filled = read(tokens, turns, corrections(text))
    assert reading == "Is it so?\nYes, it is.\nWell then."
    assert [turn.corrected for turn in filled] == reading.splitlines()
    assert [(turn.speaker, turn.text) for turn in filled] == [(turn.speaker, turn.text) for turn in turns]


def test_without_corrections_the_reading_is_what_was_supplied() -> None:
    tokens, _, turns = dictate("is it so,, @ben yes {it} is..")
    assert read(tokens, turns, ())[0] == "is it so,,\nyes it is.."


def test_nothing_at_all() -> None:
    assert correct((), (), (), (), ("Basel",)) == ()
    assert read((), (), ()) == ("", ())


# --------------------------------------------------------------------------- anything


def check_reversible(tokens: tuple[AlignedToken, ...], changes: tuple[Correction, ...]) -> None:
    """Written back in any order, the corrections leave the supplied text; none of them overlap."""
    reading = [token.token.text for token in tokens]
    end = 0
    for change in changes:
        assert end <= change.token_start < change.token_end
        end = change.token_end
        assert change.before == " ".join(reading[change.token_start : change.token_end])
        assert change.before != change.after
        assert change.reason
    assert end <= len(tokens)


TEXTS = st.lists(
    st.sampled_from(
        [
            "the",
            "The",
            "he",
            ",the",
            "talks..",
            ",,",
            ".",
            "Basel",
            "Basle’s",
            "nd",
            "and",
            "...",
            ">>",
            "<b>",
            "“",
        ]
    ),
    max_size=16,
)


@settings(max_examples=200, deadline=None)
@given(TEXTS, TEXTS, st.lists(st.sampled_from(["Basel", "Talks and", "”", "", "the"]), max_size=3))
def test_any_text_can_be_corrected_and_restored(
    supplied: list[str], heard: list[str], glossary: list[str]
) -> None:
    tokens, _, turns = dictate(" ".join(f"{{{text}}}" if text in heard else text for text in supplied))
    words = [HeardWord(text, float(at), at + 0.9, 0.9) for at, text in enumerate(heard + supplied)]
    changes = correct(tokens, turns, find(tokens, words, "en"), words, glossary)
    check_reversible(tokens, changes)
    reading, filled = read(tokens, turns, changes)
    assert reading.split() == " ".join(turn.corrected for turn in filled).split()
    assert (reading, filled) == read(tokens, turns, changes)


@pytest.mark.parametrize("damage", [0.0, 0.1, 0.2, 0.3, 0.4])
@pytest.mark.parametrize("seed", [1020, 1021])
def test_the_reading_is_never_further_from_the_truth_than_the_supplied_text(seed: int, damage: float) -> None:
    interview = generate(seed, damage=damage, turns=14)
    supplied, words = interview.supplied, interview.heard.words
    tokens = align(supplied.tokens, words, speech=interview.speech, duration=interview.duration)
    turns: tuple[Turn, ...] = take_turns(tokens, attribute(tokens, interview.diarization))
    changes = correct(tokens, turns, find(tokens, words, "en"), words)
    check_reversible(tokens, changes)
    truth = " ".join(said.text for said in interview.utterances)
    reading, _ = read(tokens, turns, changes)
    assert word_errors(truth, reading).errors <= word_errors(truth, supplied.text).errors
