"""The text that the user supplied: txt, srt, vtt or json → tokens with their places in it.

    bytes ──decode──► text ──format──► lines ──marks──► Token…

Nothing is lost: every character of a txt file that is not white space is in exactly one token; in a caption
file, every such character of the cues' text that is not markup. token.text == text[char_start:char_end],
and text.encode(encoding) is the file byte for byte. (json is the exception: there `text` is its strings,
one per line, because escapes inside a token could not be compared with speech.)
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from pipelines import files
from pipelines.errors import TextError
from pipelines.supplied import marks
from pipelines.supplied.lines import Line, is_srt, is_vtt, split_lines, srt, vtt
from pipelines.supplied.marks import Mark
from pipelines.text import is_spaceless, seams, units
from pipelines.types import Heard, Span, Supplied, Token, TokenKind, encodable

HEARD = "heard"
"""Format of the text that stands in where none was supplied."""

LIMIT_BYTES = 8 * 2**20
"""Default size limit of a text file: about 1.4 million words, 150 hours of speech."""

BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
DOCUMENTS = (
    (b"%PDF-", "a PDF"),
    (b"{\\rtf", "an RTF document"),
    (b"PK\x03\x04", "an office document or archive"),
)
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
LATEST = 1e7  # a hundred days; a later time is ignored
RUN = re.compile(r"[^\s\ufeff]+")


def load(path: str | Path, limit_bytes: int = LIMIT_BYTES) -> Supplied:
    """Reads a text file. Raises TextError if it is missing, too large, or not text."""
    path, remedy = Path(path), "supply the text, not the recording"
    return parse(files.read_bytes(path, "text", limit_bytes, remedy), path.name)


def parse(data: bytes, name: str = "text") -> Supplied:
    """The tokens of a txt, srt, vtt or json file; the content decides which, then the name.

    Raises TextError for data that is not text or holds no words.
    """
    text, encoding = _decode(data, name)
    text, kind, lines = _lines(text, name)
    tokens = tuple(_tokens(text, lines, captioned=kind in {"srt", "vtt"}))
    if not any(token.kind is TokenKind.WORD and units(token.text) for token in tokens):
        raise TextError(f"{name} holds no words; supply the text of what is said in the recording.")
    return Supplied(text, tokens, kind, "utf-8" if kind == "json" else encoding)


def stand_in(heard: Heard) -> Supplied:
    """The recognised words as a supplied text."""
    tokens: list[Token] = []
    text = ""
    words = [word.text for word in heard.words]
    for word, glued in zip(words, seams(words), strict=True):
        text += "" if glued or not tokens else " "
        tokens.append(Token(word, len(text), len(text) + len(word)))
        text += word
    return Supplied(text, tuple(tokens), HEARD, "utf-8")


def _decode(data: bytes, name: str) -> tuple[str, str]:
    """The text and the codec that restores its bytes; a byte order mark stays as U+FEFF."""
    if not data.strip():
        raise TextError(f"{name} is empty; supply the text of what is said in the recording.")
    for signature, what in DOCUMENTS:
        if data.startswith(signature):
            raise TextError(f"{name} is {what}, not plain text; save it as plain text, SRT or WebVTT.")
    for encoding in _encodings(data):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text or len(CONTROL.findall(text)) * 100 > len(text):
            break
        return text, encoding
    raise TextError(f"{name} is binary data, not text; supply plain text, SRT, WebVTT or JSON.")


def _encodings(data: bytes) -> Iterator[str]:
    """Codecs to try in order; Windows-1252 and Latin-1 last, since they decode nearly anything."""
    yield from (encoding for mark, encoding in BYTE_ORDER_MARKS if data.startswith(mark))
    if len(data) % 2 == 0:
        yield from _wide(data[: 1 << 14])
    yield from ("utf-8", "cp1252", "latin-1")


def _wide(sample: bytes) -> Iterator[str]:
    """UTF-16 codecs for text without a byte order mark: in Western text, every other byte is zero."""
    high, low = sample[0::2].count(0), sample[1::2].count(0)
    if low > 4 * high and low * 8 > len(sample):
        yield "utf-16-le"
    if high > 4 * low and high * 8 > len(sample):
        yield "utf-16-be"


def _lines(text: str, name: str) -> tuple[str, str, list[Line]]:
    """(text, format, lines); the text changes only for json."""
    suffix = Path(name).suffix.casefold()
    if is_vtt(text):
        return text, "vtt", list(vtt(text))
    if suffix == ".json" or text.lstrip("\ufeff \t\r\n")[:1] in {"{", "["}:
        segments = _segments(text, name, required=suffix == ".json")
        if segments is not None:
            return _joined(segments)
    if suffix in {".srt", ".vtt"} or is_srt(text):
        return text, "srt", list(srt(text))
    return text, "txt", list(split_lines(text))


def _segments(text: str, name: str, required: bool) -> list[tuple[str, Span | None]] | None:
    """The texts in a JSON document; None if it is not one that we know and need not be."""
    try:
        segments = list(_said(json.loads(text.lstrip("\ufeff"))))
    except (ValueError, RecursionError):
        if required:
            raise TextError(
                f"{name} is not valid JSON; correct it, or name it .txt if it is plain text."
            ) from None
        return None
    if not segments and required:
        raise TextError(
            f'{name} holds no text; expected {{"segments": [{{"text": "…"}}]}} or a list of strings.'
        )
    return segments or None


def _said(document: object) -> Iterator[tuple[str, Span | None]]:
    """Whisper's and OpenAI's `segments`, our own `turns`, a plain `text`, or a list of any of these."""
    if isinstance(document, str):
        yield document, None
    elif isinstance(document, list):
        for item in document:
            yield from _said(item) if not isinstance(item, list) else ()
    elif isinstance(document, dict):
        inner = next(
            (document[key] for key in ("segments", "turns") if isinstance(document.get(key), list)), None
        )
        if inner:
            yield from _said(inner)
        elif isinstance(document.get("text"), str):
            yield document["text"], _claimed(document.get("start"), document.get("end"))


def _claimed(start: object, end: object) -> Span | None:
    if not (isinstance(start, int | float) and isinstance(end, int | float)):
        return None
    return Span(float(start), float(end)) if 0 <= start <= end < LATEST else None


def _joined(segments: list[tuple[str, Span | None]]) -> tuple[str, str, list[Line]]:
    """The segments, each on a line of its own."""
    pieces: list[str] = []
    lines: list[Line] = []
    position = 0
    for number, (said, cue) in enumerate(segments):
        piece = encodable(said) + "\n"
        inside = split_lines(piece)
        lines.extend(Line(position + line.start, position + line.end, number, cue) for line in inside)
        pieces.append(piece)
        position += len(piece)
    return "".join(pieces), "json", lines


def _tokens(text: str, lines: list[Line], captioned: bool) -> Iterator[Token]:
    for line, found in zip(lines, marks.find(text, lines, captioned), strict=True):
        for start, end, kind in _stretches(line, found):
            for first, last in _pieces(text, start, end):
                yield Token(text[first:last], first, last, kind, line.number, line.cue)


def _stretches(line: Line, found: list[Mark]) -> Iterator[tuple[int, int, TokenKind]]:
    """The line cut into stretches of one kind: marks and the words between them, without markup."""
    position = line.start
    for mark in found:
        yield position, mark.start, TokenKind.WORD
        if mark.kind is not None:
            yield mark.start, mark.end, mark.kind
        position = mark.end
    yield position, line.end, TokenKind.WORD


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Runs between white space; in scripts written without spaces, one piece per character."""
    for run in RUN.finditer(text, start, end):
        edges = [run.start(), *_inner_edges(run[0], run.start()), run.end()]
        yield from pairwise(edges)


def _inner_edges(run: str, offset: int) -> Iterator[int]:
    """Where to cut a run beside characters of spaceless scripts; marks and punctuation stay attached."""
    if run.isascii() or not any(map(is_spaceless, run)):
        return
    filled, before = False, ""
    for index, character in enumerate(run):
        category = unicodedata.category(character)
        beside = is_spaceless(character) or is_spaceless(before or " ")
        if filled and beside and (category[0] in "LN" or category in {"Ps", "Pi"}):
            yield offset + index
            filled = False
        filled = filled or category[0] in "LN"
        before = character
