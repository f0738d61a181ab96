"""Activity of local speakers, beside pyannote.audio's own functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engines.pyannote.imports import import_pyannote
from pipelines.engines.pyannote.segmentation import Segmentation, Segmenter, count_speakers
from pipelines.engines.pyannote.windows import Windows
from pipelines.errors import ModelUnusableError
from pipelines.types import SAMPLE_RATE

CHUNK_FRAMES = 50
import_pyannote()

seeds = st.integers(0, 2**32 - 1)


def random_segmentation(seed: int, chunks: int = 7, step: float = 0.1) -> Segmentation:
    """Of a network with 50 frames per chunk of 1 s, who are active for a while each time."""
    random = np.random.default_rng(seed)
    windows = Windows(SAMPLE_RATE + round((chunks - 1) * step * SAMPLE_RATE), 1.0, step, 0.05, 0.02)
    active = random.random((chunks, 10, 3)).repeat(CHUNK_FRAMES // 10, axis=1) < random.random()
    return Segmentation(windows, active.astype(np.uint8), active.astype(np.uint8))


def stock_feature(segmentation: Segmentation, data: npt.NDArray[Any]) -> Any:
    from pyannote.core import SlidingWindow, SlidingWindowFeature  # noqa: PLC0415

    windows = segmentation.windows
    chunks = SlidingWindow(start=0.0, duration=windows.chunk_duration, step=windows.chunk_step)
    return SlidingWindowFeature(data.astype(np.float32), chunks)


def stock_frames(segmentation: Segmentation) -> Any:
    from pyannote.core import SlidingWindow  # noqa: PLC0415

    windows = segmentation.windows
    return SlidingWindow(start=0.0, duration=windows.frame_duration, step=windows.frame_step)


@settings(deadline=None)
@given(seeds, st.sampled_from([0.1, 0.25, 1.0]))
def test_speakers_are_counted_as_pyannote_does(seed: int, step: float) -> None:
    from pyannote.audio.pipelines.utils.diarization import SpeakerDiarizationMixin  # noqa: PLC0415

    segmentation = random_segmentation(seed, step=step)
    count = SpeakerDiarizationMixin.speaker_count(
        stock_feature(segmentation, segmentation.active), stock_frames(segmentation), warm_up=(0.0, 0.0)
    )
    assert np.array_equal(count_speakers(segmentation), count.data[:, 0])


class Scores(torch.nn.Module):
    """A network that says what it is told, whatever it hears."""

    def __init__(self, scores: npt.NDArray[np.float32], **specifications: Any) -> None:
        from pyannote.audio.core.task import Problem, Resolution, Specifications  # noqa: PLC0415

        super().__init__()
        self.scores = torch.from_numpy(scores)
        self.hparams = {"sample_rate": SAMPLE_RATE}
        self.heard: list[int] = []
        classes = [f"speaker#{i}" for i in range(3)]
        problem = Problem.MULTI_LABEL_CLASSIFICATION
        if specifications:
            problem = Problem.MONO_LABEL_CLASSIFICATION
        self.specifications = Specifications(
            problem=problem, resolution=Resolution.FRAME, duration=1.0, classes=classes, **specifications
        )
        from pyannote.core import SlidingWindow  # noqa: PLC0415

        self.receptive_field = SlidingWindow(start=0.0, duration=0.05, step=0.02)

    def num_frames(self, samples: int) -> int:
        return self.scores.shape[1]

    def forward(self, chunks: torch.Tensor) -> torch.Tensor:
        first = sum(self.heard)
        self.heard.append(len(chunks))
        return self.scores[first : first + len(chunks)]


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_a_network_that_scores_each_speaker_is_cut_at_the_threshold(seed: int) -> None:
    from pyannote.audio.utils.signal import binarize  # noqa: PLC0415

    quarters = np.random.default_rng(seed).integers(0, 5, (11, CHUNK_FRAMES, 3))
    scores = (quarters / 4).astype(np.float32)
    found = Segmenter(Scores(scores), "cpu", 0.1, 0.5).segment(
        np.zeros(2 * SAMPLE_RATE, np.float32), lambda _: None
    )
    expected = binarize(stock_feature(found, scores), onset=0.5, initial_state=False)
    assert np.array_equal(found.active, expected.data)
    assert np.array_equal(found.scores, scores)


def test_a_network_of_sets_chooses_one() -> None:
    """Sets of at most two of three: {}, 1, 2, 3, 12, 13, 23."""
    scores: npt.NDArray[np.float32] = np.full((1, 7, 7), -9, np.float32)
    scores[0, np.arange(7), np.arange(7)] = -1
    network = Scores(scores, powerset_max_classes=2)
    found = Segmenter(network, "cpu", 0.1, 0.5).segment(np.zeros(9, np.float32), lambda _: None)
    sets = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]]
    assert found.active[0].tolist() == sets
    assert found.active is found.scores
    assert found.active.dtype == np.uint8


def test_batches_are_small_and_progress_rises_to_one() -> None:
    network = Scores(np.zeros((41, CHUNK_FRAMES, 3), np.float32))
    seen: list[float] = []
    Segmenter(network, "cpu", 0.1, 0.5).segment(np.zeros(5 * SAMPLE_RATE, np.float32), seen.append)
    assert network.heard == [32, 9]
    assert seen == [32 / 41, 1.0]


def test_a_network_for_another_rate() -> None:
    network = Scores(np.zeros((1, CHUNK_FRAMES, 3), np.float32))
    network.hparams = {"sample_rate": 8000}
    with pytest.raises(ModelUnusableError, match="16 kHz"):
        Segmenter(network, "cpu", 0.1, 0.5)
