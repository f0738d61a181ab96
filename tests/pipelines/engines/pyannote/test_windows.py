"""Chunks and frames lie where pyannote.audio has them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engines.pyannote.windows import Windows
from pipelines.types import SAMPLE_RATE

FRAME_DURATION, FRAME_STEP = 0.0619375, 0.016875  # of a PyanNet
CHUNK_FRAMES = 589

lengths = st.integers(1, 40 * SAMPLE_RATE)
steps = st.sampled_from([0.5, 1.0, 1.25, 2.5, 5.0, 10.0])


def windows(samples: int, step: float = 1.0) -> Windows:
    return Windows(samples, 10.0, step, FRAME_DURATION, FRAME_STEP)


@pytest.mark.parametrize(
    ("seconds", "chunks"), [(0.1, 1), (9.9, 1), (10.0, 1), (10.1, 2), (11.0, 2), (11.1, 3), (60.0, 51)]
)
def test_how_many_chunks(seconds: float, chunks: int) -> None:
    assert windows(round(seconds * SAMPLE_RATE)).chunks == chunks


@given(lengths, steps)
def test_every_sample_is_in_a_chunk_and_every_frame_of_a_chunk_in_the_recording(
    length: int, step: float
) -> None:
    found = windows(length, step)
    assert (found.chunks - 1) * round(step * SAMPLE_RATE) + found.chunk_samples >= length
    assert found.first_frames[0] == 0
    assert found.first_frames[-1] + CHUNK_FRAMES <= found.frames == len(found.frame_times)


@given(lengths, steps)
def test_they_are_where_pyannote_has_them(length: int, step: float) -> None:
    from pyannote.core import SlidingWindow  # noqa: PLC0415

    found = windows(length, step)
    chunks = SlidingWindow(start=0.0, duration=10.0, step=step)
    frames = SlidingWindow(start=0.0, duration=FRAME_DURATION, step=FRAME_STEP)
    firsts = [frames.closest_frame(chunks[i].start + 0.5 * FRAME_DURATION) for i in range(found.chunks)]
    assert found.first_frames.tolist() == firsts
    end = 10.0 + (found.chunks - 1) * step + 0.5 * FRAME_DURATION
    assert found.frames == frames.closest_frame(end) + 1
    assert found.frame_times.tolist() == [frames[i].middle for i in range(found.frames)]


@given(lengths)
def test_a_cut_is_a_view_or_ends_in_silence(length: int) -> None:
    samples = np.arange(1, length + 1, dtype=np.float32)
    found = windows(length)
    for chunk in {0, found.chunks // 2, found.chunks - 1}:
        cut = found.cut(samples, chunk)
        here = samples[chunk * SAMPLE_RATE :][: len(cut)]
        assert len(cut) == found.chunk_samples
        assert np.array_equal(cut[: len(here)], here)
        assert not cut[len(here) :].any()
