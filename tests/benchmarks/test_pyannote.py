"""What the benchmark of pyannote measures with."""

from __future__ import annotations

import pytest

from pipelines.types import SAMPLE_RATE
from tests.benchmarks import pyannote


def test_the_clip_over_and_over() -> None:
    clip, twice = pyannote.recording(70), pyannote.recording(140)
    assert len(clip.samples) == 70 * SAMPLE_RATE
    assert len(twice.samples) == 140 * SAMPLE_RATE
    assert (twice.samples[: 70 * SAMPLE_RATE] == clip.samples).all()
    assert clip.samples[65 * SAMPLE_RATE :].any()


def test_of_each_stage_the_fastest_round() -> None:
    rounds = [{"segmentation": 2.0, "embeddings": 5.0}, {"segmentation": 3.0, "embeddings": 4.0}]
    assert pyannote.fastest(rounds) == {"segmentation": 2.0, "embeddings": 4.0}


def test_stages_are_timed_from_their_first_call_to_their_last(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([1.0, 2.0, 4.0, 5.0, 7.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(moments))
    clock = pyannote.Clock()
    for stage in ("segmentation", "segmentation", "segmentation", "embeddings", "embeddings"):
        clock(stage, None, completed=1, total=3)
    assert clock.seconds("segmentation") == 3.0
    assert clock.seconds("embeddings") == 2.5


def test_the_table_gives_the_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    pyannote.print_speed({"embeddings": 2.0}, {32: {"embeddings": 9.0}, 1: {"embeddings": 6.0}}, 60)
    assert "4.5 ×" in (printed := capsys.readouterr().out)
    assert "3.0 ×" in printed
