"""Plain text to read: `Name: text`, one paragraph per turn. There is no specification."""

from __future__ import annotations

from pipelines.formats.names import display_names, one_line
from pipelines.types import Transcript


def serialize(transcript: Transcript) -> str:
    """One paragraph per turn in the corrected reading, separated by blank lines."""
    names = display_names(transcript.speakers)
    return "\n".join(
        f"{names.get(turn.speaker, turn.speaker)}: {one_line(turn.corrected)}\n"
        for turn in transcript.turns
        if turn.corrected
    )
