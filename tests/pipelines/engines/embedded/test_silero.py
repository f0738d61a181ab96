from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipelines import models
from pipelines.audio import decoding as audio
from pipelines.engines.embedded import silero
from pipelines.engines.embedded.silero import (
    CONTEXT_SAMPLES,
    PADDING,
    SHORTEST_SILENCE,
    WINDOW_SAMPLES,
    Probabilities,
    SileroDetector,
    spans_of_speech,
)
from pipelines.errors import EngineMissingError, ModelCorruptError
from pipelines.formats import rttm
from pipelines.types import SAMPLE_RATE, Audio, Media, Samples, Span

DEMO = Path(__file__).parents[3] / "data" / "demo"
WINDOW = WINDOW_SAMPLES / SAMPLE_RATE  # 0.032 s


def windows(picture: str) -> Probabilities:
    """Probabilities drawn as text: █ 0.9, ▄ 0.25 (between the thresholds), ▁ 0.01."""
    return np.array([{"█": 0.9, "▄": 0.25, "▁": 0.01}[sign] for sign in picture], np.float32)


def spans(picture: str) -> list[tuple[float, float]]:
    """In windows, without the padding."""
    found = spans_of_speech(windows(picture), len(picture) * WINDOW)
    return [((span.start + PADDING) / WINDOW, span.end / WINDOW) for span in found]


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        ("", []),
        ("▁▁▁▁▁▁▁▁▁▁", []),
        ("▁▁▁▁██████▁▁▁▁▁▁▁▁▁▁", [(4, 10)]),
        ("▁▁▁▁▄▄▄▄▄▄▄▄▄▄▁▁▁▁▁▁", []),  # never surely speech
        ("▁▁▁▁▄▄█████▄▄▁▁▁▁▁▁▁", [(6, 13)]),  # the weak end belongs to it, the weak start does not
        ("▁▁▁▁██▄▄▄▄▄██▁▁▁▁▁▁▁", [(4, 13)]),
        ("▁▁▁▁█████▁▁▁▁▁█████▁", [(4, 19)]),  # a silence of 0.16 s joins
        ("▁▁▁▁█████▁▁▁▁▁▁▁▁█████▁", [(4, 9), (17, 22)]),
        ("▁▁▁▁████▁▁▁▁▁▁▁▁▁▁▁▁", []),  # 0.128 s is no word
        ("▁▁▁▁███▁▁███▁▁▁▁▁▁▁▁", [(4, 12)]),  # joined before it is measured
        ("▁▁▁▁▁▁▁▁▁█████", [(9, 14)]),
    ],
)
def test_hysteresis(picture: str, expected: list[tuple[float, float]]) -> None:
    assert spans(picture) == [pytest.approx(span) for span in expected]


def test_padding_ends_at_the_edges_of_the_recording() -> None:
    assert spans_of_speech(windows("██████"), 0.17) == (Span(0.0, 0.17),)


@given(arrays(np.float32, st.integers(0, 200), elements=st.floats(0, 1, width=32)))
def test_spans_are_ordered_apart_and_inside(probabilities: Probabilities) -> None:
    duration = max(0.0, len(probabilities) * WINDOW - 0.01)
    found = spans_of_speech(probabilities, duration)
    edges = [edge for span in found for edge in (span.start, span.end)]
    assert edges == sorted(edges)
    assert all(0 <= edge <= duration for edge in edges)
    gaps = [b.start - a.end for a, b in pairwise(found)]
    assert all(gap > SHORTEST_SILENCE - PADDING - 1e-9 for gap in gaps)


def recording(samples: Samples) -> Audio:
    media = Media("x.wav", "", 0, "wav", "pcm_f32le", SAMPLE_RATE, 1, len(samples) / SAMPLE_RATE)
    return Audio(samples.astype(np.float32), media)


