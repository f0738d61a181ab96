"""WebVTT: captions with a voice for every cue.

Specification: W3C, "WebVTT: The Web Video Text Tracks Format", https://www.w3.org/TR/webvtt1/.
"""

from __future__ import annotations

from pipelines.formats.cue_cutting import Cue, clock, cues, wrap
from pipelines.types import Transcript


def serialize(transcript: Transcript) -> str:
    """The corrected reading as cues, each one voice span: `<v Name>text</v>`."""
    return "WEBVTT\n" + "".join(f"\n{_cue(cue)}\n" for cue in cues(transcript))


def _cue(cue: Cue) -> str:
    text = "\n".join(map(_escape, wrap(cue.words)))
    return f"{clock(cue.start)} --> {clock(cue.end)}\n<v {_escape(cue.name)}>{text}</v>"


def _escape(text: str) -> str:
    """Escapes what begins or ends markup, so that "-->" cannot appear either."""
    return text.replace("\0", "\ufffd").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
