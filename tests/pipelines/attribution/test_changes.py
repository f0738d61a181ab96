"""Each feature on a case that can be checked by eye, and the odds that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from pipelines.attribution.changes import EDGE_REACH, WEIGHTS, Feature, change_odds, features
from pipelines.types import AlignedToken, Match, SpeakerSegment
from tests.support.timelines import draw_tokens, draw_voices


def spoken(tokens: Sequence[AlignedToken]) -> list[int]:
    return [index for index, token in enumerate(tokens) if token.match is not Match.NOT_SPOKEN]


def seen(feature: Feature, said: str, *voices: str) -> dict[str, float]:
    """The feature in front of every spoken token, by its text, where it is not 0."""
    return seen_in(feature, draw_tokens(said), draw_voices(*voices).exclusive)


def seen_in(
    feature: Feature, tokens: Sequence[AlignedToken], segments: Sequence[SpeakerSegment] = ()
) -> dict[str, float]:
    places = spoken(tokens)
    column = features(tokens, places, segments)[:, list(Feature).index(feature)]
    return {
        tokens[index].token.text: float(value) for index, value in zip(places, column, strict=True) if value
    }


# --------------------------------------------------------------------------- what is written


def test_nothing_is_seen_before_the_first_token() -> None:
    table = features(draw_tokens(">>So it begins. Well."), [1, 2, 3, 4], ())
    assert table.shape == (4, len(Feature))
    assert not table[0].any()
    assert seen(Feature.ALWAYS, "So it begins.") == {"it": 1, "begins.": 1}


@pytest.mark.parametrize(
    ("feature", "said", "expected"),
    [
        (Feature.SENTENCE, "It is. And Mr. Roe? He left… of course", {"And", "He", "of"}),
        (Feature.QUESTION, "It is. Is it? Yes?? No.", {"Yes??", "No."}),
        (Feature.CLAUSE, "well, it was – as said – late. Then", {"it", "as", "late."}),
        (Feature.CAPITAL, "so says Anna of “them”", {"Anna"}),
        (Feature.OPENING, "and Well, he said yes thankfully", {"Well,", "yes"}),
    ],
)
def test_what_is_written(feature: Feature, said: str, expected: set[str]) -> None:
    assert set(seen(feature, said)) == expected


def test_no_sentence_ends_inside_a_punctuated_passage() -> None:
    said = "It is. They say so. Then they left"
    assert set(seen(Feature.INSIDE, said)) == {"is.", "say", "so.", "they", "left"}
    assert not seen(Feature.INSIDE, "it is and they say so then they left")
    assert not seen(Feature.INSIDE, f"It is. They say so. {'word ' * 40}far").keys() & {"far"}


def test_the_more_sentences_end_nearby_the_more_it_says_that_none_ends() -> None:
    once, twice, often = (
        seen(Feature.INSIDE, "It rains. " * count + "here it does")["it"] for count in (1, 2, 9)
    )
    assert 0 < once < twice < often == 1.0


@pytest.mark.parametrize(
    ("said", "answering", "answered"),
    [
        ("Thank you for it. Yes, of course. And so on.", {"Yes,"}, {"And"}),  # thanks returned
        ("It is late. Yes, it is. And so on.", set(), set()),  # nobody asked
        ("It is late. It is blue. And so on it goes.", set(), set()),  # no word of an answer
        ("It is so late. Is it blue? Red. And so on it goes.", {"Red."}, {"And"}),  # after a question any is
        ("It is late. Yes, it is as late as ever. And so on it goes.", set(), set()),  # not short
        (
            "thanks for coming late   yes   and so on it goes",
            {"yes"},
            {"and"},
        ),  # a pause ends a sentence, too
        ("thanks for coming late   yes and so on it goes", set(), set()),
        ("Thanks for coming so very late. Thank you.", {"Thank"}, set()),  # the last sentence
        ("Is it? It is. And so on it goes.", {"It"}, {"And"}),  # the first is never an answer
    ],
)
def test_short_answers(said: str, answering: set[str], answered: set[str]) -> None:
    assert set(seen(Feature.ANSWERING, said)) == answering
    assert set(seen(Feature.ANSWERED, said)) == answered


# --------------------------------------------------------------------------- marks and labels


def test_a_caption_mark_belongs_to_the_word_behind_it() -> None:
    assert set(seen(Feature.MARK, "so is it true? >> Yes, it is. >>And then?")) == {"Yes,", "And"}


def test_words_that_nobody_said_do_not_hide_a_mark() -> None:
    tokens = list(draw_tokens("it rains. >> HEADING pasted And then?"))
    for index in (3, 4):
        tokens[index] = replace(tokens[index], match=Match.NOT_SPOKEN)
    assert set(seen_in(Feature.MARK, tokens)) == {"And"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        # a text that writes the label on every line does not change its speaker on every line
        ("ANNA: one two ANNA: three anna: four BEN: five ANNA: six", {"five", "six"}),
        # nobody had a name before the first label
        ("one two ANNA: three", {"three"}),
        # who a bare mark stands for is unknown, so any label behind it is news
        ("ANNA: one >> two ANNA: three", {"two", "three"}),
        # a label says more than the mark in front of it
        (">> ANNA: one >> ANNA: two >> BEN: three", {"three"}),
        # of two labels the one next to the word counts
        ("ANNA: one BEN: >> ANNA: two", set()),
    ],
)
def test_labels_are_marks_where_the_name_changes(said: str, expected: set[str]) -> None:
    assert set(seen(Feature.MARK, said)) == expected


def test_a_label_may_be_several_tokens() -> None:
    tokens = list(draw_tokens("Mr Roe: one Mr Roe: two Ms Roe: three Mr Roe: four"))
    for index in (0, 3, 6, 9):
        kind = tokens[index + 1].token.kind
        tokens[index] = replace(
            tokens[index], token=replace(tokens[index].token, kind=kind), match=Match.NOT_SPOKEN
        )
    assert set(seen_in(Feature.MARK, tokens)) == {"three", "four"}


# --------------------------------------------------------------------------- edges of the diarization


def test_an_edge_counts_the_more_the_nearer_it_is() -> None:
    found = seen(
        Feature.EDGE,
        "aaaaaaaaa bbb cc ddd eeeeeeeee",
        "anna |===========",
        "ben  |           ==================",  # from 1.1 s; bbb from 1.0 s, cc from 1.4 s, ddd from 1.7 s
    )
    assert found == pytest.approx({"bbb": 1 - 0.1 / EDGE_REACH, "cc": 1 - 0.3 / EDGE_REACH})


def test_an_edge_lies_in_the_middle_of_the_silence() -> None:
    found = seen(
        Feature.EDGE, "aaaaaaaaa             bbb", "anna |=======", "ben  |                       ==="
    )
    assert found == {"bbb": 1.0}


def test_segments_of_one_voice_have_no_edge() -> None:
    assert not seen(Feature.EDGE, "aaaaa bbbbb", "anna |===== =====")
    assert not seen(Feature.EDGE, "aaaaa bbbbb")


def test_an_edge_at_a_break_between_the_words() -> None:
    voices = ("anna |======", "ben  |      ======")
    assert seen(Feature.EDGE, "aaaaa  bbbbb", *voices) == {"bbbbb": 1.0}
    assert seen(Feature.EDGE_AT_BREAK, "aaaaa  bbbbb", *voices) == {"bbbbb": 1.0}
    assert seen(Feature.EDGE, "aaaaa bbbbb", *voices) == {"bbbbb": 1.0}
    assert seen(Feature.EDGE_AT_BREAK, "aaaaa bbbbb", *voices) == {}  # fluent


# --------------------------------------------------------------------------- together


def test_odds_are_the_sum_of_the_weights_of_what_is_seen() -> None:
    tokens = draw_tokens("so is it green? >>Yes,")
    odds = change_odds(tokens, spoken(tokens), ())
    table = features(tokens, spoken(tokens), ())
    answer = {feature: value for feature, value in zip(Feature, table[4], strict=True) if value}
    written = {
        Feature.SENTENCE,
        Feature.QUESTION,
        Feature.CAPITAL,
        Feature.OPENING,
        Feature.ANSWERING,
        Feature.MARK,
    }
    assert set(answer) == {Feature.ALWAYS, *written}
    assert odds[4] == pytest.approx(sum(WEIGHTS[feature] * value for feature, value in answer.items()))
    assert odds[0] == 0.0
    assert odds[1] < 0 < odds[4]


def test_every_cue_has_a_weight_and_stays_between_0_and_1() -> None:
    assert set(WEIGHTS) == set(Feature)
    tokens = draw_tokens(">>So, is it true? Yes. >>And? ANNA: Well – no. It is   thanks. I see")
    table = features(tokens, spoken(tokens), draw_voices("a |=====      ===", "b |     =====").exclusive)
    assert np.all((table >= 0) & (table <= 1))


@pytest.mark.parametrize("count", [0, 1])
def test_texts_without_a_place_for_a_change(count: int) -> None:
    tokens = draw_tokens("word")
    assert features(tokens, spoken(tokens)[:count], ()).shape == (count, len(Feature))
