"""Speech in sections that fill Whisper's window of 30 s, without the stretches in which nobody speaks.

    recording  ─────▇▇▇▇▇▇▇▇▇──▇▇▇▇▇▇▇──────────────(music)──────────────▇▇▇▇▇▇▇▇▇▇────
    pieces         ├─────────────────┤                                  ├──────────┤
    section        ├─────────────────┼──────────┤   the long pause is gone, a short one stays

Audio that is left out cannot be mistaken for words, and every window costs the same, however little speech it
holds. As in the "VAD Cut & Merge" of M. Bain et al., "WhisperX", Interspeech 2023, a section ends in a pause.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from pipelines.engines import chunking
from pipelines.types import SAMPLE_RATE, Audio, HeardWord, Samples, Span, join_spans

LONGEST_SECTION = 30.0
LONGEST_SAMPLES = round(LONGEST_SECTION * SAMPLE_RATE)
SHORTEST_SAMPLES = SAMPLE_RATE // 2  # the libraries fail on a frame or two
EARLIEST_END = 20.0  # a section ends at the longest pause after this
LONGEST_CHUNK = 10.0  # so that the rest of a full section and one more chunk fit into the next section
LONGEST_KEPT_PAUSE = 1.0  # a longer one is cut down to the margins of the chunks


@dataclass(frozen=True, slots=True)
class Section:
    """Pieces of the recording, in order and without overlap, that are recognised as one."""

    pieces: tuple[Span, ...]

    @property
    def duration(self) -> float:
        return sum(piece.duration for piece in self.pieces)

    def cut(self, audio: Audio) -> Samples:
        """The samples of all pieces, shape (n,), padded with silence if they are very short."""
        samples = np.concatenate([audio.cut(piece) for piece in self.pieces])
        return np.pad(samples, (0, max(0, SHORTEST_SAMPLES - len(samples))))[:LONGEST_SAMPLES]

    def place(self, word: HeardWord) -> HeardWord:
        """A word with times in the recording, from times in this section.

        It lies inside the piece that holds its middle, so no word extends over a pause that was cut out.
        """
        offsets = [0.0, *accumulate(piece.duration for piece in self.pieces)]
        middle = (word.start + word.end) / 2
        which = min(max(bisect_right(offsets, middle) - 1, 0), len(self.pieces) - 1)
        piece, offset = self.pieces[which], offsets[which]
        start, end = (
            round(min(max(piece.start + time - offset, piece.start), piece.end), 3)
            for time in (word.start, word.end)
        )
        return HeardWord(word.text, start, max(start, end), word.confidence)


def divide(audio: Audio, speech: Sequence[Span]) -> tuple[Section, ...]:
    """Sections of at most LONGEST_SECTION that hold all `speech`, which is ordered and without overlap."""
    inside = [Span(max(0.0, s.start), min(s.end, audio.duration)) for s in speech if s.start < audio.duration]
    chunks = chunking.cut(audio, inside, LONGEST_CHUNK)
    return tuple(_sections([chunk for chunk in chunks if chunk.duration > 0]))


def _sections(chunks: Sequence[Span]) -> Iterator[Section]:
    waiting: list[Span] = []
    for chunk in chunks:
        if _join([*waiting, chunk]).duration > LONGEST_SECTION:
            count = _best_end(waiting)
            yield _join(waiting[:count])
            waiting = waiting[count:]
        waiting.append(chunk)
    if waiting:
        yield _join(waiting)


def _best_end(chunks: Sequence[Span]) -> int:
    """How many of the chunks a section takes: up to the longest late enough pause, the last of equals."""
    best, longest = len(chunks), 0.0
    for count in range(len(chunks) - 1, 0, -1):
        if _join(chunks[:count]).duration < EARLIEST_END:
            break
        pause = chunks[count].start - chunks[count - 1].end
        if pause > longest:
            best, longest = count, pause
    return best


def _join(chunks: Sequence[Span]) -> Section:
    """A section of the chunks, joined over pauses that are kept."""
    return Section(tuple(join_spans(chunks, LONGEST_KEPT_PAUSE)))
