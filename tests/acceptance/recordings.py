"""Recordings for the tests: parts of the demo segment, and things that are no speech at all."""

from __future__ import annotations

import struct
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from pipelines.audio import decoding as audio
from pipelines.types import SAMPLE_RATE, Samples

DEMO = Path(__file__).resolve().parents[1] / "data" / "demo"


def speech(start: float, end: float) -> Samples:
    """A stretch of the demo segment."""
    recording, _ = audio.load(DEMO / "segment.opus")
    return recording.samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]


def music(duration: float) -> Samples:
    """Chords of three plucked strings, a new one every second."""
    random = np.random.default_rng(3)
    seconds = np.arange(round(duration * SAMPLE_RATE)) / SAMPLE_RATE
    sound = np.zeros(len(seconds))
    for beat in range(int(duration)):
        root_hz = 110 * 2 ** (random.integers(0, 12) / 12)
        since = seconds - beat
        for ratio in (1, Fraction(5, 4), Fraction(3, 2)):
            tone = np.sin(2 * np.pi * root_hz * float(ratio) * since) + 0.4 * np.sin(
                4 * np.pi * root_hz * since
            )
            sound += np.where(since >= 0, tone * np.exp(-2 * np.maximum(since, 0)), 0)
    return np.asarray(0.15 * sound, np.float32)


def write_wav(path: Path, samples: Samples, rate_hz: int = SAMPLE_RATE, channels: int = 1) -> Path:
    """16-bit PCM at another rate, the same sound in every channel."""
    count = round(len(samples) * rate_hz / SAMPLE_RATE)
    resampled = np.interp(np.linspace(0, len(samples) - 1, count), np.arange(len(samples)), samples)
    pcm: npt.NDArray[np.int16] = np.clip(resampled * 32767, -32768, 32767).astype(np.int16)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.repeat(pcm, channels).tobytes())
    return path


def write_long_wav(path: Path, duration: float) -> Path:
    """A WAV of any length, 8-bit at 8 kHz, whose samples take no space on the disk."""
    size_bytes = round(duration * 8000)
    header = b"RIFF" + struct.pack("<I", 36 + size_bytes) + b"WAVEfmt "
    header += struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8) + b"data" + struct.pack("<I", size_bytes)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + size_bytes)
    return path


def write_silent_film(path: Path) -> Path:
    """A video without an audio track."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(10):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
