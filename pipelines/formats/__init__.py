"""The formats of a transcript: one file each, with its specification, `serialize` and perhaps `parse`.

The table FORMATS lists them; a new format is a file and an entry.

result       result.json: everything
heard        heard.json: the recognised words, to keep or to supply again
txt          text to read
vtt          WebVTT captions
srt          SubRip captions
ttml         TTML captions
rttm         who speaks when
stm          who says what, in segments
ctm          words with times
seglst       turns as JSON
html         one page to look at
cue_cutting  where captions are cut
names        display names of speakers
markup       a turn as HTML
timeline     who speaks when, as SVG
nist         what RTTM, STM and CTM share
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines import files
from pipelines.errors import OptionError
from pipelines.formats import ctm, heard, html, result, rttm, seglst, srt, stm, ttml, txt, vtt
from pipelines.formats.names import one_line
from pipelines.formats.timeline import minutes
from pipelines.types import Transcript, encodable

__all__ = ["FORMATS", "heard", "html", "minutes", "one_line", "result", "rttm", "save", "serialize", "stm"]


@dataclass(frozen=True, slots=True)
class Format:
    """How a transcript is serialized, and its media type.

    `play` also takes the address of the recording, for a format that can play it.
    """

    serialize: Callable[[Transcript], str]
    media_type: str = "text/plain; charset=utf-8"
    play: Callable[[Transcript, str], str] | None = None


FORMATS: dict[str, Format] = {
    "json": Format(result.serialize, "application/json"),
    "txt": Format(txt.serialize),
    "vtt": Format(vtt.serialize, "text/vtt; charset=utf-8"),
    "srt": Format(srt.serialize, "application/x-subrip; charset=utf-8"),
    "rttm": Format(rttm.serialize),
    "stm": Format(stm.serialize),
    "ctm": Format(ctm.serialize),
    "seglst": Format(seglst.serialize, "application/json"),
    "ttml": Format(ttml.serialize, "application/ttml+xml"),
    "html": Format(html.serialize, "text/html; charset=utf-8", play=html.serialize),
}
"""Every format by its name, which is also its file extension."""


def find(name: str) -> Format:
    """Returns the format of that name. Raises OptionError if there is none."""
    if name not in FORMATS:
        raise OptionError(f"There is no format {name!r}: choose from {', '.join(FORMATS)}.")
    return FORMATS[name]


def serialize(transcript: Transcript, name: str, recording: Callable[[], str] | None = None) -> str:
    """Returns the transcript in the named format, as text that UTF-8 can encode.

    `recording` returns the address of the recording, for a format that plays it. Raises OptionError for an
    unknown format.
    """
    form = find(name)
    text = form.play(transcript, recording()) if form.play and recording else form.serialize(transcript)
    return encodable(text)


def save(
    transcript: Transcript,
    folder: str | Path,
    *names: str,
    recording: Callable[[], str] | None = None,
) -> list[Path]:
    """Writes `result.NAME` into the folder for each format, all of them or none; without names, only "json".

    Returns the paths. Raises OptionError for an unknown format and OutputError if they cannot be written.
    """
    wanted = names or ("json",)
    contents = {f"result.{name}": serialize(transcript, name, recording) for name in wanted}
    return files.write_files(Path(folder), contents)
