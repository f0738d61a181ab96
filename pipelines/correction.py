"""The corrected reading: the supplied text less what was not said, with its typing noise repaired.

A word is changed only on strong evidence: a dropped beginning whose whole word was heard, or a term of the
user's glossary that is near in spelling and sound where the recogniser did not hear the supplied word.
Every change is a `Correction` and can be undone by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from rapidfuzz.distance import Levenshtein

from pipelines.normalization import ends_sentence, sound, units
from pipelines.types import (
    AlignedToken,
    Correction,
    Finding,
    FindingKind,
    HeardWord,
    Match,
    TokenKind,
    Turn,
)

HEARD = 0.5
"""Confidence of recognition that supports a word which the supplied one is the end of."""

DROPPED = 2
"""Letters that may be missing at a word's beginning."""

NEAR_TERM = 0.6
"""Alikeness, in spelling or in sound, from which a glossary term stands for a supplied word."""

_DOUBLED = re.compile(r"([,;:!?])\1+")
_TWO_STOPS = re.compile(r"(?<!\.)\.\.(?!\.)")
_LEADING = re.compile(r"^([,;:.!?]+)(?=\w)")
_EDGES = re.compile(r"^(\W*)(.*?)(\W*)$", re.DOTALL)


def correct(
    tokens: Sequence[AlignedToken],
    turns: Sequence[Turn],
    findings: Sequence[Finding],
    words: Sequence[HeardWord],
    glossary: Iterable[str] = (),
    language: str = "en",
) -> tuple[Correction, ...]:
    """The changes, in the order of the text, none of them overlapping."""
    reading = {index: token.token.text for index, token in enumerate(tokens)}
    reasons: dict[int, str] = {}
    for index, text, reason in (
        *_dropped(tokens, findings),
        *_restored(tokens, words, language),
        *_named(tokens, glossary, language),
    ):
        reading[index] = text
        reasons.setdefault(index, reason)
    _punctuate(tokens, turns, reading)
    return tuple(
        Correction(
            index, index + 1, token.token.text, reading[index], reasons.get(index, "punctuation and case")
        )
        for index, token in enumerate(tokens)
        if reading[index] != token.token.text
    )


def read(
    tokens: Sequence[AlignedToken], turns: Sequence[Turn], corrections: Sequence[Correction]
) -> tuple[str, tuple[Turn, ...]]:
    """The corrected reading, a line for each turn, and the turns with their part of it."""
    changed = {correction.token_start: correction.after for correction in corrections}
    filled = tuple(replace(turn, corrected=_line(tokens, turn, changed)) for turn in turns)
    return "\n".join(turn.corrected for turn in filled if turn.corrected), filled


def _line(tokens: Sequence[AlignedToken], turn: Turn, changed: Mapping[int, str]) -> str:
    texts = (changed.get(i, tokens[i].token.text) for i in range(turn.token_start, turn.token_end))
    return " ".join(text for text in texts if text)


# --------------------------------------------------------------------------- words

Change = tuple[int, str, str]
"""Token, its new text, the reason."""


def _dropped(tokens: Sequence[AlignedToken], findings: Sequence[Finding]) -> Iterator[Change]:
    for index, token in enumerate(tokens):
        if token.match is Match.NOT_SPOKEN:
            kind = token.token.kind
            yield index, "", "not spoken" if kind is TokenKind.WORD else f"caption mark: {kind.value}"
    for finding in findings:
        if finding.kind is FindingKind.REPEATED:
            for index in range(finding.token_start, finding.token_end):
                yield index, "", "written twice"


def _restored(tokens: Sequence[AlignedToken], words: Sequence[HeardWord], language: str) -> Iterator[Change]:
    """Words whose first letters were lost: "nd" where "and" was heard."""
    for index, token in enumerate(tokens):
        if token.match is Match.DIFFERS and token.heard_end == token.heard_start + 1:
            heard = words[token.heard_start]
            ours, theirs = units(token.token.text, language), units(heard.text, language)
            if heard.confidence >= HEARD and len(ours) == len(theirs) == 1:
                lost = len(theirs[0]) - len(ours[0])
                if 0 < lost <= DROPPED and theirs[0].endswith(ours[0]):
                    yield index, _reword(token.token.text, heard.text), f"heard {heard.text!r}"


def _named(tokens: Sequence[AlignedToken], glossary: Iterable[str], language: str) -> Iterator[Change]:
    """Single words of glossary terms in place of near words that were not heard as supplied."""
    terms = {form: word for term in glossary for word in term.split() for form in units(word, language)[:1]}
    for index, token in enumerate(tokens):
        forms = units(token.token.text, language)
        if token.match not in (Match.DIFFERS, Match.INTERPOLATED) or len(forms) != 1 or forms[0] in terms:
            continue
        alike, form = max(((_alike(forms[0], form), form) for form in terms), default=(0.0, ""))
        if alike >= NEAR_TERM:
            yield index, _reword(token.token.text, terms[form]), f"glossary: {terms[form]}"


def _alike(word: str, term: str) -> float:
    """In spelling or in sound; a short word is no evidence for a long name."""
    if len(word) < 4 or abs(len(word) - len(term)) > 3:
        return 0.0
    return max(
        Levenshtein.normalized_similarity(word, term),
        0.9 * Levenshtein.normalized_similarity(sound(word), sound(term)),
    )


def _reword(text: str, word: str) -> str:
    """`word` in the place of the word in `text`, with its punctuation and its capital."""
    match = _EDGES.match(text)
    before, core, after = match.groups() if match else ("", text, "")
    return before + (word[:1].upper() + word[1:] if core[:1].isupper() else word) + after


# --------------------------------------------------------------------------- punctuation and case


def _punctuate(tokens: Sequence[AlignedToken], turns: Sequence[Turn], reading: dict[int, str]) -> None:
    for turn in turns:
        kept = [index for index in range(turn.token_start, turn.token_end) if reading[index]]
        for index in kept:
            reading[index] = _TWO_STOPS.sub(".", _DOUBLED.sub(r"\1", reading[index]))
        for left, right in pairwise(kept):
            _move_leading(reading, left, right)
            _join_lines(tokens, reading, left, right)
        _close(reading, kept)
        _capitalise(reading, kept)


def _move_leading(reading: dict[int, str], left: int, right: int) -> None:
    """ "indeed ,Putin" → "indeed, Putin"."""
    found = _LEADING.match(reading[right])
    if found and not found[1].startswith("."):
        reading[right] = reading[right][found.end() :]
        if reading[left][-1:].isalnum():
            reading[left] += found[1][0]


def _join_lines(tokens: Sequence[AlignedToken], reading: dict[int, str], left: int, right: int) -> None:
    """A full stop at the end of a line, in the middle of a sentence: "the US. / and Russia"."""
    broken = tokens[left].token.line != tokens[right].token.line
    if broken and reading[right][:1].islower() and reading[left].endswith("."):
        reading[left] = reading[left].rstrip(".")


def _close(reading: dict[int, str], kept: Sequence[int]) -> None:
    """A turn ends with a full stop, unless it has another end."""
    if kept and not ends_sentence(reading[kept[-1]]):
        last = reading[kept[-1]].rstrip(",;:-–—")
        reading[kept[-1]] = last + "." if last[-1:].isalnum() else reading[kept[-1]]


def _capitalise(reading: dict[int, str], kept: Sequence[int]) -> None:
    begins = True
    for index in kept:
        text = reading[index]
        if begins and text[:1].islower():
            reading[index] = text[:1].upper() + text[1:]
        begins = ends_sentence(text)
