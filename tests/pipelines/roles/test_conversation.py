from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pipelines.roles.conversation import read_conversation
from pipelines.types import Heard, HeardWord, Match
from tests.support.scripts import ENGINE, Interview, interview


def texts(made: Interview) -> list[str]:
    return [passage.plain for passage in read_conversation(made.turns, made.tokens, made.heard).texts]


def hearings(made: Interview) -> list[str]:
    return [passage.plain for passage in read_conversation(made.turns, made.tokens, made.heard).hearings]


def test_what_was_not_spoken_is_in_neither_reading() -> None:
    made = interview("A: Good {READ MORE} evening. [B:] Well\nB: Yes.")
    assert texts(made) == hearings(made) == ["good evening well", "yes"]


def test_what_the_text_leaves_out_is_in_the_hearing() -> None:
    made = interview("A: Good evening <and welcome> to you.\nB: Thank you.")
    assert texts(made)[0] == "good evening to you"
    assert hearings(made)[0] == "good evening and welcome to you"


def test_a_word_heard_otherwise_is_read_as_heard_and_quoted_as_written() -> None:
    made = interview("A: Jening me now is Ann Poe.")
    words = (replace(made.heard.words[0], text="joining"), *made.heard.words[1:])
    tokens = (replace(made.tokens[0], match=Match.DIFFERS), *made.tokens[1:])
    conversation = read_conversation(made.turns, tokens, Heard(words, "en", ENGINE))
    assert conversation.hearings[0].plain == "joining me now is ann poe"
    assert conversation.hearings[0].evidence("role", 0, 3).quote == "Jening me now"
    assert conversation.hearings[0].evidence("role", 0, 3).source == "supplied"


def test_words_heard_between_two_turns_go_to_the_voice_across_the_shorter_silence() -> None:
    made = interview("A: Here we are.\nB: Yes we are.")
    gap = made.turns[0].end
    shifted = [replace(token, start=token.start + 5, end=token.end + 5) for token in made.tokens[3:]]
    late = replace(made.turns[1], start=made.turns[1].start + 5, end=made.turns[1].end + 5)
    words = (HeardWord("over", gap + 0.1, gap + 0.4, 1.0), HeardWord("indeed", gap + 4.9, gap + 5.2, 1.0))
    conversation = read_conversation(
        (made.turns[0], late),
        (
            *(replace(token, heard_start=0, heard_end=0) for token in made.tokens[:3]),
            *(replace(token, heard_start=0, heard_end=0) for token in shifted),
        ),
        Heard(words, "en", ENGINE),
    )
    assert [passage.plain for passage in conversation.hearings] == ["here we are over", "indeed yes we are"]


def test_a_word_only_heard_is_quoted_from_what_was_heard() -> None:
    made = interview("A: Good evening <and welcome> to you.\nB: Thank you.")
    conversation = read_conversation(made.turns, made.tokens, made.heard)
    evidence = conversation.hearings[0].evidence("role", 2, 4)
    assert (evidence.quote, evidence.source) == ("and welcome", "heard")


def test_a_stammered_word_is_heard_once() -> None:
    made = interview("A: We speak to to Ann.")
    assert texts(made) == ["we speak to to ann"]
    assert hearings(made) == ["we speak to ann"]


def test_words_heard_that_stand_in_for_a_text_are_one_reading() -> None:
    made = interview("A: Good evening.\nB: Hello.", supplied=False)
    conversation = read_conversation(made.turns, made.tokens, made.heard, stands_in=True)
    assert conversation.hearings == ()
    assert {passage.source for passage in conversation.texts} == {"heard"}


def test_a_text_that_is_just_what_was_heard_is_still_a_text() -> None:
    made = interview("A: Good evening.\nB: Hello.", supplied=False)
    conversation = read_conversation(made.turns, made.tokens, made.heard)
    assert {passage.source for passage in conversation.texts} == {"supplied"}


def test_loose_punctuation_belongs_to_the_word_before() -> None:
    made = interview("A: Well , indeed ?? Yes")
    passage = read_conversation(made.turns, made.tokens, made.heard).texts[0]
    assert [word.text for word in passage.words] == ["Well ,", "indeed ??", "Yes"]
    assert passage.evidence("role", 0, 2).quote == "Well , indeed ??"


def test_a_full_stop_that_closes_every_line_ends_no_sentence() -> None:
    script = "A: speak to Ingrid.\nA: halloran about.\nA: the lock. It is.\nA: broken."
    made = interview(script)
    passage = read_conversation(made.turns, made.tokens, made.heard).texts[0]
    stops = [word.text for index, word in enumerate(passage.words) if passage.stops(index)]
    assert stops == ["lock.", "broken."]


def test_a_full_stop_at_the_end_of_whole_sentences_ends_them() -> None:
    made = interview("A: This is one.\nA: This is two.\nA: This is three.")
    passage = read_conversation(made.turns, made.tokens, made.heard).texts[0]
    assert [index for index in range(9) if passage.stops(index)] == [2, 5, 8]


def test_capitals_mark_names_only_where_the_text_has_some_and_not_all() -> None:
    for text, expected in (("we met Ann in the park", True), ("we met ann", False), ("WE MET ANN", False)):
        made = interview(f"A: {text}")
        assert read_conversation(made.turns, made.tokens, made.heard).texts[0].is_cased is expected


@given(
    st.lists(
        st.sampled_from(["A: One two.", "B: Three.", "A: Four <five six>", "B: <seven> Eight."]), min_size=1
    )
)
def test_every_word_heard_is_in_some_hearing(lines: list[str]) -> None:
    made = interview("\n".join(lines))
    said = set(" ".join(hearings(made)).split())
    assert said == {word.text for word in made.heard.words}
