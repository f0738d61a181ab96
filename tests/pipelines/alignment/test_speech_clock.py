"""Speech time.

speech    ==  ==    duration 5        seconds   0   1   2   3   4   5
         0 1  2 3                     said      0   1   1   2   2   2
"""

from __future__ import annotations

from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.alignment.speech_clock import SpeechClock
from pipelines.types import Span

DURATION = 20.0
STEPS_PER_SECOND = 8
MOMENTS = st.integers(-8, 8 * 24).map(lambda step: step / STEPS_PER_SECOND)
NEEDS = st.lists(st.sampled_from([0.0, 0.1, 0.25, 1.0, 3.0]), min_size=1, max_size=8)


@st.composite
def speeches(draw: st.DrawFn) -> list[Span]:
    """Ordered, apart or touching, on a grid of eighths of a second."""
    steps = draw(st.lists(st.integers(0, 24), max_size=12))
    edges = [edge / STEPS_PER_SECOND for edge in accumulate(steps) if edge <= DURATION * STEPS_PER_SECOND]
    return [Span(start, end) for start, end in zip(edges[::2], edges[1::2], strict=False)]


def integrate(speech: list[Span], start: float, end: float) -> float:
    """Speech in [start, end], counted step by step."""
    steps = np.arange(0, DURATION, 1 / STEPS_PER_SECOND) + 0.5 / STEPS_PER_SECOND
    spoken = sum(((span.start < steps) & (steps < span.end) for span in speech), np.zeros(len(steps), bool))
    return float((spoken & (start < steps) & (steps < end)).sum()) / STEPS_PER_SECOND


def share(clock: SpeechClock, start: float, end: float, *need: float) -> list[tuple[float, float]]:
    """Pairs of start and end, to the millisecond."""
    starts, ends = clock.share(start, end, np.array(need))
    return [(round(float(s), 3), round(float(e), 3)) for s, e in zip(starts, ends, strict=True)]


PAUSES = SpeechClock([Span(0, 1), Span(2, 3)], 5.0)


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        (0, 5, 2),
        (0, 0.5, 0.5),
        (0.5, 2.5, 1),
        (1, 2, 0),
        (3, 5, 0),
        (2.5, 99, 0.5),
        (-5, 0.5, 0.5),
        (1, 1, 0),
    ],
)
def test_speech_between_two_moments(start: float, end: float, seconds: float) -> None:
    assert PAUSES.between(start, end) == pytest.approx(seconds)


@given(speeches().filter(bool), MOMENTS, MOMENTS)
@settings(deadline=None)
def test_speech_between_two_moments_is_what_a_count_of_small_steps_gives(
    speech: list[Span], one: float, other: float
) -> None:
    start, end = sorted((one, other))
    assert SpeechClock(speech, DURATION).between(start, end) == pytest.approx(integrate(speech, start, end))


@given(speeches(), st.lists(MOMENTS, min_size=3, max_size=3).map(sorted))
@settings(deadline=None)
def test_speech_adds_up(speech: list[Span], moments: list[float]) -> None:
    clock = SpeechClock(speech, DURATION)
    a, b, c = moments
    assert clock.between(a, b) + clock.between(b, c) == pytest.approx(clock.between(a, c))
    assert clock.between(c, a) == pytest.approx(-clock.between(a, c))


def test_without_detected_speech_all_of_it_may_be_speech() -> None:
    assert SpeechClock([], 5.0).between(1, 3) == 2
    assert SpeechClock([], 0.0).between(0, 0) == 0


def test_overlapping_speech_counts_once() -> None:
    assert SpeechClock([Span(0, 3), Span(1, 2), Span(2, 4)], 5.0).between(0, 5) == 4


def test_speech_after_the_end_of_the_recording_does_not_count() -> None:
    clock = SpeechClock([Span(3, 9), Span(11, 12)], 5.0)
    assert clock.between(0, 20) == 2
    assert share(clock, 0, 20, 1, 1) == [(3, 4), (4, 5)]


# --------------------------------------------------------------------------- sharing


def test_stretches_follow_their_needs() -> None:
    #  ====  need 1:3
    assert share(PAUSES, 2, 3, 1, 3) == [(2, 2.25), (2.25, 3)]


def test_a_pause_belongs_to_nobody() -> None:
    #  ====    ====  need 1:1; what ends at a pause ends before it, what starts there starts after it
    assert share(PAUSES, 0, 3, 1, 1) == [(0, 1), (2, 3)]


def test_the_last_stretch_is_not_drawn_over_the_pause_behind_it() -> None:
    assert share(PAUSES, 0.5, 2, 1) == [(0.5, 1)]
    assert share(PAUSES, 2.5, 5, 1, 1) == [(2.5, 2.75), (2.75, 3)]


def test_the_first_stretch_starts_behind_the_pause_in_front_of_it() -> None:
    assert share(PAUSES, 1.5, 3, 1) == [(2, 3)]


def test_a_stretch_may_go_on_after_a_pause() -> None:
    assert share(PAUSES, 0, 3, 3, 1) == [(0, 2.5), (2.5, 3)]


def test_without_speech_time_itself_is_shared() -> None:
    assert share(PAUSES, 3, 5, 1, 3) == [(3, 3.5), (3.5, 5)]
    assert share(PAUSES, 4, 4, 1, 3) == [(4, 4), (4, 4)]


def test_nothing_to_share_out() -> None:
    starts, ends = PAUSES.share(0, 3, np.empty(0))
    assert len(starts) == len(ends) == 0


@given(speeches(), MOMENTS, MOMENTS, NEEDS)
@settings(deadline=None)
def test_stretches_are_in_order_and_inside(
    speech: list[Span], one: float, other: float, needs: list[float]
) -> None:
    start, end = sorted((one, other))
    starts, ends = SpeechClock(speech, DURATION).share(start, end, np.array(needs))
    assert len(starts) == len(ends) == len(needs)
    assert ((start <= starts) & (starts <= ends) & (ends <= end)).all()
    assert all(before <= after for before, after in pairwise(starts))
    assert all(before <= after for before, after in pairwise(ends))
    assert all(end <= start + 1e-5 for end, start in zip(ends, starts[1:], strict=False))


@given(speeches(), NEEDS.filter(any))
@settings(deadline=None)
def test_every_stretch_has_its_share_of_the_speech(speech: list[Span], needs: list[float]) -> None:
    clock = SpeechClock(speech, DURATION)
    whole = clock.between(0, DURATION)
    starts, ends = clock.share(0, DURATION, np.array(needs))
    for start, end, need in zip(starts, ends, needs, strict=True):
        assert clock.between(start, end) == pytest.approx(whole * need / sum(needs), abs=1e-4)
