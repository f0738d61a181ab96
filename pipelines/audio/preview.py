"""A small copy of the recording to listen to: Opus (RFC 6716) in WebM, which browsers play and seek in."""

from __future__ import annotations

import base64
import io

import av
import numpy as np

from pipelines.types import SAMPLE_RATE, Audio

BIT_RATE = 24_000
"""Bits per second: clear speech, at most 14 MB an hour."""
FULL_RATE = 3600.0
"""Seconds up to which a recording has that rate; a longer one has a lower rate and the same size."""
LONGEST_EMBEDDED = 3 * FULL_RATE
"""Seconds of a recording that a page holds itself: speech is understood down to a third of the rate."""

_BLOCK_SAMPLES = 60 * SAMPLE_RATE


def playable(audio: Audio, place: str) -> str:
    """What a page plays: the recording itself, small, or if it is long, what lies at `place`."""
    return data_uri(encode_opus(audio)) if audio.duration <= LONGEST_EMBEDDED else place


def encode_opus(audio: Audio) -> bytes:
    """The samples as a mono WebM file; the same samples give the same bytes."""
    buffer = io.BytesIO()
    # "bitexact" leaves out the random identifiers and the encoder's version.
    with av.open(buffer, "w", format="webm", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=SAMPLE_RATE, layout="mono")
        stream.bit_rate = round(BIT_RATE * min(1.0, FULL_RATE / audio.duration))
        stream.options = {"compression_level": "5"}  # of 10: it is a preview, and soon done
        for at in range(0, len(audio.samples), _BLOCK_SAMPLES):
            container.mux(stream.encode(_frame(audio, at)))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def data_uri(webm: bytes) -> str:
    """The file as a URI that holds it whole, for a page without other files."""
    return f"data:audio/webm;base64,{base64.b64encode(webm).decode()}"


def _frame(audio: Audio, at: int) -> av.AudioFrame:
    block = np.clip(audio.samples[at : at + _BLOCK_SAMPLES], -1.0, 1.0)
    frame = av.AudioFrame.from_ndarray((block * 32767).astype(np.int16)[None, :], format="s16", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    frame.pts = at
    return frame
