from __future__ import annotations

import base64
import io

import av
import numpy as np
import pytest

from pipelines.audio import preview
from pipelines.audio.preview import encode_opus, playable
from pipelines.types import SAMPLE_RATE, Audio, Samples
from tests.pipelines.formats.sample import MEDIA


def chirp(duration: float) -> Audio:
    """A tone that rises from 200 to 2000 Hz: no two moments of it are alike."""
    time = np.arange(round(duration * SAMPLE_RATE)) / SAMPLE_RATE
    phase = 2 * np.pi * (200 * time + 900 / duration * time**2)
    return Audio((0.5 * np.sin(phase)).astype(np.float32), MEDIA)


def decoded(webm: bytes) -> Samples:
    resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
    with av.open(io.BytesIO(webm), "r") as container:
        blocks = [block for frame in container.decode(audio=0) for block in resampler.resample(frame)]
    return np.concatenate([block.to_ndarray()[0] for block in blocks]).astype(np.float32)


def test_the_copy_sounds_like_the_recording_at_every_moment() -> None:
    audio = chirp(3.0)
    copy = decoded(encode_opus(audio))
    assert len(copy) == pytest.approx(len(audio.samples), abs=0.03 * SAMPLE_RATE)
    for at in (0.5, 1.5, 2.5):
        window = slice(round(at * SAMPLE_RATE), round((at + 0.2) * SAMPLE_RATE))
        assert np.corrcoef(copy[window], audio.samples[window])[0, 1] > 0.9


def test_blocks_leave_no_seam() -> None:
    audio = chirp(61.0)
    copy = decoded(encode_opus(audio))
    window = slice(round(59.9 * SAMPLE_RATE), round(60.1 * SAMPLE_RATE))
    assert np.corrcoef(copy[window], audio.samples[window])[0, 1] > 0.9


def test_it_is_small_and_the_same_each_time() -> None:
    audio = chirp(5.0)
    webm = encode_opus(audio)
    assert len(webm) < 5.0 * 32_000 / 8
    assert webm == encode_opus(audio)


def test_a_page_holds_hours_in_the_size_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "FULL_RATE", 5.0)
    monkeypatch.setattr(preview, "LONGEST_EMBEDDED", 15.0)
    assert len(encode_opus(chirp(15.0))) < 1.3 * len(encode_opus(chirp(5.0)))
    assert playable(chirp(15.0), "../audio").startswith("data:")
    assert playable(chirp(15.1), "../audio") == "../audio"


def test_two_hours_are_in_the_page() -> None:
    assert preview.LONGEST_EMBEDDED >= 2 * 3600
    assert preview.BIT_RATE * preview.FULL_RATE / preview.LONGEST_EMBEDDED >= 8000  # Opus' least for speech


@pytest.mark.parametrize("sample", [2.0, -2.0])
def test_samples_beyond_full_scale_are_clipped_not_wrapped(sample: float) -> None:
    loud = Audio(np.full(SAMPLE_RATE, sample, np.float32), MEDIA)
    # A codec drops the constant part of a sound, but its onset keeps the sign.
    assert np.sign(decoded(encode_opus(loud))[:160].sum()) == np.sign(sample)


def test_a_data_uri_holds_the_file() -> None:
    audio = chirp(1.0)
    head, _, body = playable(audio, "elsewhere").partition(",")
    assert head == "data:audio/webm;base64"
    assert base64.b64decode(body) == encode_opus(audio)
