"""SubRip (.srt) captions. There is no specification; players agree on: number, times, text, blank line.

A speaker is written as `NAME: ` where the speaker changes. Players disagree on escapes, so none are used;
only an arrow, which would read as a line of times, is replaced.
"""

from __future__ import annotations

from pipelines.formats.cue_cutting import Cue, clock, cues, wrap
from pipelines.types import Transcript


def serialize(transcript: Transcript) -> str:
    """The corrected reading as numbered cues, separated by blank lines."""
    return "\n".join(f"{number}\n{_cue(cue)}\n" for number, cue in enumerate(cues(transcript), 1))


def _cue(cue: Cue) -> str:
    label = f"{cue.name.upper()}: " if cue.opens else ""
    text = (label + "\n".join(wrap(cue.words, len(label)))).replace("-->", "→")
    return f"{clock(cue.start, ',')} --> {clock(cue.end, ',')}\n{text}"
