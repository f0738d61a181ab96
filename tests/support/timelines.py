"""Recordings drawn as text, for tests: every column is 0.1 seconds.

    said  |so is it true?  >>Yes, it is. And|      ">>" is a caption mark, and takes no time
    anna  |===============            =====|
    ben   |               ============     |       voices as a diarization has them

The words were heard as they are written. A single space belongs to the word before it, so that fluent
words leave no gap; more spaces are a pause.

And dictations, where text and recording disagree; every letter that was heard takes 0.1 seconds:

    Lks|talks    written, and what was heard         {at}     written, not heard; "_" makes room for it
    kyiv|~keep   heard without certainty             (Storm)  written, not said
    <so>         heard, not written                  _        a pause of 0.5 seconds
    /            here a line ends                    @ben     here ben begins
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.attribution.attribution import take_turns
from pipelines.text import join_words
from pipelines.types import (
    AlignedToken,
    Attribution,
    Diarization,
    EngineInfo,
    HeardWord,
    Match,
    SpeakerSegment,
    Token,
    TokenKind,
    Turn,
)

COLUMN = 0.1  # seconds
PAUSE = 0.5  # seconds
CERTAIN, UNCERTAIN = 0.9, 0.3
ENGINE = EngineInfo(engine="drawn", version="1", model="", model_sha256="")

_PIECE = re.compile(r"(?P<text>>>|\S+)( (?=\S))?")


def draw_tokens(said: str) -> tuple[AlignedToken, ...]:
    """Tokens of a line of text: ">>" is a change, "ANNA:" a label, the others words heard as written.

    A mark takes no time: what stands behind it moves to its place.
    """
    tokens: list[AlignedToken] = []
    hidden = count = 0
    for piece in _PIECE.finditer(said):
        text, start, end = piece["text"], piece.start() - hidden, piece.end() - hidden
        token = Token(text, *piece.span("text"), _kind(text))
        if token.kind is TokenKind.WORD:
            match, heard = Match.MATCHED, (count, count + 1)
            count += 1
        else:
            match, heard = Match.NOT_SPOKEN, (count, count)
            hidden, end = hidden + len(piece[0]), start
        tokens.append(AlignedToken(token, match, start * COLUMN, end * COLUMN, *heard, 1.0))
    return tuple(tokens)


def _kind(text: str) -> TokenKind:
    if text == ">>":
        return TokenKind.CHANGE
    if text.startswith("["):
        return TokenKind.SOUND
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
    for token, label in zip(tokens, attribution.speakers, strict=True):
        if label and label != before:
            told.append([f"{label}:"])
        if label:
            told[-1].append(token.token.text)
            before = label
    return [join_words(words) for words in told]


# --------------------------------------------------------------------------- dictations


class Dictation(NamedTuple):
    """What alignment and attribution would have handed on."""

    tokens: tuple[AlignedToken, ...]
    words: tuple[HeardWord, ...]
    turns: tuple[Turn, ...]


def dictate(text: str) -> Dictation:
    """Text and recording of a dictation, see above; anna begins."""
    tokens: list[AlignedToken] = []
    words: list[HeardWord] = []
    labels: list[str] = []
    speaker, line, now = "anna", 0, 0.0
    for piece in text.split():
        if piece == "/":
            line += 1
        elif piece == "_":
            now += PAUSE
        elif piece.startswith("@"):
            speaker = piece[1:]
        else:
            written, heard, match = _read(piece)
            before = len(words)
            end = now + (COLUMN * len(written or heard) if heard else 0.0)
            if heard:
                certainty = UNCERTAIN if heard.startswith("~") else CERTAIN
                words.append(HeardWord(heard.removeprefix("~"), now, end, certainty))
            if written:
                token = Token(written, 0, len(written), _kind(written), line)
                tokens.append(AlignedToken(token, match, now, end, before, len(words), 0.9))
                labels.append("" if match is Match.NOT_SPOKEN else speaker)
            now = end
    attribution = Attribution(tuple(labels), (1.0,) * len(labels))
    return Dictation(tuple(tokens), tuple(words), take_turns(tokens, attribution))


def _read(piece: str) -> tuple[str, str, Match]:
    """What is written, what was heard, and how they go together."""
    inside = piece[1:-1]
    if piece.startswith("<") and piece.endswith(">"):
        return "", inside, Match.MATCHED
    if piece.startswith("{"):
        return inside, "", Match.INTERPOLATED
    if piece.startswith("(") or _kind(piece) is not TokenKind.WORD:
        return inside if piece.startswith("(") else piece, "", Match.NOT_SPOKEN
    written, _, heard = piece.partition("|")
    if heard:
        return written, heard, Match.DIFFERS
    return written, re.sub(r"[^\w'’-]", "", written).lower(), Match.MATCHED
