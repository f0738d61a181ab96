"""Small media files, made by code: the same bytes every time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from pipelines.types import SAMPLE_RATE, Samples

REPEATABLE = {"fflags": "bitexact"}  # no random identities
CODECS = {
    "tone.wav": "pcm_s16le",
    "tone.flac": "flac",
    "tone.ogg": "libopus",
    "tone.mp3": "libmp3lame",
    "tone.m4a": "aac",
    "tone.mkv": "aac",
    "tone.webm": "libopus",
    "tone.aac": "aac",
    "tone.ts": "aac",
    "tone.aiff": "pcm_s16be",
}


def tone(duration: float, rate_hz: int = SAMPLE_RATE, pitch_hz: float = 440.0, peak: float = 0.5) -> Samples:
    time_axis = np.arange(round(duration * rate_hz)) / rate_hz
    return np.asarray(peak * np.sin(2 * np.pi * pitch_hz * time_axis), np.float32)


def noise(duration: float, seed: int = 1) -> Samples:
    rng = np.random.default_rng(seed)
    return np.asarray(0.1 * rng.standard_normal(round(duration * SAMPLE_RATE)), np.float32)


def write(
    path: Path, channels: npt.NDArray[np.float32], rate_hz: int = SAMPLE_RATE, *, jump: float = 0.0
) -> Path:
    """A media file of samples of shape (channels, n); half-way the clock leaps by `jump` seconds."""
    channels = np.atleast_2d(channels)
    layout = {1: "mono", 2: "stereo"}[len(channels)]
    with av.open(str(path), "w", options=REPEATABLE) as container:
        stream = container.add_stream(CODECS[f"tone{path.suffix}"], rate=rate_hz, layout=layout)
        assert isinstance(stream, av.AudioStream)
        size = stream.codec_context.frame_size or 1024
        for start in range(0, channels.shape[1], size):
            frame = av.AudioFrame.from_ndarray(channels[:, start : start + size], "fltp", layout)
            frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
            late = start >= channels.shape[1] / 2
            frame.pts = start + (round(jump * rate_hz) if late else 0)
            container.mux(stream.encode(_as(frame, stream)))
        container.mux(stream.encode(None))
    return path


def _as(frame: av.AudioFrame, stream: av.AudioStream) -> av.AudioFrame:
    converted = av.AudioResampler(stream.format, stream.layout, stream.rate).resample(frame)[0]
    converted.pts, converted.time_base = frame.pts, frame.time_base
    return converted


def write_video(path: Path, sound: Samples | None) -> Path:
    """Two seconds of grey, with a sound track if there is one."""
    with av.open(str(path), "w", options=REPEATABLE) as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        stream = None if sound is None else container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        for _ in range(20):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 128, np.uint8), "rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if stream is not None and sound is not None:
            for start in range(0, len(sound), 1024):
                frame = av.AudioFrame.from_ndarray(sound[None, start : start + 1024], "fltp", "mono")
                frame.sample_rate, frame.pts = SAMPLE_RATE, start
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path
