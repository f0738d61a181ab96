"""Where chunks and their frames lie in the recording, counted as pyannote.audio counts them.

recording  ├──────────────────────────────────────────┤
chunk 0    ├────────────────┤                             one every `chunk_step`
chunk 1        ├────────────────┤
chunk n                           ├────────────────┤      the last may go on after the end, in silence
frames     │││││││││││││││││││││││││││││││││││││││││││││  of all chunks, one every `frame_step`
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.types import SAMPLE_RATE, Samples


@dataclass(frozen=True, slots=True)
class Windows:
    """All chunks of one recording. Times in seconds."""

    samples: int  # of the recording
    chunk_duration: float
    chunk_step: float
    frame_duration: float  # what one frame of the segmentation network sees
    frame_step: float

    @property
    def chunk_samples(self) -> int:
        return round(self.chunk_duration * SAMPLE_RATE)

    @property
    def chunks(self) -> int:
        step_samples = round(self.chunk_step * SAMPLE_RATE)
        beyond = max(0, self.samples - self.chunk_samples)
        return 1 + -(-beyond // step_samples)

    @property
    def frames(self) -> int:
        """Frames of the whole recording."""
        end = self.chunk_duration + (self.chunks - 1) * self.chunk_step + 0.5 * self.frame_duration
        return int(np.rint((end - 0.5 * self.frame_duration) / self.frame_step)) + 1

    @property
    def first_frames(self) -> npt.NDArray[np.intp]:
        """The frame of the recording at which each chunk begins, shape (chunks,)."""
        starts = np.arange(self.chunks) * self.chunk_step + 0.5 * self.frame_duration
        frames = np.rint((starts - 0.5 * self.frame_duration) / self.frame_step)
        return np.asarray(frames, np.intp)

    @property
    def frame_times(self) -> npt.NDArray[np.float64]:
        """The middle of each frame, shape (frames,)."""
        starts = np.arange(self.frames) * self.frame_step
        return np.asarray(0.5 * (starts + (starts + self.frame_duration)))

    def cut(self, samples: Samples, chunk: int) -> Samples:
        """The samples of one chunk, shape (chunk_samples,), zeros after the end of the recording."""
        start = round(chunk * self.chunk_step * SAMPLE_RATE)
        part = samples[start : start + self.chunk_samples]
        return part if len(part) == self.chunk_samples else np.pad(part, (0, self.chunk_samples - len(part)))
