"""The measuring itself: sizes and memory are those of what runs. No test looks at a clock."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.benchmarks.memory import PeakMemory, proportional_bytes, tree
from tests.benchmarks.performance import (
    MEBIBYTE,
    Cost,
    StageMeter,
    alignment_table,
    interview_of,
    main,
    measure_alignment,
    stage_table,
)

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_memory_that_was_freed_is_still_the_peak() -> None:
    with PeakMemory() as memory:
        before_bytes = memory.reset()
        block = np.ones(64 * MEBIBYTE, dtype=np.uint8)
        memory.sample()
        del block
        peak_bytes = memory.reset()
    assert peak_bytes - before_bytes == pytest.approx(64 * MEBIBYTE, rel=0.2)


def test_children_count() -> None:
    hold = "import sys; block = b'x' * (64 << 20); print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=-1, stdout=-1, text=True) as child:
        assert child.stdout
        child.stdout.readline()
        assert child.pid in tree(os.getpid())
        assert proportional_bytes(child.pid) > 64 * MEBIBYTE
        child.communicate("")
    assert proportional_bytes(child.pid) == 0


def test_alignment_is_measured_on_as_many_words_as_asked_for() -> None:
    cost = measure_alignment(500)
    assert cost.size == 500
    assert cost.peak_bytes >= cost.before_bytes > 0
    assert len(interview_of(3000).supplied.tokens) >= 3000


def test_growth_is_from_row_to_row() -> None:
    table = alignment_table([Cost(1000, 1.0, MEBIBYTE, MEBIBYTE), Cost(10_000, 12.0, MEBIBYTE, MEBIBYTE)])
    assert list(table.columns[-1].cells) == ["", "12.0 for 10.0"]


def test_stages_that_run_at_once_are_both_charged() -> None:
    with PeakMemory() as memory:
        meter = StageMeter(memory)
        meter.watch("transcribe", 0.0)
        meter.watch("diarize", 0.0)
        block = np.ones(64 * MEBIBYTE, dtype=np.uint8)
        meter.watch("diarize", 1.0)
        del block
        meter.watch("transcribe", 1.0)
        meter.watch("align", 0.0)
        meter.watch("align", 1.0)
    assert meter.peak_bytes["transcribe"] == meter.peak_bytes["diarize"]
    assert meter.peak_bytes["transcribe"] - meter.peak_bytes["align"] > 32 * MEBIBYTE
    assert meter.began["transcribe"] <= meter.began["diarize"] <= meter.ended["diarize"]
    assert meter.ended["diarize"] <= meter.ended["transcribe"] <= meter.began["align"]


def test_the_table_of_stages_ends_with_all() -> None:
    with PeakMemory() as memory:
        meter = StageMeter(memory)
        meter.watch("align", 0.0)
        meter.watch("align", 1.0)
    table = stage_table(meter, duration=10.0)
    assert list(table.columns[0].cells) == ["align", "all"]


@pytest.mark.parametrize("arguments", [[], ["--recording", "a.wav"], ["--text", "a.txt"]])
def test_the_command_says_what_it_needs(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert "give --recording with its --text" in capsys.readouterr().err
