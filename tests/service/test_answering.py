"""The lines that processes answer with."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from service.work import answering

PRINTING = """
import os
from service.work import answering

answer = answering.opened()
print("a library")
os.write(1, b"another one, in C")
answer(answering.failed("text", "“é”"))
"""


def test_progress_is_told_five_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    answers: list[dict[str, object]] = []
    progress = answering.paced(answers.append)
    for step in range(100):
        now = 1000.0 + step / 100
        progress(step / 100)
    fractions = [answer["progress"] for answer in answers]
    assert fractions == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8], abs=0.02)


def test_prints_of_libraries_do_not_mix_with_the_answers() -> None:
    run = subprocess.run([sys.executable, "-c", PRINTING], capture_output=True, check=True)
    assert json.loads(run.stdout) == {"failed": {"code": "text", "message": "“é”"}}
    assert b"a library" in run.stderr
    assert b"another one" in run.stderr
