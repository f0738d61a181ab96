"""A text whose recording recognition hardly understood, put on it by force, and believed only with reason.

On the telephone free recognition gets one word in five, too few to hang a text on. Forced alignment of the
whole text still puts nearly every word where it is said. But it aligns the text of another recording as
happily; so the few words that were recognised are the witnesses: they were heard without knowledge of the
text, and if most of them lie where force has put them, the text is the right one and so are the rest.

    heard       no hello … i didn't prepare me …   … sheila …         … now though …
    by force    hello hello oh hello i didn't know you were … sheila … jersey now though
                      ✓                ✓                      ✓              ✓   ✓
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipelines.alignment.placement import AGREEMENT, rising
from pipelines.protocols import ForcedAligner
from pipelines.text import units
from pipelines.types import AlignedToken, Audio, HeardWord, Match, Span, TokenKind

LOW_MATCH = 0.35
"""Share of the supplied words recognised below which the text is of another recording, or too little was
recognised for the usual alignment; where it is that low of the words heard too, more true words than pasted
ones look unspoken."""

LONGEST = 150.0
"""Seconds; the beams of forced alignment are not kept open for longer recordings."""

WITNESSES = 4
"""Fewer words than that may agree by chance."""

AGREEING = 0.6
"""Share of the witnesses that must agree."""

FORCED = 0.5
"""Confidence in a token that only force has placed."""


def recover(
    tokens: Sequence[AlignedToken], audio: Audio, aligner: ForcedAligner, language: str = "en"
) -> tuple[AlignedToken, ...]:
    """The same tokens, all of them spoken and with the times of forced alignment, where that is believed.

    Unchanged where enough was recognised, where the recording is too long, and where the witnesses disagree.
    """
    words = [index for index, token in enumerate(tokens) if token.token.kind is TokenKind.WORD]
    owners = [(index, unit) for index in words for unit in units(tokens[index].token.text, language)]
    heard = {index for index in words if tokens[index].match is Match.MATCHED}
    if len(heard) < WITNESSES or len(heard) >= LOW_MATCH * len(words) or audio.duration > LONGEST:
        return tuple(tokens)
    (placed,) = aligner.place(audio, [(Span(0.0, audio.duration), tuple(unit for _, unit in owners))])
    if len(placed) != len(owners):
        return tuple(tokens)
    spans = _spans([index for index, _ in owners], placed)
    agreeing = sum(_agrees(tokens[index], spans[index]) for index in heard & spans.keys())
    return _forced(tokens, spans) if agreeing >= AGREEING * len(heard) else tuple(tokens)


def _spans(owners: Sequence[int], placed: Sequence[HeardWord]) -> dict[int, Span]:
    """When each token was put, from the first of its words to the last."""
    spans: dict[int, Span] = {}
    for owner, word in zip(owners, placed, strict=True):
        spans[owner] = Span(spans[owner].start if owner in spans else word.start, word.end)
    return spans


def _agrees(token: AlignedToken, span: Span) -> bool:
    return abs(span.start - token.start) <= AGREEMENT or abs(span.end - token.end) <= AGREEMENT


def _forced(tokens: Sequence[AlignedToken], spans: dict[int, Span]) -> tuple[AlignedToken, ...]:
    """A token that was heard elsewhere was not heard here: it stands against no word."""
    result = []
    for index, token in enumerate(tokens):
        span = spans.get(index)
        if span is None:
            result.append(token)
        elif token.match is Match.MATCHED and _agrees(token, span):
            result.append(replace(token, start=span.start, end=span.end))
        else:
            result.append(_unheard(token, span))
    return tuple(rising(result))


def _unheard(token: AlignedToken, span: Span) -> AlignedToken:
    return replace(
        token,
        match=Match.INTERPOLATED,
        start=span.start,
        end=span.end,
        heard_start=token.heard_start,
        heard_end=token.heard_start,
        confidence=FORCED,
    )
