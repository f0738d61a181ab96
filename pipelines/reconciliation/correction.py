"""The corrected reading: the supplied text without what was not said, and with its typos repaired.

A word is changed only on strong evidence: its first letters are missing and the whole word was recognised, or
it is close in spelling and sound to a term of the user's glossary and was not recognised as written. Every
change is a `Correction` and can be undone on its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from pipelines.reconciliation.glossary import find_terms
from pipelines.text import ends_sentence, join_tokens, joined, units, words_by_turn
from pipelines.types import AlignedToken, Correction, Finding, FindingKind, HeardWord, Match, TokenKind, Turn

HEARD = 0.5
"""Confidence from which a recognised word may replace a supplied one that lost its first letters."""

DROPPED = 2
"""Letters that may be missing from the beginning of a word."""

HABIT = 2
"""Words with lost letters from which the text as a whole is taken to have this fault."""

_DOUBLED = re.compile(r"([,;:!?])\1+")
_TWO_STOPS = re.compile(r"(?<!\.)\.\.(?!\.)")
_LEADING = re.compile(r"^(?:[,;:!?]+(?=\w|$)|\.$)")
_STRAY_STOP = re.compile(r"(?<=[^\W_])\.$")
_EDGES = re.compile(r"^(\W*)(.*?)(\W*)$", re.DOTALL)
_POSSESSIVE_EDGES = re.compile(r"^(\W*)(.*?)((?:['’]s)?\W*)$", re.DOTALL)


def correct(
    tokens: Sequence[AlignedToken],
    turns: Sequence[Turn],
    findings: Sequence[Finding],
    words: Sequence[HeardWord],
    glossary: Iterable[str] = (),
    language: str = "en",
) -> tuple[Correction, ...]:
    """The corrections, in the order of the text, without overlap."""
    reading = {index: token.token.text for index, token in enumerate(tokens)}
    reasons: dict[int, str] = {}
    for index, text, reason in (
        *_restored(tokens, words, language),
        *_named(tokens, glossary, language),
        *_dropped(tokens, findings),
    ):
        reading[index] = text
        reasons[index] = reason
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
    """The corrected reading, one line per turn, and the turns with their parts of it."""
    texts = map(joined, words_by_turn(tokens, turns, corrections))
    filled = tuple(replace(turn, corrected=text) for turn, text in zip(turns, texts, strict=True))
    return "\n".join(turn.corrected for turn in filled if turn.corrected), filled


def uncorrected(tokens: Sequence[AlignedToken], turns: Sequence[Turn]) -> tuple[str, tuple[Turn, ...]]:
    """All supplied words in place of a corrected reading, and the turns with their own text."""
    words = [index for index, token in enumerate(tokens) if token.token.kind is TokenKind.WORD]
    return join_tokens(tokens, words), tuple(replace(turn, corrected=turn.text) for turn in turns)


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
    """Words whose first letters were lost: "nd" where "and" was recognised.

    A form that is recognised as written anywhere stays ("and" where "hand" was recognised), and a single case
    in the whole text is more likely a recognition error than a lost letter.
    """
    forms = [units(token.token.text, language) for token in tokens]
    known = {form for form, token in zip(forms, tokens, strict=True) if token.match is Match.MATCHED}
    lost: list[Change] = []
    for index, (form, token) in enumerate(zip(forms, tokens, strict=True)):
        if form not in known and token.match is Match.DIFFERS and token.heard_end == token.heard_start + 1:
            heard = words[token.heard_start]
            if heard.confidence >= HEARD and _is_end(form, units(heard.text, language)):
                lost.append((index, _reword(token.token.text, heard.text), f"heard {heard.text!r}"))
    return iter(lost if len(lost) >= HABIT else ())


def _is_end(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    """Whether `ours` is `theirs` without up to DROPPED of its first letters."""
    if len(ours) != 1 or len(theirs) != 1:
        return False
    return 0 < len(theirs[0]) - len(ours[0]) <= DROPPED and theirs[0].endswith(ours[0])


def _named(tokens: Sequence[AlignedToken], glossary: Iterable[str], language: str) -> Iterator[Change]:
    for index, word in find_terms(tokens, glossary, language):
        yield index, _reword(tokens[index].token.text, word, _POSSESSIVE_EDGES), f"glossary: {word}"


def _reword(text: str, word: str, edges: re.Pattern[str] = _EDGES) -> str:
    """`text` with `word` in place of its word; punctuation and capital stay."""
    match = edges.match(text)
    before, core, after = match.groups() if match else ("", text, "")
    return before + (word[:1].upper() + word[1:] if core[:1].isupper() else word) + after


def _punctuate(tokens: Sequence[AlignedToken], turns: Sequence[Turn], reading: dict[int, str]) -> None:
    for turn in turns:
        kept = [index for index in range(turn.token_start, turn.token_end) if reading[index]]
        for index in kept:
            reading[index] = _TWO_STOPS.sub(".", _DOUBLED.sub(r"\1", reading[index]))
        kept = list(_move_leading(reading, kept))
        for left, right in pairwise(kept):  # "the US. / and Russia": the line ends inside a sentence
            broken = tokens[left].token.line != tokens[right].token.line
            if broken and reading[right][:1].islower() and ends_sentence(reading[left]):
                reading[left] = _STRAY_STOP.sub("", reading[left])
        _close(reading, kept)
        _capitalise(reading, kept)


def _move_leading(reading: dict[int, str], kept: Sequence[int]) -> Iterator[int]:
    """ "indeed ,Putin" and "indeed , Putin" → "indeed, Putin"; yields the remaining tokens."""
    last = -1
    for index in kept:
        found = _LEADING.match(reading[index])
        if found and last >= 0:
            reading[index] = reading[index][found.end() :]
            if reading[last][-1:].isalnum():
                reading[last] += found[0][0]
        if reading[index]:
            last = index
            yield index


def _close(reading: dict[int, str], kept: Sequence[int]) -> None:
    """Ends the turn with a full stop, unless it already ends a sentence."""
    if kept and not ends_sentence(reading[kept[-1]]):
        last = reading[kept[-1]].rstrip(",;:-–—")
        reading[kept[-1]] = last + "." if last[-1:].isalnum() else reading[kept[-1]]


def _capitalise(reading: dict[int, str], kept: Sequence[int]) -> None:
    """Capitalises the beginning of the turn and of every sentence, but not after "…"."""
    begins = True
    for index in kept:
        text = reading[index]
        if begins and text[:1].islower():
            reading[index] = text[:1].upper() + text[1:]
        begins = ends_sentence(text) and not text.endswith(("…", "..."))
