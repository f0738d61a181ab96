"""The baselines do what their descriptions say, on cases small enough to check by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.types import (
    AlignedToken,
    Diarization,
    EngineInfo,
    Heard,
    HeardWord,
    Match,
    SpeakerSegment,
    Token,
)
from tests.benchmarks.baselines import (
    BASELINES,
    Baseline,
    maximum_overlap,
    pause_or_punctuation,
    sentence_majority,
    speaker_transfer,
)
from tests.benchmarks.damage import Origin
from tests.benchmarks.generator import Repeat, Truth, generate
from tests.benchmarks.turns import OURS, from_interview, measure, settle, total

ENGINE = EngineInfo("test", "1", "", "")
A, B = "A", "B"


def tokens_at(*timed: tuple[str, float, float]) -> list[AlignedToken]:
    """Spoken tokens; one in brackets was not spoken."""
    return [
        AlignedToken(
            token=Token(text, 0, len(text)),
            match=Match.NOT_SPOKEN if text.startswith("[") else Match.MATCHED,
            start=start,
            end=end,
            heard_start=0,
            heard_end=0,
            confidence=1.0,
        )
        for text, start, end in timed
    ]


def heard_words(tokens: Sequence[AlignedToken]) -> Heard:
    words = (HeardWord(token.token.text.strip(".?,"), token.start, token.end, 1.0) for token in tokens)
    return Heard(tuple(words), "en", ENGINE)


def voices(*segments: tuple[float, float, str]) -> Diarization:
    made = tuple(SpeakerSegment(*segment) for segment in segments)
    speakers = tuple(dict.fromkeys(segment.speaker for segment in made))
    return Diarization(made, made, speakers, np.zeros((len(speakers), 0), np.float32), ENGINE)


def labels(
    baseline: Baseline, tokens: Sequence[AlignedToken], *segments: tuple[float, float, str]
) -> tuple[str, ...]:
    return baseline(tokens, heard_words(tokens), voices(*segments))


def test_maximum_overlap_takes_the_larger_share_and_else_the_nearest() -> None:
    tokens = tokens_at(("so", 0.0, 1.0), ("what", 1.0, 2.0), ("now", 2.0, 2.2), ("yes", 2.9, 3.0))
    found = labels(maximum_overlap, tokens, (0.0, 1.4, A), (1.4, 1.9, B), (3.5, 4.0, A))
    #        inside A   0.4 of A, 0.5 of B   0.1 behind B   0.5 before A, 1.0 behind B
    assert found == (A, B, B, A)


def test_maximum_overlap_adds_up_the_segments_of_a_voice() -> None:
    tokens = tokens_at(("well", 0.0, 1.0))
    assert labels(maximum_overlap, tokens, (0.0, 0.3, A), (0.3, 0.7, B), (0.7, 1.0, A)) == (A,)


def test_sentence_majority_overrules_a_voice_inside_a_sentence() -> None:
    tokens = tokens_at(("I", 0, 1), ("do", 1, 2), ("not.", 2, 3), ("Why", 3, 4), ("not?", 4, 5))
    # The edge is a word late, so the last word of the sentence would fall to B.
    assert labels(sentence_majority, tokens, (0, 1.9, A), (1.9, 5, B)) == (A, A, A, B, B)
    assert labels(sentence_majority, tokens, (0, 0.9, A), (0.9, 5, B)) == (B, B, B, B, B)


def test_sentence_majority_leaves_very_long_sentences() -> None:
    tokens = tokens_at(*((f"w{number}", number, number + 1) for number in range(60)))
    assert labels(sentence_majority, tokens, (0, 39.5, A), (39.5, 60, B)) == (A,) * 40 + (B,) * 20


def test_a_pause_goes_before_punctuation_and_overlap() -> None:
    # Most of "then" is B's and a sentence ended before it; the pause of 0.3 behind it keeps it with A.
    tokens = tokens_at(("so.", 1.0, 1.8), ("then", 1.9, 2.2), ("Why", 2.5, 3.0), ("not", 3.0, 4.0))
    assert labels(pause_or_punctuation, tokens, (0, 2.0, A), (2.0, 4, B)) == (A, A, B, B)


def test_punctuation_goes_before_overlap() -> None:
    tokens = tokens_at(("now.", 1.0, 2.0), ("Why", 2.0, 2.4), ("so", 2.4, 3.0), ("late", 3.0, 4.0))
    # "Why" is mostly A's by time, but the sentence before it has ended.
    assert labels(pause_or_punctuation, tokens, (0, 2.3, A), (2.3, 4, B)) == (A, B, B, B)


def test_overlap_decides_without_pause_and_punctuation() -> None:
    tokens = tokens_at(("one", 1.0, 2.0), ("two", 2.0, 2.4), ("three", 2.4, 3.0), ("four", 3.0, 4.0))
    assert labels(pause_or_punctuation, tokens, (0, 2.3, A), (2.3, 4, B)) == (A, A, B, B)
    assert labels(pause_or_punctuation, tokens, (0, 2.1, A), (2.1, 4, B)) == (A, B, B, B)


def test_turns_meet_in_the_middle_of_a_gap() -> None:
    tokens = tokens_at(("one", 0.0, 1.0), ("two", 1.4, 1.6), ("three", 2.4, 3.0), ("four", 3.0, 4.0))
    assert labels(pause_or_punctuation, tokens, (0, 1.0, A), (3.0, 4.0, B)) == (A, A, B, B)


def test_speaker_transfer_carries_voices_over_the_text() -> None:
    pytest.importorskip("diarizationlm")
    tokens = tokens_at(("Good", 0, 1), ("evening.", 1, 2), ("Hello", 2, 3), ("to", 3, 4), ("you", 4, 5))
    words = (("good", 0, 1), ("evening", 1, 2), ("hello", 2, 3), ("you", 4, 5))
    heard = Heard(tuple(HeardWord(*word, 1.0) for word in words), "en", ENGINE)
    one, two, three, four, five = speaker_transfer(tokens, heard, voices((0, 2, A), (2, 5, B)))
    assert one == two != three
    assert three == four == five  # "to" has no counterpart and follows the word before


def test_speaker_transfer_with_a_single_voice() -> None:
    pytest.importorskip("diarizationlm")
    tokens = tokens_at(("Good", 0, 1), ("evening.", 1, 2))
    assert len(set(labels(speaker_transfer, tokens, (0, 2, A)))) == 1


@pytest.mark.parametrize("name", BASELINES)
def test_unspoken_tokens_have_no_voice(name: str) -> None:
    if name == "speaker transfer":
        pytest.importorskip("diarizationlm")
    tokens = tokens_at(("one", 0, 1), ("[two", 1, 1), ("[three", 1, 1), ("four", 1, 2))
    found = labels(BASELINES[name], tokens, (0, 2, A))
    assert [bool(label) for label in found] == [True, False, False, True]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.05, 2), st.sampled_from([A, B, "C"])), min_size=1, max_size=12),
)
def test_far_from_edges_all_agree(lengths: list[tuple[float, str]]) -> None:
    """A word in one voice's segment, 0.3 s away from its edges, has that voice by every rule."""
    start, segments = 0.0, []
    for length, voice in lengths:
        segments.append((start, start + 1 + length, voice))
        start += 1 + length
    tokens = []
    for begin, end, _ in segments:
        tokens += tokens_at(("word.", begin + 0.3, end - 0.3))
    expected = tuple(voice for *_, voice in segments)
    assert labels(maximum_overlap, tokens, *segments) == expected
    assert labels(sentence_majority, tokens, *segments) == expected
    assert labels(pause_or_punctuation, tokens, *segments) == expected