@pytest.mark.parametrize("length", [1, 511, 512, 513, 2000])
@pytest.mark.parametrize("start", [0, 512, 1536])
def test_each_window_stands_behind_its_context(length: int, start: int) -> None:
    samples = np.arange(1, start + length + 1, dtype=np.float32)
    found = silero._windows(samples, start, start + 4 * WINDOW_SAMPLES)
    assert found.shape == (-(-length // WINDOW_SAMPLES), CONTEXT_SAMPLES + WINDOW_SAMPLES)
    padded = np.concatenate([np.zeros(CONTEXT_SAMPLES), samples, np.zeros(WINDOW_SAMPLES)])
    for number, window in enumerate(found):
        first = start + number * WINDOW_SAMPLES
        np.testing.assert_array_equal(window, padded[first : first + len(window)])


@pytest.fixture(scope="module")
def detector() -> SileroDetector:
    return SileroDetector()


@pytest.fixture(scope="module")
def demo() -> Audio:
    return audio.load(DEMO / "segment.opus")[0]


@pytest.mark.engine
def test_finds_the_speech_of_the_demo(detector: SileroDetector, demo: Audio) -> None:
    speech = np.zeros(int(demo.duration * 100) + 1, bool)
    truth = speech.copy()
    for span in detector.detect(demo):
        speech[round(span.start * 100) : round(span.end * 100)] = True
    for turn in rttm.parse((DEMO / "segment.rttm").read_text(encoding="utf-8")):
        truth[round(turn.start * 100) : round(turn.end * 100)] = True
    assert (truth & ~speech).sum() < 0.06 * truth.sum()  # the small pauses inside turns
    assert (speech & ~truth).sum() < 0.02 * truth.sum()


@pytest.mark.engine
def test_how_much_is_read_at_once_does_not_show(
    detector: SileroDetector, demo: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = demo.samples[: 20 * SAMPLE_RATE + 77]
    fractions: list[float] = []
    whole = detector.probabilities(samples)
    monkeypatch.setattr(silero, "WINDOWS_PER_CALL", 100)
    np.testing.assert_allclose(detector.probabilities(samples, fractions.append), whole, atol=1e-5)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def chords() -> Samples:
    """A minute's worth of plucked triads would only say the same again: ten seconds."""
    rng = np.random.default_rng(1)
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    bars = []
    for _ in range(10):
        root = 220 * 2 ** (rng.integers(0, 12) / 12)
        tones = [np.sin(2 * np.pi * root * ratio * time) / ratio for ratio in (1, 1.25, 1.5, 2, 3)]
        bars.append(0.1 * sum(tones) * np.exp(-2 * time))
    return np.concatenate(bars).astype(np.float32)


@pytest.mark.engine
@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(10 * SAMPLE_RATE),
        np.zeros(100),
        np.zeros(0),
        np.random.default_rng(0).normal(0, 0.1, 10 * SAMPLE_RATE),
        np.sin(2 * np.pi * 50 * np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE),
        chords(),
    ],
    ids=["silence", "shorter than a window", "nothing", "white noise", "hum", "music"],
)
def test_hears_nobody_where_nobody_speaks(detector: SileroDetector, samples: Samples) -> None:
    assert detector.detect(recording(samples)) == ()


@pytest.mark.engine
@pytest.mark.parametrize("snr_db", [20, 10])
def test_hears_speech_through_noise(detector: SileroDetector, demo: Audio, snr_db: int) -> None:
    clean = demo.samples[: 30 * SAMPLE_RATE]
    level = float(np.sqrt((clean**2).mean())) * 10 ** (-snr_db / 20)
    noise = np.random.default_rng(0).normal(0, level, len(clean)).astype(np.float32)
    expected = sum(span.duration for span in detector.detect(recording(clean)))
    found = sum(span.duration for span in detector.detect(recording(clean + noise)))
    assert found == pytest.approx(expected, rel=0.1)


def test_without_weights_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(EngineMissingError, match="turnwise models pull embedded"):
        SileroDetector().detect(recording(np.zeros(1000, np.float32)))


def test_does_not_load_damaged_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / models.MODELS["silero-vad"].path
    path.parent.mkdir()
    path.write_bytes(b"not the weights")
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(ModelCorruptError, match="damaged"):
        SileroDetector().detect(recording(np.zeros(1000, np.float32)))
