from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from pipelines.formats.cue_cutting import LINE_CHARACTERS, LONGEST, clock, cues, wrap
from pipelines.text import joined
from pipelines.types import Role, Transcript
from tests.pipelines.formats.sample import build, said, sample, speaker, words_of
from tests.pipelines.formats.strategies import transcripts


def texts(transcript: Transcript) -> list[str]:
    return [joined(cue.words) for cue in cues(transcript)]


@given(transcripts())
def test_nothing_is_lost_or_moved(transcript: Transcript) -> None:
    read = "".join(word.text for turn in words_of(transcript) for word in turn)
    assert "".join(word.text for cue in cues(transcript) for word in cue.words) == read


@given(transcripts())
def test_cues_keep_to_the_limits(transcript: Transcript) -> None:
    for cue in cues(transcript):
        lines = wrap(cue.words)
        assert len(lines) <= 2
        assert all(len(line) <= LINE_CHARACTERS for line in lines)
        assert cue.end - cue.start <= LONGEST + 1e-9 or len(cue.words) == 1


@given(transcripts())
def test_cues_are_in_order_and_never_empty_after_rounding(transcript: Transcript) -> None:
    result = cues(transcript)
    assert [cue.start for cue in result] == sorted(cue.start for cue in result)
    assert all(clock(cue.start) < clock(cue.end) for cue in result)
    assert all(cue.words for cue in result)


@given(transcripts())
def test_a_cue_never_mixes_turns(transcript: Transcript) -> None:
    result = iter(cues(transcript))
    for turn, words in zip(transcript.turns, words_of(transcript), strict=True):
        left = sum(len(word.text) for word in words)
        while left > 0:
            cue = next(result)
            assert cue.speaker == turn.speaker
            left -= sum(len(word.text) for word in cue.words)
        assert left == 0


def test_cut_after_the_sentence() -> None:
    text = "The talks begin in Geneva today. Nobody knows how long they may take or what they bring."
    assert texts(build(said("A", text))) == [
        "The talks begin in Geneva today.",
        "Nobody knows how long they may take or what they bring.",
    ]


def test_cut_at_a_pause() -> None:
    plain = build(said("A", "so I came here to be with my old friends"))
    later = tuple(
        replace(token, start=token.start + 2.0, end=token.end + 2.0) if index >= 4 else token
        for index, token in enumerate(plain.tokens)
    )
    assert texts(replace(plain, tokens=later)) == ["so I came here", "to be with my old friends"]


def test_a_new_speaker_opens_a_cue_and_one_who_goes_on_does_not() -> None:
    assert [(cue.name, cue.opens) for cue in cues(sample())] == [
        ("Anchor", True),
        ("Anchor", False),
        ("Ana Ruiz", True),
        ("Anchor", True),
        ("Jon Berg", True),
    ]


def test_a_short_answer_stays_until_the_next_cue_or_a_second() -> None:
    plain = build([*said("A", "Yes."), *said("B", "No.")], (speaker("A", Role.ANCHOR), speaker("B")))
    assert [(cue.start, round(cue.end, 3)) for cue in cues(plain)] == [(0.6, 1.5), (1.5, 2.5)]


def test_lines_break_evenly_and_after_punctuation() -> None:
    words = words_of(build(said("A", "Thank you so much for that, and now we go over to Riga")))[0]
    assert wrap(words) == ["Thank you so much for that,", "and now we go over to Riga"]


def test_room_taken_on_the_first_line_counts() -> None:
    words = words_of(build(said("A", "it was clear from the very start to all")))[0]
    assert len(wrap(words)) == 1
    first, second = wrap(words, taken=20)
    assert 20 + len(first) <= LINE_CHARACTERS
    assert len(second) > len(first)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (0.0, "00:00:00.000"),
        (59.9996, "00:01:00.000"),
        (3661.5, "01:01:01.500"),
        (360_000.0, "100:00:00.000"),
    ],
)
def test_clock(time: float, expected: str) -> None:
    assert clock(time) == expected
