from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from pipelines.text import joined
from pipelines.types import Correction, Match, Transcript
from tests.pipelines.formats.sample import build, said, sample, words_of
from tests.pipelines.formats.strategies import transcripts


def read(transcript: Transcript) -> list[str]:
    return [joined(words) for words in words_of(transcript)]


def corrected(text: str, *corrections: Correction) -> Transcript:
    return replace(build(said("A", text)), corrections=corrections)


def test_the_words_of_a_turn_are_its_corrected_text() -> None:
    assert read(sample()) == [turn.corrected for turn in sample().turns]


@given(transcripts())
def test_without_corrections_the_words_are_the_spoken_tokens(transcript: Transcript) -> None:
    spoken = [token.token.text for token in transcript.tokens if token.match is not Match.NOT_SPOKEN]
    words = words_of(replace(transcript, corrections=()))
    assert [word.text for turn in words for word in turn] == spoken


@given(transcripts())
def test_times_of_words_never_decrease(transcript: Transcript) -> None:
    words = [word for turn in words_of(transcript) for word in turn]
    starts = [word.start for word in words]
    assert starts == sorted(starts)
    assert all(word.start <= word.end for word in words)


def test_several_words_for_one_share_its_time_by_length() -> None:
    (words,) = words_of(corrected("alot more", Correction(0, 1, "alot", "a lot", "")))
    assert [(word.text, round(word.start, 3), round(word.end, 3)) for word in words] == [
        ("a", 0.6, 0.7),
        ("lot", 0.7, 1.0),
        ("more", 1.0, 1.4),
    ]


def test_one_word_for_several_takes_all_their_time() -> None:
    (words,) = words_of(corrected("per sonally", Correction(0, 2, "per sonally", "personally", "")))
    assert [(word.text, word.start, word.end) for word in words] == [("personally", 0.6, 1.4)]


def test_an_insertion_stands_before_its_token() -> None:
    assert read(corrected("Kyiv's allies", Correction(0, 0, "", "Kyiv or", ""))) == ["Kyiv or Kyiv's allies"]


def test_a_correction_that_overlaps_another_is_left_out() -> None:
    both = Correction(0, 2, "a b", "x", ""), Correction(1, 3, "b c", "y", "")
    assert read(corrected("a b c", *both)) == ["x c"]


def test_words_that_touch_in_the_text_stay_together() -> None:
    plain = build(said("A", "你 好"))
    first, second = (token.token for token in plain.tokens)
    second = replace(second, char_start=first.char_end, char_end=first.char_end + 1)
    tokens = (plain.tokens[0], replace(plain.tokens[1], token=second))
    assert read(replace(plain, tokens=tokens)) == ["你好"]
