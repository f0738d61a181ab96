"""Cutting speech into chunks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engines import chunking
from pipelines.types import SAMPLE_RATE, Audio, Media, Span

DURATION = 60.0


def audio_of(duration: float, *pauses: Span) -> Audio:
    """Noise with silent pauses."""
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, round(duration * SAMPLE_RATE)).astype(np.float32)
    for pause in pauses:
        samples[round(pause.start * SAMPLE_RATE) : round(pause.end * SAMPLE_RATE)] *= 0.01
    return Audio(samples, Media("a.wav", "", 0, "wav", "pcm_s16le", SAMPLE_RATE, 1, duration))


NOISE = audio_of(DURATION)


def test_short_stretches_are_joined_over_short_pauses_and_widened() -> None:
    speech = [Span(1.0, 3.0), Span(3.3, 6.0), Span(6.7, 10.0)]
    assert chunking.cut(NOISE, speech, 15.0) == (Span(0.8, 6.2), Span(6.5, 10.2))


def test_nothing_is_joined_beyond_the_longest() -> None:
    speech = [Span(1.0, 3.0), Span(3.4, 6.0)]
    assert chunking.cut(NOISE, speech, 4.0) == (Span(0.8, 3.2), Span(3.2, 6.2))


def test_a_margin_stays_within_the_recording_and_takes_half_a_pause_at_most() -> None:
    speech = [Span(0.1, 3.0), Span(3.1, 59.95)]
    chunks = chunking.cut(audio_of(DURATION), speech, 57.0)
    assert chunks[0].start == 0.0
    assert chunks[0].end == chunks[1].start == pytest.approx(3.05)
    assert chunks[-1].end == DURATION


def test_long_speech_is_cut_in_its_pauses() -> None:
    audio = audio_of(40.0, Span(9.0, 9.3), Span(19.0, 19.2), Span(28.0, 28.5))
    chunks = chunking.cut(audio, [Span(0.0, 40.0)], 15.0)
    cuts = [chunk.end for chunk in chunks[:-1]]
    assert cuts == pytest.approx([9.15, 19.1, 28.25], abs=0.1)


def test_without_a_pause_the_cut_is_still_made() -> None:
    chunks = chunking.cut(NOISE, [Span(0.0, DURATION)], 10.0)
    assert chunks[0].start == 0.0
    assert chunks[-1].end == DURATION
    assert all(chunk.duration <= 10.0 for chunk in chunks)


def test_no_speech_gives_no_chunks() -> None:
    assert chunking.cut(NOISE, [], 15.0) == ()


def test_a_stretch_shorter_than_a_pause_is_cut_in_the_middle() -> None:
    assert chunking.quietest(np.ones(1000, np.float32)) == 1000 / SAMPLE_RATE / 2


@st.composite
def speech_spans(draw: st.DrawFn) -> list[Span]:
    times = sorted(edge / 100 for edge in draw(st.sets(st.integers(0, 6000), max_size=40)))
    return [Span(start, end) for start, end in zip(times[::2], times[1::2], strict=False)]


@given(speech_spans(), st.floats(0.5, 30.0))
def test_chunks_cover_all_speech_in_order_and_apart(speech: list[Span], longest: float) -> None:
    chunks = chunking.cut(NOISE, speech, longest)
    assert all(before.end <= after.start + 1e-9 for before, after in itertools.pairwise(chunks))
    assert all(chunk.duration <= longest + 2 * chunking.MARGIN + 1e-9 for chunk in chunks)
    assert all(0.0 <= chunk.start <= chunk.end <= DURATION for chunk in chunks)
    for span in speech:
        covered = sum(max(0.0, min(span.end, chunk.end) - max(span.start, chunk.start)) for chunk in chunks)
        assert covered == pytest.approx(span.duration)
