"""A small copy of the recording to listen to: Opus (RFC 6716) in WebM, which browsers can play and seek."""

from __future__ import annotations

import base64
import io

import av
import numpy as np

from pipelines.types import SAMPLE_RATE, Audio

BIT_RATE = 24_000
"""Bits per second: clear speech, at most 14 MB an hour."""
FULL_RATE = 3600.0
"""Seconds up to which a recording gets that rate; a longer one gets a lower rate and the same size."""
LONGEST_EMBEDDED = 3 * FULL_RATE
"""Seconds up to which a page embeds the recording: a third of the rate is still intelligible."""

_BLOCK_SAMPLES = 60 * SAMPLE_RATE


def playable(audio: Audio, place: str) -> str:
    """The source that a page plays: a data URI that holds the recording or, if that is long, `place`."""
    if audio.duration > LONGEST_EMBEDDED:
        return place
    return f"data:audio/webm;base64,{base64.b64encode(encode_opus(audio)).decode()}"


def encode_opus(audio: Audio) -> bytes:
    """The samples as a mono WebM file; the same samples give the same bytes."""
    buffer = io.BytesIO()
    # "bitexact" leaves out the random identifiers and the encoder's version.
    with av.open(buffer, "w", format="webm", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=SAMPLE_RATE, layout="mono")
        stream.bit_rate = round(BIT_RATE * min(1.0, FULL_RATE / audio.duration))
        stream.options = {"compression_level": "5"}  # of 10: fast, and good enough for a preview
        for at in range(0, len(audio.samples), _BLOCK_SAMPLES):
            container.mux(stream.encode(_frame(audio, at)))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _frame(audio: Audio, at: int) -> av.AudioFrame:
    block = np.clip(audio.samples[at : at + _BLOCK_SAMPLES], -1.0, 1.0)
    frame = av.AudioFrame.from_ndarray((block * 32767).astype(np.int16)[None, :], format="s16", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    frame.pts = at
    return frame
