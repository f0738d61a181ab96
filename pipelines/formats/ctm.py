"""CTM, time-marked conversation: one word per line with its time. It has no speakers.

Specification: "ctm" in the manual of sclite (SCTK); NIST OpenASR20 evaluation plan, appendix.

    <recording> 1 <begin> <duration> <word> <confidence>
"""

from __future__ import annotations

from pipelines.formats import nist
from pipelines.text import ReadWord, words_by_turn
from pipelines.types import Transcript


def serialize(transcript: Transcript) -> str:
    """The words of the corrected reading in order; isolated punctuation is left out."""
    recording = nist.recording_id(transcript.media.name)
    return "".join(
        f"{recording} 1 {_line(word)}\n"
        for words in words_by_turn(transcript.tokens, transcript.turns, transcript.corrections)
        for word in words
        if any(map(str.isalnum, word.text))
    )


def _line(word: ReadWord) -> str:
    start, end = nist.milliseconds(word.start), nist.milliseconds(word.end)
    text = "".join(word.text.split())
    return f"{nist.seconds(start)} {nist.seconds(end - start)} {text} {word.confidence:.3f}"
