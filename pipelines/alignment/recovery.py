"""Forced alignment of a whole text to a recording of which hardly a word was recognised.

On the telephone, free recognition gets one word in five, too few to align a text by. Forced alignment of the
whole text still places nearly every word correctly. But it aligns the text of another recording just as
readily. So the few recognised words serve as witnesses: they were recognised without knowledge of the text,
and if most of them lie where forced alignment places them, the text is the right one and its times hold.

    heard       no hello … i didn't prepare me …   … sheila …         … now though …
    forced      hello hello oh hello i didn't know you were … sheila … jersey now though
                      ✓                ✓                      ✓              ✓   ✓
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipelines.alignment.placement import agrees, rising
from pipelines.protocols import ForcedAligner
from pipelines.text import units
from pipelines.types import AlignedToken, Audio, HeardWord, Match, Span, TokenKind

LOW_MATCH = 0.35
"""Below this share of recognised supplied words, the text belongs to another recording, or too little was
recognised for the usual alignment. If the share of recognised words found in the text is as low, most words
that look unspoken were in fact spoken."""

LONGEST = 150.0
"""Seconds; forced alignment does not keep its beams open for longer recordings."""

WITNESSES = 4
"""Fewer words may agree by chance."""

AGREEING = 0.6
"""Share of the witnesses that must agree."""

FORCED = 0.5
"""Confidence in a token placed by forced alignment alone."""


def matched_share(tokens: Sequence[AlignedToken]) -> float:
    """The share of supplied words that were recognised as written."""
    words = [token.match is Match.MATCHED for token in tokens if token.token.kind is TokenKind.WORD]
    return sum(words) / len(words) if words else 1.0


def covered_share(tokens: Sequence[AlignedToken], words: Sequence[HeardWord]) -> float:
    """The share of recognised words that were supplied."""
    covered = sum(token.heard_end - token.heard_start for token in tokens if token.match is Match.MATCHED)
    return covered / max(1, len(words))


def recover(
    tokens: Sequence[AlignedToken], audio: Audio, aligner: ForcedAligner, language: str = "en"
) -> tuple[AlignedToken, ...]:
    """The same tokens, all spoken and with the times of forced alignment, where it can be trusted.

    Unchanged if enough was recognised, if the recording is too long, or if the witnesses disagree.
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
    agreeing = sum(agrees(tokens[index], spans[index]) for index in heard & spans.keys())
    return _forced(tokens, spans) if agreeing >= AGREEING * len(heard) else tuple(tokens)


def _spans(owners: Sequence[int], placed: Sequence[HeardWord]) -> dict[int, Span]:
    """The span of each token, from the first of its words to the last."""
    spans: dict[int, Span] = {}
    for owner, word in zip(owners, placed, strict=True):
        spans[owner] = Span(spans[owner].start if owner in spans else word.start, word.end)
    return spans


def _forced(tokens: Sequence[AlignedToken], spans: dict[int, Span]) -> tuple[AlignedToken, ...]:
    """The tokens at their new times; a token recognised elsewhere loses its recognised word."""
    result = []
    for index, token in enumerate(tokens):
        span = spans.get(index)
        unheard = span and not (token.match is Match.MATCHED and agrees(token, span))
        lost = replace(token, match=Match.INTERPOLATED, heard_end=token.heard_start, confidence=FORCED)
        kept = lost if unheard else token
        result.append(replace(kept, start=span.start, end=span.end) if span else kept)
    return tuple(rising(result))
