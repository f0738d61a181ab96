"""Time counted in seconds of speech, as opposed to time in the recording."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipelines.types import Span

Floats = npt.NDArray[np.float64]

INSTANT = 1e-6
"""Seconds; keeps an end at a pause before it, and a start after it."""


class SpeechClock:
    """How much speech lies between two moments, and at which moment a given amount has been spoken.

    Speech after `duration` does not count; without any speech, the whole recording counts as speech.
    """

    def __init__(self, speech: Sequence[Span], duration: float) -> None:
        spans = list(speech) or [Span(0.0, duration)]
        edges = [0.0]
        said = [0.0]
        for span in spans:
            edges += [min(max(moment, edges[-1]), duration) for moment in (span.start, span.end)]
            said += [said[-1], said[-1] + edges[-1] - edges[-2]]
        self.duration = duration
        self._edges = np.array([*edges, duration])
        self._said = np.array([*said, said[-1]])

    def share(self, start: float, end: float, need: Floats) -> tuple[Floats, Floats]:
        """Starts and ends, each (n,), of consecutive stretches whose speech is in proportion to `need`, (n,).

        speech     ======      ======
        need 1:1   [----]      [----]    a pause lies between two stretches, in neither
        """
        portion = np.concatenate([[0.0], np.cumsum(need)]) / max(float(need.sum()), 1e-9)
        low, high = np.interp([start, end], self._edges, self._said)
        if high - low < 1e-3:
            edges = np.clip(start + portion * (end - start), start, end)
            return edges[:-1], edges[1:]
        said = low + portion * (high - low)
        starts = self._moment(said[:-1] + INSTANT).clip(start, end)
        ends = self._moment(said[1:] - INSTANT).clip(start, end)
        return starts, np.maximum(starts, ends)

    def _moment(self, said: Floats) -> Floats:
        """The moments at which `said` seconds have been spoken."""
        return np.asarray(np.interp(said, self._said, self._edges))

    def between(self, start: float, end: float) -> float:
        """Seconds of speech in [start, end]."""
        return float(np.interp(end, self._edges, self._said) - np.interp(start, self._edges, self._said))
