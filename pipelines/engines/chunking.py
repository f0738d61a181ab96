"""Cuts speech into chunks that a recogniser takes at once, where nobody is in the middle of a word.

speech   ├────────┤ ├───┤        ├──────────────────────────────┤
chunks  ├──────────────┤        ├─────────────────┼──────────────┤
         joined over a pause      cut at its quietest place
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pipelines.types import SAMPLE_RATE, Audio, Samples, Span

LONGEST_JOINED_PAUSE = 0.4  # after a longer one another speaker may talk, with another mean spectrum
MARGIN = 0.2  # silence kept around a chunk: soft first and last sounds lie outside the detected speech
FRAME_SAMPLES = SAMPLE_RATE // 100
PAUSE_FRAMES = 15  # power is averaged over the 0.15 s around a place


def cut(audio: Audio, speech: Sequence[Span], longest: float) -> tuple[Span, ...]:
    """Returns chunks of at most `longest` seconds that cover all `speech`, in order and without overlap.

    `speech` is ordered and without overlap. A chunk may contain pauses of up to LONGEST_JOINED_PAUSE and up
    to MARGIN of the silence around it, which does not count towards `longest`.
    """
    chunks: list[Span] = []
    for span in speech:
        for piece in _split(audio, span, longest):
            if chunks and _join_fits(chunks[-1], piece, longest):
                chunks[-1] = Span(chunks[-1].start, piece.end)
            else:
                chunks.append(piece)
    return _widen(chunks, audio.duration)


def _join_fits(before: Span, after: Span, longest: float) -> bool:
    return after.start - before.end <= LONGEST_JOINED_PAUSE and after.end - before.start <= longest


def _split(audio: Audio, span: Span, longest: float) -> Iterator[Span]:
    """Cuts the span into pieces of `longest` / 2 to `longest` seconds (the last may be shorter)."""
    start = span.start
    while span.end - start > longest:
        window = Span(start + longest / 2, start + longest)
        middle = window.start + quietest(audio.cut(window))
        yield Span(start, middle)
        start = middle
    if span.end > start:
        yield Span(start, span.end)


def quietest(samples: Samples) -> float:
    """The middle of the quietest PAUSE_FRAMES, in seconds from the first sample; the last such place."""
    frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    if len(power) < PAUSE_FRAMES:
        return len(samples) / SAMPLE_RATE / 2
    smooth = np.convolve(power, np.ones(PAUSE_FRAMES), "valid")
    last = len(smooth) - 1 - int(np.argmin(smooth[::-1]))
    return (last + PAUSE_FRAMES / 2) * FRAME_SAMPLES / SAMPLE_RATE


def _widen(chunks: Sequence[Span], duration: float) -> tuple[Span, ...]:
    """Each chunk with up to MARGIN on both sides, half of a pause shorter than twice that."""
    wide = []
    for i, chunk in enumerate(chunks):
        before = chunk.start - chunks[i - 1].end if i else 2 * chunk.start
        after = chunks[i + 1].start - chunk.end if i + 1 < len(chunks) else 2 * (duration - chunk.end)
        left, right = min(MARGIN, max(before, 0.0) / 2), min(MARGIN, max(after, 0.0) / 2)
        wide.append(Span(chunk.start - left, chunk.end + right))
    return tuple(wide)
