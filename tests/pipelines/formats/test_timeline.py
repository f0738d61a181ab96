from __future__ import annotations

import re

import pytest

from pipelines.formats.timeline import axis, bars, minutes


@pytest.mark.parametrize(
    ("time", "expected"),
    [(0.0, "0:00"), (59.99, "0:59"), (61.0, "1:01"), (3600.0, "1:00:00"), (36_061.0, "10:01:01")],
)
def test_minutes(time: float, expected: str) -> None:
    assert minutes(time) == expected


def test_a_bar_lies_where_its_time_is() -> None:
    assert 'class="s1" x="25.000%" width="50.000%"' in bars([(10.0, 30.0, "s1")], 40.0)


def test_nothing_lies_beyond_the_end() -> None:
    assert 'x="100.000%"' in bars([(50.0, 60.0, "s1")], 40.0)


def test_no_duration_is_no_error() -> None:
    assert 'x="0%"' in bars([(0.0, 0.0, "s1")], 0.0)


@pytest.mark.parametrize("duration", [0.5, 7.0, 59.0, 647.0, 3600.0, 21_600.0, 86_400.0])
def test_an_axis_has_a_few_round_times(duration: float) -> None:
    times = re.findall(r">([\d:]+)</text>", axis(duration))
    assert times[0] == "0:00"
    assert 1 <= len(times) <= 9
    assert len(set(times)) == len(times)
