"""The fitting itself, where its result is known; the weights are not remade here."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.attribution.changes import Feature
from tests.benchmarks.changes import fit, log_loss, observe


def test_one_feature_that_is_always_there_gets_the_log_odds() -> None:
    changed = np.array([1.0, 0, 0, 0])
    weights = fit(np.ones((4, 1)), changed, ridge=0.0)
    assert weights == pytest.approx(np.log(1 / 3))
    entropy = -(np.log(1 / 4) + 3 * np.log(3 / 4)) / 4
    assert log_loss(np.ones((4, 1)), changed, weights) == pytest.approx(entropy)


def test_known_weights_are_found_again() -> None:
    random = np.random.default_rng(1)
    seen = np.column_stack([np.ones(20_000), random.random(20_000) < 0.3, np.zeros(20_000)])
    odds = seen @ np.array([-2.0, 3.0, 9.0])
    changed = (random.random(20_000) < 1 / (1 + np.exp(-odds))).astype(np.float64)
    weights = fit(seen, changed)
    assert weights == pytest.approx([-2.0, 3.0, 0.0], abs=0.1)
    assert log_loss(seen, changed, weights) < log_loss(seen, changed, np.array([-2.0, 2.0, 0.0]))


def test_every_change_of_speaker_is_observed_once() -> None:
    seen, changed = observe(1100)
    assert seen.shape == (len(changed), len(Feature))
    assert 10 <= changed.sum() <= 20  # 21 turns, some of one speaker in a row
    assert seen[changed == 1, list(Feature).index(Feature.EDGE)].mean() > 0.3
    assert seen[changed == 0, list(Feature).index(Feature.EDGE)].mean() < 0.1
