"""The text of each turn as HTML: every supplied token once, in order, with findings and corrections marked.

<del class="not_spoken">    in the text, not in the recording         <del class="repeated">  said once
<ins class="missing">       heard here, not in the text
<span class="differs">      heard as another word
<span class="was"> <span class="now">   a correction: the supplied reading, the corrected one
                            ("now changed" where more than punctuation and case changes)
<span data-t="12.34">       a spoken word and its time
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import TypeVar

from pipelines.text import compatible
from pipelines.types import AlignedToken, Correction, Finding, FindingKind, Match, TokenKind, Transcript

M = TypeVar("M", Finding, Correction)

MISSING_WORDS = 12
"""Most words of a missing passage that the text shows; the note has them all."""

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def plain(text: str) -> str:
    """Escapes text for an element or a quoted attribute."""
    return escape(_FORBIDDEN.sub("\ufffd", text))


class TurnMarkup:
    """Writes tokens as HTML, with the findings and corrections that cover or precede each."""

    def __init__(self, transcript: Transcript) -> None:
        self._tokens = transcript.tokens
        self._finding: dict[int, Finding] = {}
        self._correction: dict[int, Correction] = {}
        self._missing: dict[int, list[Finding]] = {}
        self._inserted: dict[int, list[Correction]] = {}
        for finding in transcript.findings:
            _place(finding, len(self._tokens), self._finding, self._missing)
        for correction in compatible(transcript.corrections):
            _place(correction, len(self._tokens), self._correction, self._inserted)

    def write(self, start: int, end: int) -> str:
        """Writes tokens [start, end), and after the very last one whatever was heard after it."""
        pieces = [self._found(list(run)) for _, run in groupby(range(start, end), self._finding_of)]
        if end == len(self._tokens) > 0:
            pieces.append(self._before(end))
        return "".join(pieces).strip()

    def _finding_of(self, index: int) -> tuple[object, ...]:
        """A key: neighbouring tokens with the same one share an element."""
        aligned = self._tokens[index]
        unspoken = aligned.match is Match.NOT_SPOKEN
        aside = unspoken and aligned.token.kind is not TokenKind.WORD
        finding = self._finding.get(index)
        return id(finding), aside, unspoken and finding is None

    def _found(self, run: Sequence[int]) -> str:
        """Writes the tokens of one finding, or of none, in its element."""
        first = run[0]
        _, aside, unexplained = self._finding_of(first)
        parts = [list(part) for _, part in groupby(run, lambda index: id(self._correction.get(index)))]
        text = "".join(self._gap(part[0], first) + self._corrected(part) for part in parts)
        if aside:
            text = f'<span class="aside">{text}</span>'
        elif unexplained:
            text = f'<del class="not_spoken" data-note="Not spoken">{text}</del>'
        elif first in self._finding:
            text = _marked(self._finding[first], text)
        return self._lead(first) + text

    def _corrected(self, part: Sequence[int]) -> str:
        """Writes the tokens of one correction, or of none, in both readings."""
        first = part[0]
        text = "".join(self._gap(index, first) + self._word(index) for index in part)
        correction = self._correction.get(first)
        if correction is None:
            return text
        now = _now(correction, self._tokens[first]) if first == correction.token_start else ""
        return f'<span class="was">{text}</span>{now}'

    def _word(self, index: int) -> str:
        token = self._tokens[index]
        text = plain(token.token.text)
        return text if token.match is Match.NOT_SPOKEN else f'<span data-t="{token.start:.2f}">{text}</span>'

    def _gap(self, index: int, first: int) -> str:
        """The lead of a token inside an element; the lead of the first token precedes the element."""
        return self._lead(index) if index != first else ""

    def _lead(self, index: int) -> str:
        """What precedes a token: missing words, insertions, a space."""
        tokens = self._tokens
        glued = index > 0 and tokens[index - 1].token.char_end == tokens[index].token.char_start
        return self._before(index) + ("" if glued else " ")

    def _before(self, index: int) -> str:
        heard = "".join(map(_missing, self._missing.get(index, ())))
        token = self._tokens[min(index, len(self._tokens) - 1)]
        return heard + "".join(f" {_now(correction, token)}" for correction in self._inserted.get(index, ()))


def note(finding: Finding) -> str:
    """A finding in words."""
    sure = f"{finding.confidence:.0%} sure"
    match finding.kind:
        case FindingKind.DIFFERS:
            return f"Heard: “{finding.suggestion}”\n{sure}"
        case FindingKind.MISSING:
            return f"Heard here, not in the text: “{finding.suggestion}”\n{sure}"
        case FindingKind.REPEATED:
            return f"Written twice, said once\n{sure}"
        case FindingKind.NOT_SPOKEN:
            return f"In the text, not in the recording\n{sure}"


def _marked(finding: Finding, text: str) -> str:
    explained = f'data-note="{plain(note(finding))}"'
    if finding.kind in {FindingKind.NOT_SPOKEN, FindingKind.REPEATED}:
        return f'<del class="{finding.kind.value}" {explained}>{text}</del>'
    return f'<span class="differs" {explained}>{text}</span>'


def _missing(finding: Finding) -> str:
    """The recognised words, shortened, at their time."""
    words = finding.suggestion.split()
    text = " ".join(words[:MISSING_WORDS])
    rest = f" … {len(words) - MISSING_WORDS} more" if len(words) > MISSING_WORDS else ""
    heard = f'<span data-t="{finding.start:.2f}">{plain(text)}{rest}</span>'
    return f' <ins class="missing" data-note="{plain(note(finding))}">{heard}</ins>'


def _now(correction: Correction, token: AlignedToken) -> str:
    """The words of the corrected reading; empty where it drops the tokens."""
    if not correction.after:
        return ""
    kind = "now" if _letters(correction.before) == _letters(correction.after) else "now changed"
    reason = plain(f"Supplied: “{correction.before}”\n{correction.reason}")
    text = f'<span data-t="{token.start:.2f}">{plain(correction.after)}</span>'
    return f'<span class="{kind}" data-note="{reason}">{text}</span>'


def _letters(text: str) -> str:
    """The text without punctuation and case."""
    return "".join(filter(str.isalnum, text.casefold()))


def _place(item: M, count: int, covering: dict[int, M], before: dict[int, list[M]]) -> None:
    for index in range(item.token_start, min(item.token_end, count)):
        covering.setdefault(index, item)
    if item.token_start == item.token_end:
        before.setdefault(min(item.token_start, count), []).append(item)
