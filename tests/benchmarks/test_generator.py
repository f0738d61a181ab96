"""The generator tells the truth about what it damages."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from tests.benchmarks.damage import NUMBERS, Origin
from tests.benchmarks.dialogue import vocabulary
from tests.benchmarks.generator import Interview, generate


def words_of(interview: Interview) -> list[str]:
    return [word.plain for utterance in interview.utterances for word in utterance.words]


def error_rate(reference: list[str], hypothesis: list[str]) -> float:
    return Levenshtein.distance(reference, hypothesis) / len(reference)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.floats(0.0, 0.4))
def test_every_interview_is_consistent(seed: int, speakers: int, damage: float) -> None:
    interview = generate(seed, speakers=speakers, damage=damage)
    supplied = interview.supplied
    assert [token.text for token in supplied.tokens] == supplied.text.split()
    assert all(supplied.text[token.char_start : token.char_end] == token.text for token in supplied.tokens)
    assert [token.line for token in supplied.tokens] == [
        supplied.text.count("\n", 0, token.char_start) for token in supplied.tokens
    ]
    assert len(interview.truth) == len(supplied.tokens)
    turns = [truth.turn for truth in interview.truth if truth.turn is not None]
    assert turns == sorted(turns)
    assert {utterance.speaker for utterance in interview.utterances} >= {
        truth.speaker for truth in interview.truth if truth.turn is not None
    }


@given(st.integers(0, 10**6), st.integers(2, 6))
@settings(max_examples=20, deadline=None)
def test_times_rise_and_segments_are_apart(seed: int, speakers: int) -> None:
    interview = generate(seed, speakers=speakers)
    words = [word for utterance in interview.utterances for word in utterance.words]
    assert all(left.end <= right.start for left, right in pairwise(words))
    assert all(
        left.start <= right.start and left.start < left.end for left, right in pairwise(interview.heard.words)
    )
    assert all(left.end <= right.start for left, right in pairwise(interview.speech))
    assert all(left.end <= right.start for left, right in pairwise(interview.diarization.exclusive))
    assert all(segment.start < segment.end for segment in interview.diarization.exclusive)


def test_same_seed_same_interview() -> None:
    first, second = generate(7), generate(7)
    assert (first.supplied, first.heard, first.truth) == (second.supplied, second.heard, second.truth)
    assert first.diarization.segments == second.diarization.segments
    assert generate(8).supplied.text != first.supplied.text


def test_no_damage_leaves_the_text_as_it_was_said() -> None:
    interview = generate(3, damage=0.0)
    assert {truth.origin for truth in interview.truth} == {Origin.SPOKEN}
    numbers = {word for number in NUMBERS for word in number.split()} | set(NUMBERS.values())
    written = [re.sub(r"[^\w']", "", token.text.lower()) for token in interview.supplied.tokens]
    assert [word for word in written if word not in numbers] == [
        word for word in words_of(interview) if word not in numbers
    ]


@pytest.mark.parametrize(("damage", "low", "high"), [(0.1, 0.05, 0.25), (0.2, 0.15, 0.35), (0.4, 0.3, 0.6)])
def test_damage_is_the_share_of_tokens_damaged(damage: float, low: float, high: float) -> None:
    rates = []
    for seed in range(2000, 2010):
        interview = generate(seed, damage=damage, headings=0, repeats=0)
        plain = [re.sub(r"[^\w']", "", token.text.lower()) for token in interview.supplied.tokens]
        rates.append(error_rate(words_of(interview), plain))
    assert low < sum(rates) / len(rates) < high


def test_recogniser_mishears_about_a_fifth() -> None:
    rates = []
    for seed in range(2000, 2010):
        interview = generate(seed)
        rates.append(error_rate(words_of(interview), [word.text for word in interview.heard.words]))
    assert 0.15 < sum(rates) / len(rates) < 0.25


def test_headings_are_pasted_whole_and_share_the_vocabulary() -> None:
    interview = generate(11, headings=3, repeats=0)
    marks = [truth.origin is Origin.HEADING for truth in interview.truth]
    begins = [index for index, mark in enumerate(marks) if mark and not (index and marks[index - 1])]
    assert len(begins) == 3
    assert 15 <= sum(marks) <= 36
    said = set(words_of(interview))
    pasted = [
        re.sub(r"\W", "", token.text.lower())
        for token, mark in zip(interview.supplied.tokens, marks, strict=True)
        if mark
    ]
    assert sum(word in said for word in pasted) > len(pasted) / 2


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_a_line_shown_twice_is_known(seed: int) -> None:
    interview = generate(seed, repeats=2)
    texts = [token.text for token in interview.supplied.tokens]
    for repeat in interview.repeats:
        first, second = texts[repeat.start : repeat.middle], texts[repeat.middle : repeat.end]
        assert [text.rstrip(".") for text in first] == [text.rstrip(".") for text in second]
        assert {truth.origin for truth in interview.truth[repeat.middle : repeat.end]} == {Origin.REPEAT}
        assert {truth.turn for truth in interview.truth[repeat.start : repeat.middle]} != {None}


def test_turns_are_as_many_as_asked_for() -> None:
    for speakers in range(2, 7):
        interview = generate(5, speakers=speakers, damage=0.0, turns=30)
        assert len(interview.utterances) == 30
        assert len(interview.changes) == 29
        assert len({utterance.speaker for utterance in interview.utterances}) == speakers


def test_vocabulary_is_broad() -> None:
    assert len(vocabulary()) > 800


@pytest.mark.parametrize("speakers", [1, 7])
def test_other_numbers_of_speakers_are_refused(speakers: int) -> None:
    with pytest.raises(ValueError, match="2 to 6 speakers"):
        generate(1, speakers=speakers)
