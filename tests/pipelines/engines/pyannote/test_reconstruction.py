"""Frames put together as pyannote.audio does, a block at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engines.pyannote import reconstruction
from pipelines.engines.pyannote.clustering import NOBODY
from pipelines.engines.pyannote.imports import import_pyannote
from pipelines.engines.pyannote.reconstruction import NO_SPEAKER, fill_pauses, rank, spans
from pipelines.engines.pyannote.segmentation import Segmentation, count_speakers
from tests.pipelines.engines.pyannote.test_segmentation import (
    random_segmentation,
    seeds,
    stock_feature,
    stock_frames,
)

import_pyannote()


def stock(
    segmentation: Segmentation, assigned: npt.NDArray[np.int64], most: int, pause: float = 0.0
) -> list[tuple[float, float, int]]:
    """pyannote.audio's way from clusters to segments."""
    from pyannote.audio.pipelines import SpeakerDiarization  # noqa: PLC0415

    pipeline = SpeakerDiarization.__new__(SpeakerDiarization)
    feature = stock_feature(segmentation, segmentation.scores)
    count = pipeline.speaker_count(feature, stock_frames(segmentation), warm_up=(0.0, 0.0))
    count.data = np.minimum(count.data, most).astype(np.int8)
    discrete = SpeakerDiarization.reconstruct(pipeline, feature, assigned, count)
    annotation = pipeline.to_annotation(discrete, min_duration_off=pause)
    return sorted((s.start, s.end, label) for s, _, label in annotation.itertracks(yield_label=True))


def ours(
    segmentation: Segmentation, assigned: npt.NDArray[np.int64], most: int
) -> list[tuple[float, float, int]]:
    counts = np.minimum(count_speakers(segmentation), most)
    active = rank(segmentation, assigned, counts, int(assigned.max()) + 1)
    return spans(active, segmentation.windows.frame_times, float("inf"))


def random_clusters(segmentation: Segmentation, seed: int, clusters: int) -> npt.NDArray[np.int64]:
    random = np.random.default_rng(seed)
    assigned = random.integers(clusters, size=segmentation.speaks.shape)
    assigned[~segmentation.speaks] = NOBODY
    assigned[0, 0] = clusters - 1  # somebody is the last
    return assigned


@pytest.fixture(params=[7, 64, 4096])
def block_frames(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(reconstruction, "BLOCK_FRAMES", request.param)
    return int(request.param)


def test_it_is_what_pyannote_makes_whatever_the_block(block_frames: int) -> None:
    @settings(deadline=None, max_examples=25)
    @given(seeds, st.integers(1, 20), st.sampled_from([1, 2, 9]), st.sampled_from([0.1, 0.5]))
    def check(seed: int, clusters: int, most: int, step: float) -> None:
        segmentation = random_segmentation(seed, step=step)
        assigned = random_clusters(segmentation, seed, clusters)
        assert ours(segmentation, assigned, most) == stock(segmentation, assigned, most)

    check()


@settings(deadline=None, max_examples=25)
@given(seeds, st.integers(1, 4))
def test_scores_between_0_and_1_add_up_the_same(seed: int, clusters: int) -> None:
    found = random_segmentation(seed)
    scores = np.random.default_rng(seed).random(found.active.shape).astype(np.float32)
    segmentation = Segmentation(found.windows, found.active, scores)
    assigned = random_clusters(segmentation, seed, clusters)
    counts = count_speakers(segmentation)
    active = rank(segmentation, assigned, counts, clusters)
    assert ((active != NO_SPEAKER).sum(axis=1) == counts).all()


@settings(deadline=None, max_examples=25)
@given(seeds, st.sampled_from([0.05, 0.2]))
def test_pauses_are_filled_as_pyannote_does(seed: int, pause: float) -> None:
    segmentation = random_segmentation(seed)
    assigned = random_clusters(segmentation, seed, 3)
    assert sorted(fill_pauses(ours(segmentation, assigned, 2), pause)) == stock(
        segmentation, assigned, 2, pause
    )


def test_by_hand() -> None:
    """
    frame   0  1  2  3  4
    active  a  ab b  -  a
    """
    none = NO_SPEAKER
    active = np.array([[0, none], [1, 0], [1, none], [none, none], [0, none]], np.int16)
    times = np.array([0.5, 1.5, 2.5, 3.5, 4.5])
    expected: list[Any] = [(0.5, 2.5, 0), (1.5, 3.5, 1)]  # the last frame alone lasts no time
    assert spans(active, times, 9.0) == expected
    assert spans(active, times, 3.0) == [(0.5, 2.5, 0), (1.5, 3.0, 1)]
    assert spans(active, times, 1.5) == [(0.5, 1.5, 0)]


def test_speakers_that_have_no_voice_are_numbered_after_the_others() -> None:
    segmentation = random_segmentation(1, chunks=1)
    segmentation.active[:] = 1
    active = rank(segmentation, np.zeros((1, 3), np.int64), count_speakers(segmentation), 1)
    assert set(active.ravel().tolist()) == {NO_SPEAKER, 0, 1, 2}
    assert (active[:50] != NO_SPEAKER).all()
