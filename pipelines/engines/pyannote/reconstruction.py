"""Segments from the frames of all chunks: in each frame, the most active speakers, as many as speak at once.

pyannote.audio uses an array of chunks × frames × speakers in float64, 3 GB for three hours and 20 speakers.
Here about a minute of frames is summed up at a time, and only the speakers in front are kept.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pipelines.engines.pyannote.clustering import NOBODY
from pipelines.engines.pyannote.segmentation import Segmentation
from pipelines.types import SpeakerSegment, runs

BLOCK_FRAMES = 4096
NO_SPEAKER = -1

Active = npt.NDArray[np.int16]
"""The active speakers in each frame, shape (frames, most at once), NO_SPEAKER where fewer are."""


def rank(
    segmentation: Segmentation, assigned: npt.NDArray[np.int64], counts: npt.NDArray[np.uint8], speakers: int
) -> Active:
    """The `counts[frame]` most active speakers in each frame. If there are more than `speakers`, further
    indexes stand for speakers without an embedding."""
    at_once = int(counts.max(initial=0))
    active = np.full((len(counts), at_once), NO_SPEAKER, np.int16)
    for start, activations in _activations(segmentation, assigned, max(speakers, at_once)):
        here = counts[start : start + len(activations)]
        spoken = here.nonzero()[0]
        order = np.argsort(-activations[spoken], axis=-1)[:, :at_once]
        order[np.arange(at_once) >= here[spoken, None]] = NO_SPEAKER
        active[start + spoken] = order
    return active


def _activations(
    segmentation: Segmentation, assigned: npt.NDArray[np.int64], speakers: int
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """The first frame of each block and its activity summed over the chunks, shape (frames, speakers)."""
    firsts, length = segmentation.windows.first_frames, segmentation.active.shape[1]
    frames = segmentation.windows.frames
    for start in range(0, frames, BLOCK_FRAMES):
        end = min(start + BLOCK_FRAMES, frames)
        block = np.zeros((end - start, speakers), np.float32)
        for chunk in range(*np.searchsorted(firsts, [start - length + 1, end])):
            first = int(firsts[chunk])
            here = slice(max(start, first), min(end, first + length))
            scores = segmentation.scores[chunk, here.start - first : here.stop - first]
            for speaker in np.unique(assigned[chunk][assigned[chunk] != NOBODY]):
                loudest = scores[:, assigned[chunk] == speaker].max(axis=1)
                block[here.start - start : here.stop - start, speaker] += loudest
        yield start, block


def spans(active: Active, times: npt.NDArray[np.float64], end: float) -> list[tuple[float, float, int]]:
    """(start, end, speaker) of each run of frames, ordered, clipped to the end of the recording."""
    found: list[tuple[float, float, int]] = []
    for speaker in np.unique(active[active != NO_SPEAKER]):
        frames = runs((active == speaker).any(axis=1))
        edges = [(float(times[first]), float(times[min(last, len(times) - 1)])) for first, last in frames]
        found += [(start, min(stop, end), int(speaker)) for start, stop in edges if start < min(stop, end)]
    return sorted(found)


def fill_pauses(found: list[tuple[float, float, int]], shortest: float) -> list[tuple[float, float, int]]:
    """Fills each speaker's pauses shorter than `shortest`.

    ```
    before   ├─1─┤ ├─1─┤    ├─2─┤
    after    ├────1────┤    ├─2─┤
    ```
    """
    filled: list[tuple[float, float, int]] = []
    latest: dict[int, int] = {}
    for start, end, speaker in found:
        last = latest.get(speaker)
        if last is not None and start - filled[last][1] < shortest:
            filled[last] = (filled[last][0], end, speaker)
        else:
            latest[speaker] = len(filled)
            filled.append((start, end, speaker))
    return filled


def name_segments(found: list[tuple[float, float, int]], names: dict[int, str]) -> tuple[SpeakerSegment, ...]:
    return tuple(SpeakerSegment(start, end, names[speaker]) for start, end, speaker in found)
