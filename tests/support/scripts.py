"""Recordings made of a script, for tests: what each stage would have handed on had it made no mistake.

A turn begins a line with `SPEAKER:`, and goes on over lines that name none. `{…}` is written but not
spoken, `<…>` is spoken but not written, and `[Jane Doe:]` is a label. Every spoken word takes
WORD_SECONDS, a new speaker PAUSE_SECONDS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from pipelines.text import join_words
from pipelines.types import (
    AlignedToken,
    Attribution,
    EngineInfo,
    Heard,
    HeardWord,
    Match,
    Token,
    TokenKind,
    Turn,
)

WORD_SECONDS = 0.35
PAUSE_SECONDS = 0.4
ENGINE = EngineInfo(engine="script", version="1", model="", model_sha256="")


class Interview(NamedTuple):
    """What the stages up to attribution say about one recording."""

    tokens: tuple[AlignedToken, ...]
    heard: Heard
    attribution: Attribution
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """One word of the script; `kind` is "both", "written", "spoken" or "label"."""

    speaker: str
    text: str
    kind: str
    line: int


_BRACKETS = {"{": "written", "<": "spoken", "[": "label"}
_GROUP = re.compile(r"\{[^}]*\}|<[^>]*>|\[[^\]]*\]|[^\s{<\[]+")


def interview(script: str, *, supplied: bool = True, language: str = "en") -> Interview:
    """The recording of a script; without `supplied`, the words heard stand in for a supplied text."""
    pieces = [piece for number, line in enumerate(_lines(script)) for piece in _read_line(line, number)]
    if not supplied:
        pieces = [replace(piece, text=_as_heard(piece.text), kind="both") for piece in _spoken(pieces)]
        pieces = [replace(piece, line=0) for piece in pieces if piece.text]
    tokens, words = _place(pieces)
    labels = tuple(
        "" if token.match is Match.NOT_SPOKEN else piece.speaker
        for token, piece in zip(tokens, _supplied(pieces), strict=True)
    )
    attribution = Attribution(labels, tuple(1.0 for _ in labels))
    return Interview(
        tuple(tokens), Heard(tuple(words), language, ENGINE), attribution, turns_of(tokens, labels)
    )


def turns_of(tokens: Sequence[AlignedToken], labels: Sequence[str]) -> tuple[Turn, ...]:
    """The turns that the labels describe."""
    runs: list[list[int]] = []
    for index, label in enumerate(labels):
        if label and runs and labels[runs[-1][0]] == label:
            runs[-1].append(index)
        elif label:
            runs.append([index])
    return tuple(
        Turn(
            labels[run[0]],
            tokens[run[0]].start,
            tokens[run[-1]].end,
            run[0],
            run[-1] + 1,
            text,
            text,
        )
        for run in runs
        for text in [join_words(tokens[index].token.text for index in run)]
    )


def _lines(script: str) -> list[str]:
    """One line per turn: those without a speaker continue the line before."""
    lines: list[str] = []
    for line in filter(None, map(str.strip, script.splitlines())):
        if lines and not re.match(r"\w+:", line):
            lines[-1] += f" {line}"
        else:
            lines.append(line)
    return lines


def _read_line(line: str, number: int) -> Iterator[_Piece]:
    speaker, _, body = line.partition(":")
    for group in _GROUP.findall(body):
        kind = _BRACKETS.get(group[0], "both")
        inside = group if kind == "both" else group[1:-1]
        for word in [inside] if kind == "label" else inside.split():
            yield _Piece(speaker, word, kind, number)


def _spoken(pieces: list[_Piece]) -> list[_Piece]:
    return [piece for piece in pieces if piece.kind in ("both", "spoken")]


def _supplied(pieces: list[_Piece]) -> list[_Piece]:
    return [piece for piece in pieces if piece.kind != "spoken"]


def _as_heard(text: str) -> str:
    """A word as speech recognition writes it: no capitals, no punctuation."""
    return re.sub(r"[^\w'-]", "", text.replace("’", "'")).strip("'-_").lower()


def _place(pieces: list[_Piece]) -> tuple[list[AlignedToken], list[HeardWord]]:
    """Lay the words one after the other on the time line."""
    tokens: list[AlignedToken] = []
    words: list[HeardWord] = []
    now, offset, previous = 0.0, 0, ""
    for piece in pieces:
        if previous and piece.speaker != previous:
            now += PAUSE_SECONDS
        previous = piece.speaker
        heard_start = len(words)
        end = now + WORD_SECONDS if piece.kind in ("both", "spoken") else now
        if end > now and _as_heard(piece.text):
            words.append(HeardWord(_as_heard(piece.text), now, end, 1.0))
        if piece.kind != "spoken":
            kind = TokenKind.LABEL if piece.kind == "label" else TokenKind.WORD
            token = Token(piece.text, offset, offset + len(piece.text), kind, piece.line)
            match = Match.MATCHED if end > now else Match.NOT_SPOKEN
            tokens.append(AlignedToken(token, match, now, end, heard_start, len(words), 1.0))
            offset += len(piece.text) + 1
        now = end
    return tokens, words
