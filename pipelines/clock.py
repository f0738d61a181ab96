"""Time in which somebody speaks, as against time that passes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipelines.types import Span


class SpeechClock:
    """How much speech lies between two moments, and at which moment a given amount has been said."""

    def __init__(self, speech: Sequence[Span], duration: float) -> None:
        spans = list(speech) or [Span(0.0, duration)]
        edges = [0.0]
        said = [0.0]
        for span in spans:
            edges += [max(span.start, edges[-1]), max(span.end, edges[-1])]
            said += [said[-1], said[-1] + edges[-1] - edges[-2]]
        self.duration = max(duration, edges[-1])
        self._edges = np.array([*edges, self.duration])
        self._said = np.array([*said, said[-1]])

    def share(self, start: float, end: float, need: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Edges, shape (len(need) + 1,), of consecutive stretches whose speech is in proportion to `need`."""
        portion = np.concatenate([[0.0], np.cumsum(need)]) / max(float(need.sum()), 1e-9)
        low, high = np.interp([start, end], self._edges, self._said)
        if high - low < 1e-3:
            return np.asarray(start + portion * (end - start))
        edges = np.interp(low + portion * (high - low), self._said, self._edges)
        clipped: npt.NDArray[np.float64] = np.clip(edges, start, end)
        return clipped

    def between(self, start: float, end: float) -> float:
        """Seconds of speech in [start, end]."""
        return float(np.interp(end, self._edges, self._said) - np.interp(start, self._edges, self._said))
