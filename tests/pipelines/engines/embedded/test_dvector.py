"""The front end against librosa and the encoder against torch: tests/data/make_dvector_reference.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pipelines import models
from pipelines.engines.embedded import dvector
from pipelines.engines.embedded.dvector import (
    BANDS,
    DIMENSIONS,
    HOP_SAMPLES,
    MEAN_POWER,
    WINDOW_FRAMES,
    VoiceEncoder,
    fill_window,
    mel_filters,
    mel_power,
)
from pipelines.types import Samples

SEED = 7
REFERENCE = json.loads(
    (Path(__file__).parents[3] / "data" / "dvector_reference.json").read_text(encoding="utf-8")
)


def signal() -> Samples:
    """As in make_dvector_reference.py."""
    time = np.arange(8000) / 16000
    noise = np.random.default_rng(SEED).standard_normal(8000)
    return (0.05 * noise + 0.3 * np.sin(2 * np.pi * (200 + 3000 * time) * time)).astype(np.float32)


def windows(count: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(SEED).random((count, WINDOW_FRAMES, BANDS), dtype=np.float32) * 0.1


def test_mel_power_is_librosas() -> None:
    np.testing.assert_allclose(mel_power(signal())[::10], REFERENCE["mel_of_every_tenth_frame"], rtol=1e-4)


def test_mel_filters_cover_the_spectrum_with_triangles_of_one_area() -> None:
    filters = mel_filters()
    assert filters.shape == (BANDS, 201)
    assert (filters >= 0).all()
    assert (np.diff(filters.argmax(axis=1)) > 0).all()
    wide = filters[20:]  # the narrow ones hold too few bins for a sum to be an integral
    np.testing.assert_allclose(wide.sum(axis=1) * 40, 1.0, rtol=0.05)


@pytest.mark.parametrize("length", [0, 1, 159, 160, 16001])
def test_there_is_a_frame_per_hop(length: int) -> None:
    assert mel_power(np.zeros(length, np.float32)).shape == (1 + length // HOP_SAMPLES, BANDS)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mel_power(signal())
    monkeypatch.setattr(dvector, "BLOCK_FRAMES", 7)
    np.testing.assert_allclose(mel_power(signal()), whole, rtol=1e-5)


@pytest.mark.parametrize("frames", [1, 25, 160, 300])
def test_a_window_is_filled_by_repeating_and_has_the_level_the_encoder_knows(frames: int) -> None:
    mel = np.random.default_rng(frames).random((frames, BANDS), dtype=np.float32)
    window = fill_window(mel)
    assert window.shape == (WINDOW_FRAMES, BANDS)
    assert window.sum() / WINDOW_FRAMES == pytest.approx(MEAN_POWER, rel=1e-4)
    if frames < WINDOW_FRAMES:
        np.testing.assert_array_equal(window[frames:], window[:-frames])


def test_level_does_not_change_a_window() -> None:
    mel = mel_power(signal())
    np.testing.assert_allclose(fill_window(mel * 1e-4), fill_window(mel), rtol=1e-4)


def test_silence_is_left_out() -> None:
    speech = np.random.default_rng(0).random((60, BANDS), dtype=np.float32) + 0.5
    pause = np.full((30, BANDS), 1e-6, np.float32)
    with_pause = np.concatenate([speech[:40], pause, speech[40:]])
    np.testing.assert_array_equal(fill_window(with_pause), fill_window(speech))


def test_silence_is_a_window_too() -> None:
    assert np.isfinite(fill_window(np.zeros((30, BANDS), np.float32))).all()


@pytest.fixture(scope="module")
def encoder() -> VoiceEncoder:
    return VoiceEncoder.parse(models.read("d-vector"))


@pytest.mark.engine
def test_voices_are_torchs(encoder: VoiceEncoder) -> None:
    voices = encoder.encode(windows(3))
    np.testing.assert_allclose(voices[:, ::8], REFERENCE["every_eighth_value_of_voices"], atol=1e-5)


@pytest.mark.engine
def test_voices_have_length_one_whatever_the_batch(encoder: VoiceEncoder) -> None:
    voices = encoder.encode(windows(dvector.BATCH_WINDOWS + 3))
    assert voices.shape == (dvector.BATCH_WINDOWS + 3, DIMENSIONS)
    np.testing.assert_allclose(np.linalg.norm(voices, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(encoder.encode(windows(5)), voices[:5], atol=1e-5)


@pytest.mark.engine
def test_the_number_of_processors_does_not_change_a_bit(
    encoder: VoiceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = encoder.encode(windows(100))
    monkeypatch.setattr(dvector, "available_processors", lambda: 1)
    np.testing.assert_array_equal(encoder.encode(windows(100)), many)


@pytest.mark.engine
def test_no_windows_give_no_voices(encoder: VoiceEncoder) -> None:
    assert encoder.encode(windows(0)).shape == (0, DIMENSIONS)
