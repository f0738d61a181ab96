"""schemathesis asks a running service, in a form that fits the suite; longer: make fuzz-api."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.schemathesis_run import ask

pytestmark = pytest.mark.acceptance

OPERATIONS = 20


@pytest.mark.parametrize(
    ("with_key", "options"),
    [
        (True, ("--phases", "examples,fuzzing,stateful", "--max-examples", "4", "--max-time", "15")),
        (False, ("--phases", "coverage", "--exclude-tag", "transcriptions", "--max-time", "20")),
    ],
    ids=["by chance, in the order of links, with a key", "at the limits, without keys"],
)
def test_nothing_it_asks_is_answered_with_what_the_document_does_not_say(
    tmp_path: Path, with_key: bool, options: tuple[str, ...]
) -> None:
    outcome = ask(tmp_path, with_key, "--seed", "4", *options)
    assert outcome.passed, str(outcome)
    assert outcome.answers.total() >= 2 * OPERATIONS, str(outcome)
    assert {200, 204, 404, 422} <= set(outcome.answers), str(outcome)
