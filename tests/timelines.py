"""Recordings drawn as text, for tests: every column is 0.1 seconds.

    said  |so is it true? >>Yes, it is. And|      ">>" is a caption mark, and takes no time
    anna  |===============          ====|
    ben   |              ==========         |     voices as a diarization has them

The words were heard as they are written, each from its first column to behind its last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from pipelines.types import (
    AlignedToken,
    Attribution,
    Diarization,
    EngineInfo,
    Match,
    SpeakerSegment,
    Token,
    TokenKind,
    join_words,
)

COLUMN = 0.1  # seconds
ENGINE = EngineInfo(engine="drawn", version="1", model="", model_sha256="")

_PIECE = re.compile(r">>|[^\s:]+:(?=\s|$)|[^\s:]\S*")


def draw_tokens(said: str) -> tuple[AlignedToken, ...]:
    """Tokens of a line of text: ">>" is a change, "ANNA:" a label, the others words heard as written.

    A mark takes no time: what stands behind it moves to its place.
    """
    tokens: list[AlignedToken] = []
    hidden = count = 0
    for piece in _PIECE.finditer(said):
        kind = _kind(piece[0])
        if kind is TokenKind.WORD:
            columns, size, match = piece.span(), 1, Match.MATCHED
        else:
            columns, size, match = (piece.start(), piece.start()), 0, Match.NOT_SPOKEN
        start, end = ((column - hidden) * COLUMN for column in columns)
        token = Token(piece[0], *piece.span(), kind)
        tokens.append(AlignedToken(token, match, start, end, count, count + size, 1.0))
        count += size
        hidden += 0 if size else len(piece[0]) + said[piece.end() : piece.end() + 1].count(" ")
    return tuple(tokens)


def _kind(text: str) -> TokenKind:
    if text == ">>":
        return TokenKind.CHANGE
    return TokenKind.LABEL if text.endswith(":") else TokenKind.WORD


def draw_voices(*lines: str) -> Diarization:
    """A diarization of lines "anna |====   ====|", one for each voice; `exclusive` is `segments`."""
    voices = [line.partition("|") for line in lines]
    segments = sorted(
        (segment for name, _, drawn in voices for segment in _segments(name.strip(), drawn)),
        key=lambda segment: segment.start,
    )
    speakers = tuple(name.strip() for name, _, _ in voices)
    return Diarization(
        tuple(segments), tuple(segments), speakers, np.zeros((len(speakers), 0), np.float32), ENGINE
    )


def _segments(name: str, drawn: str) -> Iterator[SpeakerSegment]:
    for run in re.finditer("=+", drawn):
        yield SpeakerSegment(run.start() * COLUMN, run.end() * COLUMN, name)


def read_voices(tokens: Sequence[AlignedToken], attribution: Attribution) -> list[str]:
    """Who says what: ["anna: so is it true?", "ben: Yes, it is."]; words that nobody said are left out."""
    told: list[list[str]] = []
    before = ""
    for token, label in zip(tokens, attribution.labels, strict=True):
        if label and label != before:
            told.append([f"{label}:"])
        if label:
            told[-1].append(token.token.text)
            before = label
    return [join_words(words) for words in told]
