"""A short form of the test of two hosts: `python -m tests.acceptance.cut` is the long one, and has the
figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.cut import report, trial
from tests.acceptance.hosts import Way, why_not
from tests.support.postgres import ADVICE, find

pytestmark = pytest.mark.acceptance

MOST_SECONDS = 60.0
"""For a takeover: on a machine that is busy with other tests only its end can be asked for."""


def test_cutting_a_host_off_costs_nothing(tmp_path: Path) -> None:
    if find() is None:
        pytest.skip(ADVICE)
    if reason := why_not():
        pytest.skip(reason)
    seen, found = trial(tmp_path, cuts=2, seed=7, begin=3)
    said: list[str] = []
    assert report(seen, found, MOST_SECONDS, said.append), "\n".join(said)
    assert {cut.way for cut in seen.cuts} == set(Way)
    assert [cut.site.serves for cut in seen.cuts] == [True, False]
    assert found.together, "no stage was under way on both hosts"
    assert found.given_up, "nothing had to be stopped"
    assert seen.stops, "nobody was told to stop while he was cut off"
