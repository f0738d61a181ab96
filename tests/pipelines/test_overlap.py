"""Who is in front where two voices speak at once. Every column is a second."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.overlap import exclusive, join_segments, overlaps
from pipelines.types import Span, SpeakerSegment


def draw(*lines: str) -> list[SpeakerSegment]:
    """Segments of lines "a |===  ===|", one for each voice."""
    return [
        SpeakerSegment(float(run.start()), float(run.end()), line[0])
        for line in lines
        for run in re.finditer("=+", line.partition("|")[2])
    ]


def seen(segments: tuple[SpeakerSegment, ...]) -> str:
    """The voice of every second."""
    line = [" "] * 20
    for segment in segments:
        for second in range(int(segment.start), int(segment.end)):
            line[second] = segment.speaker
    return "".join(line).rstrip()


@pytest.mark.parametrize(
    ("voices", "front"),
    [
        (("a |====", "b |    ===="), "aaaabbbb"),
        (("a |======", "b |    ===="), "aaaabbbb"),
        (("a |==========", "b |    ==="), "aaaabbbaaa"),
        (("a |==========", "b |  ======", "c |    =="), "aabbccbbaa"),
        (("a |===  ===", "b |=== "), "bbb  aaa"),
        (("a |  ====", "a |    ====", "b |         =="), "  aaaaaa bb"),
        ((), ""),
    ],
)
def test_who_began_last_is_in_front(voices: tuple[str, ...], front: str) -> None:
    assert seen(exclusive(draw(*voices))) == front


@pytest.mark.parametrize(
    ("voices", "both"),
    [
        (("a |====", "b |    ===="), []),
        (("a |======", "b |    ===="), [(4, 6)]),
        (("a |==========", "b |    ==="), [(4, 7)]),
        (("a |======", "a |   ======"), []),
        (("a |======", "b |    =====", "c |     ===="), [(4, 9)]),
    ],
)
def test_when_more_than_one_speaks(voices: tuple[str, ...], both: list[tuple[int, int]]) -> None:
    assert [(span.start, span.end) for span in overlaps(draw(*voices))] == both


SEGMENTS = st.lists(
    st.tuples(st.integers(0, 18), st.integers(1, 8), st.sampled_from("abc")).map(
        lambda drawn: SpeakerSegment(float(drawn[0]), float(drawn[0] + drawn[1]), drawn[2])
    ),
    max_size=8,
)


@given(SEGMENTS)
def test_every_second_is_as_a_count_says(segments: list[SpeakerSegment]) -> None:
    """Against counting second by second."""
    front, both = exclusive(segments), overlaps(segments)
    assert all(a.end <= b.start for a, b in pairwise(front))
    for second in range(30):
        speaking = [s for s in segments if s.start <= second < s.end]
        in_front = [s for s in front if s.start <= second < s.end]
        assert len(in_front) == bool(speaking)
        if speaking:
            last = max(s.start for s in speaking)
            assert in_front[0].speaker in {s.speaker for s in speaking if s.start == last}
        several = len({s.speaker for s in speaking}) > 1
        assert several == any(span.start <= second < span.end for span in both)


@given(SEGMENTS)
def test_what_does_not_overlap_stays(segments: list[SpeakerSegment]) -> None:
    front = exclusive(segments)
    assert exclusive(front) == front
    assert overlaps(front) == ()


def quadratic_overlaps(segments: list[SpeakerSegment]) -> list[Span]:
    """The oracle: each segment against every voice so far."""
    found: list[Span] = []
    last: dict[str, float] = {}
    for segment in sorted(segments, key=lambda segment: segment.start):
        until = max((end for speaker, end in last.items() if speaker != segment.speaker), default=0.0)
        end = min(until, segment.end)
        if found and segment.start < end and segment.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, end))
        elif segment.start < end:
            found.append(Span(segment.start, end))
        last[segment.speaker] = max(last.get(segment.speaker, 0.0), segment.end)
    return found


@given(
    st.lists(
        st.builds(
            lambda start, length, speaker: SpeakerSegment(start, start + length, speaker),
            st.floats(0, 20) | st.integers(0, 20).map(float),
            st.floats(0, 8) | st.integers(0, 8).map(float),
            st.sampled_from(["", *"abcde"]),
        ),
        max_size=25,
    )
)
def test_overlaps_are_those_of_the_quadratic_method(segments: list[SpeakerSegment]) -> None:
    assert list(overlaps(segments)) == quadratic_overlaps(segments)


def test_a_hundred_thousand_segments_of_four_thousand_voices() -> None:
    """With a look at every voice for every segment, the suite would stand still here for minutes."""
    segments = [SpeakerSegment(0.1 * i, 0.1 * i + 0.15, f"v{i % 4000}") for i in range(100_000)]
    both = overlaps(segments)
    assert len(both) == 99_999
    assert sum(span.duration for span in both) == pytest.approx(0.05 * 99_999)


def test_neighbours_of_one_speaker_become_one_segment() -> None:
    pieces = [
        SpeakerSegment(*times)
        for times in [(0, 1, "a"), (1, 2, "a"), (2.25, 3, "a"), (4, 5, "a"), (5, 6, "b")]
    ]
    assert join_segments(pieces, 0.25) == (
        SpeakerSegment(0, 3, "a"),
        SpeakerSegment(4, 5, "a"),
        SpeakerSegment(5, 6, "b"),
    )