# --------------------------------------------------------------------------- the comparison


def told(speaker: str, origin: Origin = Origin.SPOKEN) -> Truth:
    return Truth(0 if speaker else None, speaker, origin)


def test_either_copy_of_a_repeated_line_may_be_the_spoken_one() -> None:
    truth = [told(A), told(A), told("", Origin.REPEAT), told("", Origin.REPEAT), told(B)]
    repeats = [Repeat(0, 2, 4)]
    assert settle(truth, repeats, [False, False, True, True, False]) == [A, A, "", "", B]
    assert settle(truth, repeats, [True, True, False, False, False]) == ["", "", A, A, B]
    assert settle(truth, repeats, [False] * 5) == [A, A, "", "", B]


def test_a_stray_word_may_be_spoken_or_not() -> None:
    truth = [told(A), told(A, Origin.EXTRA), told(A)]
    assert settle(truth, [], [False, True, False]) == [A, "", A]
    assert settle(truth, [], [False, False, False]) == [A, A, A]


def test_every_method_is_measured_on_the_same_changes() -> None:
    scores = measure(from_interview(generate(2000, turns=9)))
    assert OURS in scores
    assert len({(score.turns.true, score.unspoken) for score in scores.values()}) == 1


def test_totals_add_up() -> None:
    scores = [measure(from_interview(generate(seed, turns=7)))["maximum overlap"] for seed in (2001, 2002)]
    both = total(scores)
    assert both.turns.exact == sum(score.turns.exact for score in scores)
    assert both.speakers.total == sum(score.speakers.total for score in scores)
    assert both.unspoken.both == sum(score.unspoken.both for score in scores)
