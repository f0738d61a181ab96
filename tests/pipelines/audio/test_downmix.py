"""Averaging channels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.audio.downmix import Downmix
from pipelines.types import Samples


def noise(seed: int, length_samples: int = 1600) -> Samples:
    return np.asarray(0.1 * np.random.default_rng(seed).standard_normal(length_samples), np.float32)


def test_one_channel_passes() -> None:
    np.testing.assert_array_equal(Downmix().mix(noise(1)[None]), noise(1))


@given(st.integers(2, 8), st.integers(0, 99))
def test_unrelated_channels_are_averaged(count: int, seed: int) -> None:
    block = np.stack([noise(seed + i) for i in range(count)])
    np.testing.assert_allclose(Downmix().mix(block), block.mean(axis=0), atol=1e-6)


@given(st.integers(1, 8), st.integers(0, 99), st.lists(st.sampled_from([-1.0, 1.0]), min_size=8, max_size=8))
def test_polarity_never_matters(count: int, seed: int, signs: list[float]) -> None:
    voice = noise(seed)
    mixed = Downmix().mix(np.asarray(np.stack([sign * voice for sign in signs[:count]]), np.float32))
    np.testing.assert_allclose(np.abs(mixed), np.abs(voice), atol=1e-5)


def test_polarity_is_a_matter_of_all_blocks_so_far() -> None:
    downmix = Downmix()
    for seed in range(5):
        downmix.mix(np.stack([noise(seed), noise(seed)]))
    block = np.stack([noise(9), -noise(9)])
    np.testing.assert_allclose(downmix.mix(block), 0, atol=1e-7)  # one odd block does not turn a channel


@pytest.mark.parametrize(("live", "gain"), [(1, 4.0), (2, 2.0), (4, 1.0), (0, 1.0)])
def test_gain_makes_up_for_dead_channels(live: int, gain: float) -> None:
    downmix = Downmix()
    block = np.zeros((4, 1600), np.float32)
    block[:live] = noise(3)
    mixed = downmix.mix(block)
    assert downmix.gain == gain
    if live:
        np.testing.assert_allclose(mixed * downmix.gain, noise(3), atol=1e-6)


def test_a_channel_60_db_down_is_dead() -> None:
    downmix = Downmix()
    downmix.mix(np.stack([noise(1), 0.0005 * noise(2)]))
    assert downmix.gain == 2.0


def test_the_number_of_channels_may_change() -> None:
    downmix = Downmix()
    downmix.mix(np.stack([noise(1), noise(2)]))
    assert downmix.mix(noise(3)[None]).shape == (1600,)
    assert downmix.mix(np.stack([noise(1)] * 6)).shape == (1600,)


def test_one_absurd_sample_decides_nothing() -> None:
    downmix = Downmix()
    block = np.stack([noise(1, 160_000), noise(1, 160_000)])
    block[0, 5], block[1, 5] = 1e20, -1e20
    np.testing.assert_allclose(np.delete(downmix.mix(block), 5), np.delete(noise(1, 160_000), 5), atol=1e-6)
