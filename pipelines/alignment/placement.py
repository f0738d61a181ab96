"""Better times for supplied words that recognition missed, by forced alignment between anchors.

    heard       … never  suggest  about  t  w  c  area  risky  help  many thanks …
    supplied    … never  say yes to that. DW's Yuri,                 many thanks …
                  └─ anchors ──┘                                     └─ anchors ──┘

A forced aligner places the missed words on the audio, and the words around them once more. It aligns wrong
words just as readily as right ones, so it is trusted only where it places those surrounding words where
free recognition had found them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pipelines.protocols import ForcedAligner
from pipelines.text import units
from pipelines.types import AlignedToken, Audio, HeardWord, Match, Span

ANCHORS = 2
"""Words recognised as written that are aligned once more on either side."""

AGREEMENT = 0.25
"""Seconds by which an anchor may move."""

LONGEST = 20.0
"""Seconds; forced alignment becomes unreliable over longer stretches."""

PLACED = 0.75
"""Confidence in the times of a token placed between agreeing anchors."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Spoken tokens by index: anchors, missed ones, anchors; `owners` is the token of each of `words`."""

    indexes: tuple[int, ...]
    owners: tuple[int, ...]
    words: tuple[str, ...]
    span: Span


def place(
    tokens: Sequence[AlignedToken], audio: Audio, aligner: ForcedAligner, language: str = "en"
) -> tuple[AlignedToken, ...]:
    """The same tokens; missed ones get the times of forced alignment where it can be trusted."""
    stretches = [stretch for stretch in _stretches(tokens, language) if stretch.span.duration <= LONGEST]
    answers = aligner.place(audio, [(stretch.span, stretch.words) for stretch in stretches])
    placed = list(tokens)
    for stretch, words in zip(stretches, answers, strict=True):
        if len(words) == len(stretch.words) and _believed(tokens, stretch, words):
            _move(placed, stretch, words)
    return tuple(rising(placed))


def _heard(token: AlignedToken) -> bool:
    return token.match is Match.MATCHED


def _stretches(tokens: Sequence[AlignedToken], language: str) -> Iterator[_Stretch]:
    """Every run of missed tokens with up to ANCHORS recognised ones on either side."""
    spoken = [index for index, token in enumerate(tokens) if token.match is not Match.NOT_SPOKEN]
    last = 0
    for place, index in enumerate(spoken):
        if place < last or _heard(tokens[index]):
            continue
        last = place + 1
        while last < len(spoken) and not all(_heard(tokens[i]) for i in spoken[last : last + ANCHORS]):
            last += 1
        chosen = spoken[max(0, place - ANCHORS) : last + ANCHORS]
        yield _stretch(tokens, chosen, language)


def _stretch(tokens: Sequence[AlignedToken], indexes: Sequence[int], language: str) -> _Stretch:
    named = [(index, unit) for index in indexes for unit in units(tokens[index].token.text, language)]
    return _Stretch(
        indexes=tuple(indexes),
        owners=tuple(index for index, _ in named),
        words=tuple(unit for _, unit in named),
        span=Span(tokens[indexes[0]].start, tokens[indexes[-1]].end),
    )


def _believed(tokens: Sequence[AlignedToken], stretch: _Stretch, words: Sequence[HeardWord]) -> bool:
    """Whether there is an anchor on each side, and every anchor is placed where it was recognised."""
    first, last = stretch.indexes[0], stretch.indexes[-1]
    anchored = _heard(tokens[first]) and _heard(tokens[last])
    return anchored and all(
        agrees(tokens[owner], word)
        for owner, word in zip(stretch.owners, words, strict=True)
        if _heard(tokens[owner])
    )


def agrees(token: AlignedToken, placed: Span | HeardWord) -> bool:
    """Whether the token is placed where it was recognised."""
    return abs(placed.start - token.start) <= AGREEMENT or abs(placed.end - token.end) <= AGREEMENT


def _move(placed: list[AlignedToken], stretch: _Stretch, words: Sequence[HeardWord]) -> None:
    for index in stretch.indexes:
        mine = [word for owner, word in zip(stretch.owners, words, strict=True) if owner == index]
        if mine and not _heard(placed[index]):
            placed[index] = replace(
                placed[index],
                start=mine[0].start,
                end=mine[-1].end,
                confidence=max(placed[index].confidence, PLACED),
            )


def rising(tokens: Sequence[AlignedToken]) -> Iterator[AlignedToken]:
    """The tokens with starts and ends that never decrease; an unspoken token has no length."""
    now = until = 0.0
    for token in tokens:
        if token.match is Match.NOT_SPOKEN:
            now = until
        else:
            now = max(now, token.start)
            until = max(until, now, token.end)
        yield replace(token, start=now, end=until)
