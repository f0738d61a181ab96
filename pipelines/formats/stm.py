"""STM, segment time mark: who says what, in segments; the reference format of NIST's scoring toolkit.

Specification: "stm" in the manual of sclite; NIST OpenASR20 evaluation plan, appendix.

    <recording> 1 <speaker> <begin> <end> [<label>] <text>
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipelines.errors import TextError
from pipelines.formats import nist
from pipelines.formats.names import one_line
from pipelines.types import Transcript

_LABEL = re.compile(r"^<[\w,]*>(?=\s|$)")
_NO_LABEL = "<NA> "


@dataclass(frozen=True, slots=True)
class Utterance:
    """What one speaker said from `start` to `end`."""

    speaker: str
    start: float
    end: float
    text: str


def serialize(transcript: Transcript) -> str:
    """One line per turn in the corrected reading, with the speaker's id."""
    recording = nist.recording_id(transcript.media.name)
    result = []
    for turn in transcript.turns:
        start, end = (nist.seconds(nist.milliseconds(time)) for time in (turn.start, turn.end))
        # A text that begins like a label would lose its first word.
        words = one_line(turn.corrected)
        label = _NO_LABEL if _LABEL.match(words) else ""
        result.append(
            f"{recording} 1 {nist.field(turn.speaker)} {start} {end} {label}{words}".rstrip() + "\n"
        )
    return "".join(result)


def parse(text: str) -> tuple[Utterance, ...]:
    """Returns the utterances in order of start time, without labels.

    Raises TextError if a line is not STM, or if the lines belong to several recordings.
    """
    utterances, recordings = [], []
    for number, line in nist.lines(text):
        fields = line.split(maxsplit=5)
        if len(fields) < 5:
            raise TextError(
                f"Line {number} is not STM, which has a speaker, two times and a text: correct {line[:60]!r}."
            )
        start, end = nist.times("STM", number, fields[3], fields[4])
        if end < start:
            raise TextError(f"Line {number} of this STM ends before it begins: correct {line[:60]!r}.")
        words = _LABEL.sub("", "".join(fields[5:]))
        utterances.append(Utterance(fields[2], start, end, one_line(words)))
        recordings.append(fields[0])
    nist.check_single("STM", recordings)
    return tuple(sorted(utterances, key=lambda utterance: (utterance.start, utterance.end)))
