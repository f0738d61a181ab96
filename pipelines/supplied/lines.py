"""Where the spoken text lies in SRT and WebVTT files, however damaged their timing lines are.

SRT has no specification; files are read as players do: a number, a line with an arrow, text. WebVTT:
https://www.w3.org/TR/webvtt1/ (NOTE, STYLE and REGION blocks, cue identifiers and settings are not text).
Anything that is not clearly one of these is text: a broken timing line loses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipelines.types import Span

LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|\Z)")
TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2}(?:[.,]\d{1,6})?)"
TIMES = re.compile(rf"\s*{TIME}\s*-+>\s*{TIME}(?![\d:])")
ARROWLESS = re.compile(r"\s*\d[\d:]*:\d\d[:.,]\d+[.,\d]*[\s>→–—-]+\d[\d:]*:\d\d[:.,]\d+[.,\d]*\s*$")
LONGEST_TIMING = 200  # characters, cue settings included
BLOCK = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")
SIGNATURE = re.compile(r"\ufeff?WEBVTT(?:[ \t\r\n]|$)")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that may hold tokens, text[start:end] of the file; they get its `number` and `cue`."""

    start: int
    end: int
    number: int
    cue: Span | None = None


def is_vtt(text: str) -> bool:
    return SIGNATURE.match(text) is not None


def is_srt(text: str) -> bool:
    """Whether some line is an SRT timing line with both times readable."""
    return any(TIMES.match(text, match.start()) for match in re.finditer(r"^.*-->", text, re.MULTILINE))


def split_lines(text: str) -> Iterator[Line]:
    """The lines of a text without their line ends, numbered from 0."""
    for number, match in enumerate(LINE.finditer(text)):
        if match[0]:
            yield Line(match.start(), match.start() + len(match[0].rstrip("\r\n")), number)


def srt(text: str) -> Iterator[Line]:
    """The text lines of an SRT file, with their cues."""
    return _cues(text, list(split_lines(text)), lambda _, line: line.strip().lstrip("\ufeff").isdigit())


def vtt(text: str) -> Iterator[Line]:
    """The text lines of a WebVTT file, with their cues."""
    return _cues(text, list(_without_blocks(text)), lambda before, _: not before.strip())


def _without_blocks(text: str) -> Iterator[Line]:
    """Lines outside the header and outside NOTE, STYLE and REGION blocks; blank lines stay."""
    skipping, after_blank = True, False
    for line in split_lines(text):
        content = text[line.start : line.end]
        opens = after_blank and BLOCK.match(content) is not None
        after_blank = not content.strip()
        skipping = (skipping or opens) and not after_blank and not _is_timing(content)
        if not skipping:
            yield line


def _cues(text: str, candidates: list[Line], is_header: Callable[[str, str], bool]) -> Iterator[Line]:
    """Gives every line its cue; drops timing lines and the line before one where is_header(before, line)."""
    number, cue, before = -1, None, ""
    contents = [text[line.start : line.end] for line in candidates]
    timing = [*map(_is_timing, contents), False]
    for index, (line, content) in enumerate(zip(candidates, contents, strict=True)):
        if timing[index]:
            number, cue = number + 1, _span(content)
        elif content.strip() and not (timing[index + 1] and is_header(before, content)):
            number = max(number, 0)
            yield Line(line.start, line.end, number, cue)
        before = content


def _is_timing(content: str) -> bool:
    """Whether a line can only be a timing line, readable or not."""
    if len(content) > LONGEST_TIMING:
        return False
    before, arrow, _ = content.partition("-->")
    one_field = len(before.split()) <= 1 and any(map(str.isdigit, content))
    return (bool(arrow) and one_field) or ARROWLESS.match(content) is not None


def _span(content: str) -> Span | None:
    """The cue's time; None where it cannot be read or ends before it starts."""
    match = TIMES.match(content)
    if match is None:
        return None
    hours, minutes, seconds, *end = match.groups()
    start_time, end_time = _time(hours, minutes, seconds), _time(*end)
    return Span(start_time, end_time) if start_time <= end_time else None


def _time(hours: str | None, minutes: str, seconds: str) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))
