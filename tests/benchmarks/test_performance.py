"""The measuring itself: sizes and memory are those of what runs. No test looks at a clock."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.benchmarks.memory import PeakMemory, proportional_bytes, tree
from tests.benchmarks.performance import MEBIBYTE, Cost, alignment_table, interview_of, measure_alignment

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
