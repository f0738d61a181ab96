"""A worker process that runs PocketSphinx on one chunk after another.

    python -P pocketsphinx_worker.py hear|place

Started by `pipelines.engines.workers` as a script, never imported by the package: a worker holds the decoder
and next to nothing else (about 125 MB to recognise, 50 MB to align), neither numpy nor the rest of Turnwise.
"""

from __future__ import annotations

import math
import os
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pipelines.processes import die_with_parent

if TYPE_CHECKING:
    import pocketsphinx

FRAME_DURATION = 0.01
WINDOW_BYTES = 2 * 410  # the decoder needs at least one analysis window

# At most 5000 states and 10 word ends per frame take a third less time than the defaults (30 000 and all) and
# lose no words; the second pass does better with the language weight of the first than with its own (8.5).
RECOGNITION = {"maxhmmpf": 5000, "maxwpf": 10, "fwdflatlw": 6.5}

# A forced alignment has only one path: beams as narrow as those of free recognition lose it at the first word
# that differs from the one spoken, and the best path through the lattice may skip a word.
ALIGNMENT = {"beam": 1e-160, "wbeam": 1e-160, "pbeam": 1e-160, "bestpath": False}
SCORE_UNIT = 1024  # without that path, acoustic scores are in the decoder's internal unit

Words = list[tuple[str, float, float, float]]
"""Word, start, end in seconds from the first sample, and a score."""


def recogniser() -> Callable[[bytes], Words]:
    import pocketsphinx  # noqa: PLC0415

    decoder = pocketsphinx.Decoder(samprate=16_000, loglevel="FATAL", **RECOGNITION)

    def hear(pcm: bytes) -> Words:
        """The words in 16-bit samples; the score is each word's posterior probability in the lattice."""
        return [(s.word, *_times(s), min(1.0, s.prob)) for s in _decode(decoder, pcm) if _is_word(s.word)]

    return hear


def aligner() -> Callable[[bytes, Sequence[str], Mapping[str, str]], Words]:
    import pocketsphinx  # noqa: PLC0415

    decoder = pocketsphinx.Decoder(lm=None, samprate=16_000, loglevel="FATAL", **ALIGNMENT)

    def place(pcm: bytes, words: Sequence[str], pronunciations: Mapping[str, str]) -> Words:
        """The words aligned with the samples; the score is the mean log likelihood of their frames.

        `pronunciations` holds the phones of the words that the dictionary lacks.
        """
        if not words:
            return []
        for word, phones in pronunciations.items():
            if decoder.lookup_word(word) is None:
                decoder.add_word(word, phones, False)
        decoder.set_align_text(" ".join(words))
        return [(s.word, *_times(s), _frame_score(s)) for s in _decode(decoder, pcm) if _is_word(s.word)]

    return place


def _decode(decoder: pocketsphinx.Decoder, pcm: bytes) -> Sequence[pocketsphinx.Segment]:
    if len(pcm) < WINDOW_BYTES:
        return []
    decoder.reinit_feat()  # forgets the noise of the previous chunk, the only state carried over
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    return list(decoder.seg() or ())


def _times(segment: pocketsphinx.Segment) -> tuple[float, float]:
    return segment.start_frame * FRAME_DURATION, (segment.end_frame + 1) * FRAME_DURATION


def _frame_score(segment: pocketsphinx.Segment) -> float:
    """The mean natural log likelihood of the segment's frames."""
    frames: int = segment.end_frame + 1 - segment.start_frame
    return SCORE_UNIT * math.log(segment.ascore) / frames


def _is_word(word: str) -> bool:
    """Whether this is not silence (<sil>, <s>), noise ([NOISE]) or a filler (++UM++)."""
    return not word.startswith(("<", "[", "+"))


def main() -> None:
    die_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output of a library must not get in among the answers
    handle: Callable[..., Words] = recogniser() if sys.argv[1] == "hear" else aligner()
    while True:
        try:
            job = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(_answer(handle, job), answers)
        answers.flush()


def _answer(handle: Callable[..., Words], job: tuple[object, ...]) -> tuple[bool, Words | str]:
    try:
        return True, handle(*job)
    except Exception as error:
        return False, f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
