"""Which of a chunk's local speakers are active in which frames, in one byte per frame and speaker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.engines.pyannote.batches import Batches
from pipelines.engines.pyannote.windows import Windows
from pipelines.errors import ModelUnusableError
from pipelines.types import SAMPLE_RATE, Samples

CHUNKS_AT_ONCE = {"cpu": 32, "cuda": 32}
"""On an idle processor, 4 are as fast (tests/benchmarks/pyannote.py). On a busy one, threads wait for each
other at every step, and 32 lose least time. The output does not depend on it."""


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """The activity of local speakers; both arrays have the shape (chunks, frames of a chunk, speakers).

    `active` is 0 or 1. `scores` is the same array if the network chooses one set of speakers for each frame
    ("powerset"), and float32 in [0, 1] if it scores every speaker separately.
    """

    windows: Windows
    active: npt.NDArray[np.uint8]
    scores: npt.NDArray[Any]

    @property
    def speaks(self) -> npt.NDArray[np.bool_]:
        """Whether a local speaker is active at all, shape (chunks, speakers)."""
        return np.asarray(self.active.any(axis=1))


class Segmenter:
    """A segmentation network on its device."""

    def __init__(self, network: Any, device: str, step: float, threshold: float) -> None:
        """`step` is the hop from chunk to chunk, as a fraction of a chunk. Raises ModelUnusableError for a
        network of another kind."""
        specifications = network.specifications
        is_framewise = not isinstance(specifications, tuple) and specifications.resolution.name == "FRAME"
        if not is_framewise or network.hparams["sample_rate"] != SAMPLE_RATE:
            raise ModelUnusableError(
                "The segmentation part of the pyannote folder is not a network for diarization at 16 kHz:"
                " fetch the folder again."
            )
        self._network = network.to(device)
        self._device = device
        self._duration = float(specifications.duration)
        self._step = step
        self._threshold = threshold
        self._shape = network.num_frames(round(self._duration * SAMPLE_RATE)), len(specifications.classes)
        self._convert = _set_to_speakers(specifications, device)
        self.batches = Batches(CHUNKS_AT_ONCE[device])

    def segment(self, samples: Samples, done: Callable[[float], None]) -> Segmentation:
        """The segmentation of all chunks; `done` takes the fraction finished, rising to 1."""
        windows = self._windows(len(samples))
        scores = np.empty((windows.chunks, *self._shape), np.float32 if self._convert is None else np.uint8)

        def work(first: int, last: int) -> None:
            chunks = [windows.cut(samples, chunk) for chunk in range(first, last)]
            scores[first:last] = self._score(np.stack(chunks))

        self.batches.run(0, windows.chunks, work, lambda last: done(last / windows.chunks))
        if self._convert is not None:
            return Segmentation(windows, scores, scores)
        return Segmentation(windows, _binarize(scores, self._threshold), scores)

    def _windows(self, samples: int) -> Windows:
        frames = self._network.receptive_field
        step = self._step * self._duration
        return Windows(samples, self._duration, step, frames.duration, frames.step)

    def _score(self, chunks: Samples) -> npt.NDArray[Any]:
        """(n, samples) → (n, frames, speakers)"""
        import torch  # noqa: PLC0415

        with torch.inference_mode():
            scores = self._network(torch.from_numpy(chunks[:, None]).to(self._device))
            if self._convert is not None:
                scores = self._convert(scores).to(torch.uint8)
            return np.asarray(scores.cpu().numpy())


def _set_to_speakers(specifications: Any, device: str) -> Any:
    """Converts scores of sets of speakers into 0 or 1 for each speaker; None if there are no sets."""
    from pyannote.audio.utils.powerset import Powerset  # noqa: PLC0415

    if not specifications.powerset:
        return None
    return Powerset(len(specifications.classes), specifications.powerset_max_classes).to(device)


def _binarize(scores: npt.NDArray[np.float32], threshold: float) -> npt.NDArray[np.uint8]:
    """1 where the score is above the threshold; where it is equal, as in the frame before."""
    active = np.empty(scores.shape, np.uint8)
    before = np.zeros((scores.shape[0], scores.shape[2]), np.bool_)
    for frame in range(scores.shape[1]):
        now = scores[:, frame]
        before = (now > threshold) | ((now == threshold) & before)
        active[:, frame] = before
    return active


def count_speakers(segmentation: Segmentation) -> npt.NDArray[np.uint8]:
    """How many people speak at once in each frame of the recording, shape (frames,): the rounded mean over
    the chunks that contain the frame."""
    windows = segmentation.windows
    speakers = np.zeros(windows.frames, np.float32)
    chunks = np.zeros(windows.frames, np.float32)
    for first, active in zip(windows.first_frames, segmentation.active, strict=True):
        here = slice(first, first + len(active))
        speakers[here] += active.sum(axis=1)
        chunks[here] += 1
    return np.rint(speakers / np.maximum(chunks, 1e-12)).astype(np.uint8)
