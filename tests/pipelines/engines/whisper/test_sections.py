"""Dividing speech into sections, and finding their words in the recording again."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engines.chunking import MARGIN
from pipelines.engines.whisper.sections import (
    EARLIEST_END,
    LONGEST_KEPT_PAUSE,
    LONGEST_SAMPLES,
    LONGEST_SECTION,
    SHORTEST_SAMPLES,
    Section,
    divide,
)
from pipelines.types import SAMPLE_RATE, Audio, HeardWord, Media, Span


def counting(duration: float) -> Audio:
    """Every sample is its own number, so that one can see where it is from."""
    samples = np.arange(round(duration * SAMPLE_RATE), dtype=np.float32)
    return Audio(samples, Media("a.wav", "", 0, "wav", "pcm_s16le", SAMPLE_RATE, 1, duration))


def noise(duration: float) -> Audio:
    samples = np.random.default_rng(1).standard_normal(round(duration * SAMPLE_RATE)) * 0.1
    recording = counting(duration)
    return Audio(samples.astype(np.float32), recording.media)


def seconds(section: Section) -> list[tuple[float, float]]:
    return [(round(piece.start, 3), round(piece.end, 3)) for piece in section.pieces]


def test_a_short_pause_stays_and_a_long_one_goes() -> None:
    speech = [Span(1.0, 5.0), Span(5.9, 8.0), Span(40.0, 44.0)]
    (section,) = divide(counting(60), speech)
    assert seconds(section) == [(0.8, 8.2), (39.8, 44.2)]
    assert section.duration == pytest.approx(11.8)


def test_the_samples_are_those_of_the_pieces() -> None:
    section = Section((Span(1.0, 2.0), Span(10.0, 10.5)))
    samples = section.cut(counting(20))
    assert len(samples) == 1.5 * SAMPLE_RATE
    assert samples[[0, 15_999, 16_000, -1]].tolist() == [16_000, 31_999, 160_000, 167_999]


def test_very_short_ones_are_filled_up() -> None:
    samples = Section((Span(1.0, 1.01),)).cut(counting(2))
    assert len(samples) == SHORTEST_SAMPLES
    assert not samples[160:].any()


def test_a_section_ends_in_its_longest_pause() -> None:
    speech = [Span(0, 9), Span(9.3, 18), Span(18.3, 21), Span(21.8, 24), Span(24.3, 29), Span(29.3, 38)]
    first, second = divide(counting(40), speech)
    assert first.pieces[-1].end == pytest.approx(21 + MARGIN)
    assert second.pieces[0].start == pytest.approx(21.8 - MARGIN)


def test_speech_without_a_pause_is_cut_all_the_same() -> None:
    parts = divide(noise(95), [Span(0, 95)])
    assert all(EARLIEST_END <= part.duration <= LONGEST_SECTION for part in parts[:-1])
    assert [part.pieces[0].start for part in parts[1:]] == [part.pieces[-1].end for part in parts[:-1]]
    assert sum(part.duration for part in parts) == pytest.approx(95)


def test_no_speech_no_sections() -> None:
    assert divide(counting(5), []) == ()
    assert divide(counting(5), [Span(6, 7)]) == ()  # behind the end
    assert divide(counting(5), [Span(5, 5)]) == ()


def test_words_are_placed_in_the_piece_of_their_middle() -> None:
    section = Section((Span(1.0, 3.0), Span(10.0, 12.0)))

    def placed(start: float, end: float) -> tuple[float, float]:
        word = section.place(HeardWord("word", start, end, 0.5))
        return word.start, word.end

    assert placed(0.5, 1.0) == (1.5, 2.0)
    assert placed(2.5, 3.0) == (10.5, 11.0)
    assert placed(1.5, 2.2) == (2.5, 3.0)  # most of it before the seam: ends there
    assert placed(1.9, 2.7) == (10.0, 10.7)
    assert placed(3.5, 9.0) == (11.5, 12.0)  # behind the end
    assert placed(-1.0, 0.1) == (1.0, 1.1)


@st.composite
def speech_in(draw: st.DrawFn) -> tuple[float, list[Span]]:
    lengths = draw(st.lists(st.tuples(st.floats(0, 8), st.floats(0.01, 45)), max_size=12))
    spans, at = [], 0.0
    for pause, length in lengths:
        spans.append(Span(at + pause, at + pause + length))
        at += pause + length
    return at + draw(st.floats(-0.5, 3)), spans


@given(speech_in())
def test_sections_hold_all_speech_in_order_and_nothing_far_from_it(drawn: tuple[float, list[Span]]) -> None:
    duration, speech = drawn
    recording = counting(max(0.1, duration))
    parts = divide(recording, speech)
    pieces = [piece for part in parts for piece in part.pieces]
    assert all(part.duration <= LONGEST_SECTION + 1e-6 for part in parts)
    assert all(a.end <= b.start + 1e-6 for a, b in pairwise(pieces))
    for span in speech:
        end = min(span.end, recording.duration)
        missing = (end - span.start) - sum(
            max(0.0, min(end, piece.end) - max(span.start, piece.start)) for piece in pieces
        )
        assert missing <= 1e-6
    for piece in pieces:
        inside = [s for s in speech if s.end >= piece.start - 1e-6 and s.start <= piece.end + 1e-6]
        assert piece.start >= inside[0].start - MARGIN - 1e-6
        assert piece.end <= inside[-1].end + MARGIN + 1e-6
        assert all(b.start - a.end <= LONGEST_KEPT_PAUSE + 2 * MARGIN + 1e-6 for a, b in pairwise(inside))


@given(speech_in(), st.floats(-1, 40), st.floats(0, 5))
def test_a_placed_word_lies_in_its_section(
    drawn: tuple[float, list[Span]], start: float, length: float
) -> None:
    duration, speech = drawn
    recording = counting(max(0.1, duration))
    for part in divide(recording, speech):
        assert SHORTEST_SAMPLES <= len(part.cut(recording)) <= LONGEST_SAMPLES
        word = part.place(HeardWord("word", start, start + length, 1.0))
        assert any(p.start - 0.001 <= word.start <= word.end <= p.end + 0.001 for p in part.pieces)
