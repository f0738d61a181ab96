from __future__ import annotations

import pytest

from pipelines.scoring.measures import DiarizationError
from pipelines.types import SpeakerSegment
from tests.benchmarks.diarization import Edges, changes, compare_edges, percent


def segments(*parts: tuple[float, float, str]) -> list[SpeakerSegment]:
    return [SpeakerSegment(*part) for part in parts]


TRUE = segments((0, 5, "a"), (5.4, 9, "b"), (9, 12, "b"), (12.5, 20, "a"))


def test_a_change_is_between_two_speakers() -> None:
    assert changes(TRUE) == [(5, 5.4), (12, 12.5)]


def test_edges_of_the_found_changes() -> None:
    found = segments((0.1, 5.1, "1"), (5.3, 8, "2"), (8, 9, "3"), (9, 12.5, "2"), (12.5, 20, "1"))
    edges = compare_edges(TRUE, found)
    assert (edges.true, edges.found, edges.false) == (2, 2, 2)
    assert edges.errors == pytest.approx((0.1, 0.1, 0.5, 0.0))


def test_nothing_found() -> None:
    assert compare_edges(TRUE, segments((0, 20, "1"))) == Edges(2, (), 0)


def test_percentages_are_of_all_speech() -> None:
    errors = [DiarizationError(1.0, 0.0, 1.0, 10.0), DiarizationError(0.0, 0.0, 2.0, 90.0)]
    assert percent(errors, lambda error: error.confusion) == "3.00"
