"""Many channels → one, without losing any.

Plain averaging fails on two kinds of recording: a dead channel halves the level, and a channel of inverted
polarity (a swapped cable) cancels the other one out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.types import Samples

Channels = npt.NDArray[np.float32]
"""Samples of one stretch of the recording, shape (channels, n)."""

ANTIPHASE = -0.5  # correlation: around zero for the two sides of a stage, near -1 for inverted polarity
DEAD = 1e-6  # share of the loudest channel's power, -60 dB


class Downmix:
    """The mean of the channels, block by block.

    Each channel is inverted if it has been anti-correlated with the sum of the channels before it over all
    blocks so far.
    """

    def __init__(self) -> None:
        self._covariance: npt.NDArray[np.float64] = np.zeros((0, 0))

    def mix(self, block: Channels) -> Samples:
        """Mean over the channels of a block of shape (channels, n), shape (n,)."""
        if len(block) == 1:
            return np.asarray(block[0], np.float32)
        if len(block) != len(self._covariance):
            self._covariance = np.zeros((len(block), len(block)))
        bounded = np.clip(block, -1.0, 1.0)  # one extreme sample must not decide the polarity of hours
        self._covariance += bounded @ bounded.T
        return np.asarray((self._polarity() / len(block)) @ block, np.float32)

    @property
    def gain(self) -> float:
        """The factor from the mean over all channels to the mean over those that carry sound."""
        power = self._covariance.diagonal()
        live = np.count_nonzero(power > DEAD * power.max(initial=0.0))
        return len(power) / live if live else 1.0

    def _polarity(self) -> npt.NDArray[np.float32]:
        """+1 or -1 for each channel."""
        signs = np.ones(len(self._covariance), np.float32)
        for i in range(1, len(signs)):
            cross = self._covariance[i, :i] @ signs[:i]
            power = self._covariance[i, i] * (signs[:i] @ self._covariance[:i, :i] @ signs[:i])
            if cross < ANTIPHASE * np.sqrt(max(power, 0.0)):
                signs[i] = -1.0
        return signs
