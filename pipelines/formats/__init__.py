"""One file per format: `parse` and `serialize`, the spec named at the top."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from pipelines.errors import OptionError
from pipelines.formats import ctm, html, result, rttm, seglst, srt, stm, ttml, txt, vtt
from pipelines.types import Transcript

FORMATS: Mapping[str, Callable[[Transcript], str]] = MappingProxyType(
    {
        "json": result.serialize,
        "txt": txt.serialize,
        "vtt": vtt.serialize,
        "srt": srt.serialize,
        "rttm": rttm.serialize,
        "stm": stm.serialize,
        "ctm": ctm.serialize,
        "seglst": seglst.serialize,
        "ttml": ttml.serialize,
        "html": html.serialize,
    }
)
"""What a transcript can be written as; the name is the file's ending."""


def serialize(transcript: Transcript, format: str) -> str:
    """The transcript in the named format, as text that UTF-8 can encode.

    Half surrogates, which a file name that is no UTF-8 brings in, become "?". Raises OptionError on an
    unknown format.
    """
    if format not in FORMATS:
        raise OptionError(f"There is no format {format!r}: choose from {', '.join(FORMATS)}.")
    return FORMATS[format](transcript).encode("utf-8", "replace").decode("utf-8")
