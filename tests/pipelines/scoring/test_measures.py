"""The measures, by hand on small cases, and against independent implementations."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from pipelines.errors import EngineMissingError
from pipelines.scoring.measures import (
    Detection,
    ErrorRate,
    TurnScore,
    attributed_errors,
    best_names,
    changes,
    diarization_error,
    match_changes,
    paired_speakers,
    speaker_errors,
    token_score,
    word_errors,
    words,
)
from pipelines.types import SpeakerSegment

A, B = "anchor", "guest"
SPEAKERS = st.sampled_from(["", A, B, "narrator"])
TURNS = st.lists(
    st.tuples(
        st.sampled_from([A, B, "narrator"]),
        st.lists(st.sampled_from(["yes", "no", "so", "well", "talks"]), max_size=5).map(" ".join),
    ),
    max_size=6,
)


# --------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("US-Russia talks,, “agreed”.. ", ["us", "russia", "talks", "agreed"]),
        ("It’s 'off' — isn't it??", ["it's", "off", "isn't", "it"]),
        ("U.S. 10 Größe", ["u", "s", "10", "grösse"]),
        ("… — ?!", []),
    ],
)
def test_words_lose_case_and_punctuation_only(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_word_errors_by_hand() -> None:
    # talks → lks, "the" missing, "um" added
    assert word_errors("Talks at the table.", "lks at um table") == ErrorRate(2, 4)
    assert word_errors("Talks at the table.", "Talks at um, the table") == ErrorRate(1, 4)
    assert word_errors("", "") == ErrorRate(0, 0)
    assert ErrorRate(0, 0).rate == 0.0
    assert ErrorRate(3, 4).rate == 0.75


@given(st.lists(st.sampled_from("abcd"), max_size=12), st.lists(st.sampled_from("abcd"), max_size=12))
@settings(deadline=None)
def test_word_errors_are_those_of_meeteval(reference: list[str], hypothesis: list[str]) -> None:
    meeteval = pytest.importorskip("meeteval.wer")
    ours = word_errors(" ".join(reference), " ".join(hypothesis))
    theirs = meeteval.siso_word_error_rate(" ".join(reference), " ".join(hypothesis))
    assert (ours.errors, ours.total) == (theirs.errors, theirs.length)


def test_speaker_errors_by_hand() -> None:
    reference = [(A, "so what is at stake"), (B, "peace of course")]
    # "peace" was given to the anchor, "stake" was misheard, "of" was not heard: 1 of 7 paired words is wrong.
    assert speaker_errors(reference, [("x", "so what is at steak peace"), ("y", "course")]) == ErrorRate(1, 7)


def test_speaker_errors_pair_speakers_for_the_fewest_errors() -> None:
    assert speaker_errors([(A, "one two"), (B, "three")], [("2", "one two"), ("1", "three")]).errors == 0
    # A third voice is nobody: its word is wrong.
    assert (
        speaker_errors([(A, "one two"), (B, "three")], [("2", "one"), ("3", "two"), ("1", "three")]).errors
        == 1
    )


@given(TURNS, TURNS)
@settings(deadline=None)
def test_no_other_pairing_of_speakers_has_fewer_errors(
    reference: list[tuple[str, str]], hypothesis: list[tuple[str, str]]
) -> None:
    pairs = list(paired_speakers(reference, hypothesis))
    theirs = sorted({speaker for _, speaker in pairs})
    everybody = [A, B, "narrator"]
    fewest = min(
        sum(dict(zip(theirs, order, strict=False)).get(found) != true for true, found in pairs)
        for order in permutations(everybody)
    )
    assert speaker_errors(reference, hypothesis) == ErrorRate(fewest, len(pairs))


@given(TURNS, TURNS)
@settings(deadline=None, max_examples=50)
def test_attributed_errors_are_those_of_the_best_pairing(
    reference: list[tuple[str, str]], hypothesis: list[tuple[str, str]]
) -> None:
    pytest.importorskip("meeteval")

    def by_speaker(turns: list[tuple[str, str]]) -> list[list[str]]:
        said: dict[str, list[str]] = {speaker: [] for speaker in (A, B, "narrator")}
        for speaker, text in turns:
            said[speaker] += text.split()
        return list(said.values())

    ours, theirs = by_speaker(reference), by_speaker(hypothesis)
    fewest = min(sum(map(Levenshtein.distance, ours, order)) for order in permutations(theirs))
    assert attributed_errors(reference, hypothesis) == ErrorRate(fewest, sum(map(len, ours)))


# --------------------------------------------------------------------------- speech


def segments(*timed: tuple[float, float, str]) -> list[SpeakerSegment]:
    return [SpeakerSegment(*each) for each in timed]


def test_diarization_error_by_hand() -> None:
    pytest.importorskip("pyannote.metrics")
    #   true    AAAAAAAAAABBBBBBBBBB
    #   found   xxxxxxxxxxxxyyyyyy      2 s of B given to A's voice, 2 s missed; 1 s false at the end
    error = diarization_error(
        segments((0, 10, A), (10, 20, B)), segments((0, 12, "x"), (12, 18, "y"), (20, 21, "y"))
    )
    assert (error.missed, error.false_alarm, error.confusion, error.total) == pytest.approx((2, 1, 2, 20))
    assert error.rate == pytest.approx(0.25)


def test_overlapping_speech_counts_for_each_voice() -> None:
    pytest.importorskip("pyannote.metrics")
    error = diarization_error(segments((0, 10, A), (8, 12, B)), segments((0, 10, "x"), (10, 12, "y")))
    assert (error.missed, error.confusion, error.total) == pytest.approx((2, 0, 14))


def test_collar_forgives_edges() -> None:
    pytest.importorskip("pyannote.metrics")
    true, found = segments((0, 10, A), (10, 20, B)), segments((0, 10.2, "x"), (10.2, 20, "y"))
    assert diarization_error(true, found).confusion == pytest.approx(0.2)
    assert diarization_error(true, found, collar=0.25).rate == pytest.approx(0.0)
    assert diarization_error(true, found, collar=0.1).confusion == pytest.approx(0.1)


def test_nothing_found_is_all_missed() -> None:
    pytest.importorskip("pyannote.metrics")
    assert diarization_error(segments((0, 10, A)), []).rate == 1.0


MISSING = r'pip install "turnwise\[score\]"'


def test_meeteval_missing_is_said_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "meeteval.wer", None)
    with pytest.raises(EngineMissingError, match=MISSING):
        attributed_errors([(A, "yes")], [(A, "yes")])


def test_pyannote_missing_is_said_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyannote.core", None)
    with pytest.raises(EngineMissingError, match=MISSING):
        diarization_error(segments((0, 1, A)), [])


# --------------------------------------------------------------------------- tokens


def test_token_score_by_hand() -> None:
    true = [A, A, A, "", "", B, B, B, A, A]
    found = ["x", "x", "x", "", "x", "x", "y", "y", "x", "x"]
    score = token_score(true, found)
    assert score.speakers == ErrorRate(1, 8)  # the first B
    assert score.turns == TurnScore(true=2, exact=1, within_one=2, false=0)
    assert score.unspoken == Detection(predicted=1, true=2, both=1)


def test_unspoken_tokens_do_not_move_a_change() -> None:
    true = [A, A, "", "", "", B, B]
    for found in ("xxxxxyy", "xx...yy", "xxyyyyy", "xxxxyyy"):
        labels = [label.replace(".", "") for label in found]
        assert token_score(true, labels).turns == TurnScore(true=1, exact=1, within_one=1, false=0)


def test_changes_inside_unspoken_tokens_are_false() -> None:
    assert token_score([A, A, "", "", A, A], list("xxyyxx")).turns == TurnScore(0, 0, 0, false=2)


def test_a_token_wrongly_called_unspoken_is_wrong() -> None:
    score = token_score([A, A, B, B], ["x", "", "y", "y"])
    assert score.speakers == ErrorRate(1, 4)
    assert score.unspoken == Detection(predicted=1, true=0, both=0)
    assert (score.unspoken.precision, score.unspoken.recall, score.unspoken.f1) == (0.0, 1.0, 0.0)


@given(st.lists(SPEAKERS, max_size=30))
def test_the_truth_scores_perfectly(labels: list[str]) -> None:
    score = token_score(labels, [label and label.upper() for label in labels])
    true = len(changes(labels))
    assert score.speakers.errors == 0
    assert score.turns == TurnScore(true, true, true, 0)
    assert score.unspoken.f1 == 1.0


PLACES = st.lists(st.integers(0, 12), max_size=7, unique=True).map(sorted)


@given(PLACES, PLACES)
def test_changes_are_matched_as_well_as_can_be(true: list[int], found: list[int]) -> None:
    score = match_changes(true, found)
    assert score.exact == len(set(true) & set(found))
    assert score.within_one == most_matches(tuple(true), tuple(found))
    assert score.false + score.within_one == len(found)
    assert score.missed + score.within_one == len(true)
    assert score.f1 == Detection(len(found), len(true), score.within_one).f1


def most_matches(true: tuple[int, ...], found: tuple[int, ...]) -> int:
    """By trying everything."""
    if not true:
        return 0
    rest = [most_matches(true[1:], found)]
    for index, place in enumerate(found):
        if abs(place - true[0]) <= 1:
            rest.append(1 + most_matches(true[1:], found[:index] + found[index + 1 :]))
    return max(rest)


@given(st.lists(SPEAKERS, max_size=30))
def test_detection_is_between_nothing_and_all(labels: list[str]) -> None:
    unspoken = token_score(labels, list(reversed(labels))).unspoken
    for value in (unspoken.precision, unspoken.recall, unspoken.f1):
        assert 0.0 <= value <= 1.0


def test_names_are_given_once() -> None:
    pairs = [(A, "x")] * 3 + [(A, "y")] * 2 + [(B, "x")] * 2
    named = best_names(Counter(pairs))
    assert named == {"x": B, "y": A}
