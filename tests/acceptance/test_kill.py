"""A short form of the kill test: `python -m tests.acceptance.kill` is the long one, and has the figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.kill import report, trial
from tests.support.postgres import ADVICE, find

pytestmark = pytest.mark.acceptance

MOST_SECONDS = 60.0
"""For a takeover: on a machine that is busy with other tests only its end can be asked for."""


@pytest.mark.parametrize(
    ("database", "storage", "kills"), [("sqlite", "folder", 4), ("postgresql", "objects", 3)]
)
def test_kills_cost_nothing(tmp_path: Path, database: str, storage: str, kills: int) -> None:
    if database == "postgresql" and find() is None:
        pytest.skip(ADVICE)
    seen, findings = trial(tmp_path, database, kills, seed=5, under_way=5, storage=storage)
    said: list[str] = []
    assert report(seen, findings, MOST_SECONDS, said.append), "\n".join(said)
    assert len(seen.kills) >= kills
    assert findings.interrupted, "nothing was hit"
    if seen.server is not None:
        assert seen.server_kills + seen.server_restarts, "the database was left alone"
