"""Where text and recording disagree."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from pipelines.text import ends_sentence, join_tokens, join_words, units
from pipelines.types import AlignedToken, Finding, FindingKind, HeardWord, Match, TokenKind, runs

CLEARLY_HEARD = 0.8
"""Confidence from which a recognised word that differs from the supplied one is worth showing."""

SPEECH_HEARD = 0.5
"""Mean confidence from which words without a counterpart count as speech, not noise."""

SHORTEST_MISSING = 3
"""Words; a recogniser often splits one word into two or three."""

ROOM = 0.3
"""Free time beside a word, in multiples of its length, from which it may have been said twice."""

SHORTEST_WORD = 0.05  # seconds

Form = tuple[str, ...]
"""The comparable units of a token."""


def find(tokens: Sequence[AlignedToken], words: Sequence[HeardWord], language: str) -> tuple[Finding, ...]:
    """All findings in the order of the text."""
    forms = [units(token.token.text, language) for token in tokens]
    found = [
        *_unspoken(tokens, forms),
        *_stuttered(tokens, words, forms),
        *_missing(tokens, words),
        *_differing(tokens, words),
    ]
    return tuple(sorted(found, key=lambda finding: (finding.token_start, finding.token_end)))


def _finding(
    kind: FindingKind,
    tokens: Sequence[AlignedToken],
    place: tuple[int, int],
    suggestion: str,
    confidence: float,
) -> Finding:
    """A finding about the tokens [start, end) = `place`, at least one."""
    run = tokens[slice(*place)]
    text = join_tokens(tokens, range(*place))
    return Finding(kind, *place, run[0].start, run[-1].end, text, suggestion, confidence)


def _unspoken(tokens: Sequence[AlignedToken], forms: Sequence[Form]) -> Iterator[Finding]:
    for start, end in runs([token.match is Match.NOT_SPOKEN for token in tokens]):
        words = [token for token in tokens[start:end] if token.token.kind is TokenKind.WORD]
        if words:
            kind = FindingKind.REPEATED if _is_copy(forms, start, end) else FindingKind.NOT_SPOKEN
            confidence = float(np.mean([token.confidence for token in words]))
            yield _finding(kind, tokens, (start, end), "", confidence)


def _is_copy(forms: Sequence[Form], start: int, end: int) -> bool:
    """Whether [start, end) repeats the text directly before it, directly after it, or both in turn.

    Roll-up captions show lines more than once: in A A B B C, the inner "A B" lies between an A and a B.
    """
    while start < end:
        size = end - start
        front = _overlap(forms[max(0, start - size) : start], forms[start:end])
        back = 0 if front else _overlap(forms[start:end], forms[end : end + size])
        if not front and not back:
            return False
        start, end = start + front, end - back
    return True


def _overlap(left: Sequence[Form], right: Sequence[Form]) -> int:
    """The length of the longest suffix of `left` that is a prefix of `right`.

    Linear time, by the prefix function of Knuth, Morris and Pratt, "Fast pattern matching in strings", 1977.
    """
    joined = [*right, None, *left]  # None is not a form: nothing matches across it
    borders = [0] * len(joined)
    for at in range(1, len(joined)):
        border = borders[at - 1]
        while border and joined[at] != joined[border]:
            border = borders[border - 1]
        borders[at] = border + (joined[at] == joined[border])
    return borders[-1] if left else 0


def _stuttered(
    tokens: Sequence[AlignedToken], words: Sequence[HeardWord], forms: Sequence[Form]
) -> Iterator[Finding]:
    """Words written twice and recognised once, with no room beside them for the second."""
    for index, (left, right) in enumerate(pairwise(tokens)):
        alike = forms[index] and forms[index] == forms[index + 1] and not ends_sentence(left.token.text)
        if alike and {left.match, right.match} == {Match.MATCHED, Match.INTERPOLATED}:
            heard, unheard = (left, index + 1) if left.match is Match.MATCHED else (right, index)
            if _room_beside(heard, words) < ROOM:
                yield _finding(FindingKind.REPEATED, tokens, (unheard, unheard + 1), "", 0.5)


def _room_beside(token: AlignedToken, words: Sequence[HeardWord]) -> float:
    """The free time between the recognised words around the token's, in multiples of the token's length."""
    first, last = words[token.heard_start], words[token.heard_end - 1]
    before = words[token.heard_start - 1].end if token.heard_start else 0.0
    behind = words[token.heard_end].start if token.heard_end < len(words) else math.inf
    length = last.end - first.start
    return (behind - before - length) / max(length, SHORTEST_WORD)


def _missing(tokens: Sequence[AlignedToken], words: Sequence[HeardWord]) -> Iterator[Finding]:
    """Recognised words without a counterpart in the text, unless unrecognised tokens account for them."""
    heard = [(i, token.heard_start, token.heard_end) for i, token in enumerate(tokens)]
    paired = [(i, start, end) for i, start, end in heard if start < end]
    before = place = 0
    for index, start, end in [*paired, (len(tokens), len(words), len(words))]:
        yield from _gap(tokens, words, before, start, place, index)
        before, place = end, index + 1


def _gap(
    tokens: Sequence[AlignedToken], words: Sequence[HeardWord], left: int, right: int, start: int, end: int
) -> Iterator[Finding]:
    """A finding for words [left, right), recognised before token `end` in place of tokens [start, end)."""
    heard = words[left:right]
    unheard = sum(token.match is Match.INTERPOLATED for token in tokens[start:end])
    if len(heard) - unheard < SHORTEST_MISSING:
        return
    confidence = float(np.mean([word.confidence for word in heard]))
    if confidence >= SPEECH_HEARD:
        suggestion = join_words(word.text for word in heard)
        yield Finding(
            FindingKind.MISSING, end, end, heard[0].start, heard[-1].end, "", suggestion, confidence
        )


def _differing(tokens: Sequence[AlignedToken], words: Sequence[HeardWord]) -> Iterator[Finding]:
    for start, end in runs([token.match is Match.DIFFERS for token in tokens]):
        heard = words[tokens[start].heard_start : tokens[end - 1].heard_end]
        confidence = min((word.confidence for word in heard), default=0.0)
        if confidence >= CLEARLY_HEARD:
            suggestion = join_words(word.text for word in heard)
            yield _finding(FindingKind.DIFFERS, tokens, (start, end), suggestion, confidence)
