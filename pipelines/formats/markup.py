"""The text of each turn as HTML: every supplied token once, in order, with findings and corrections marked.

<del class="not_spoken">    in the text, not in the recording         <del class="repeated">  said once
<ins class="missing">       heard here, not in the text
<span class="differs">      heard as another word
<span class="was"> <span class="now">   a correction: the supplied reading, the corrected one
<span data-t="12.34">       a spoken word and its time
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import TypeVar

from pipelines.formats.reading import compatible
from pipelines.types import (
    AlignedToken,
    Correction,
    Finding,
    FindingKind,
    Match,
    TokenKind,
    Transcript,
)

M = TypeVar("M", Finding, Correction)

MISSING_WORDS = 12
"""How many of the words that were heard and not supplied stand in the text; the note has all."""

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def plain(text: str) -> str:
    """Text that stays text, in an element or in a quoted attribute."""
    return escape(_FORBIDDEN.sub("\ufffd", text))


class TurnMarkup:
    """Writes tokens as HTML; looks up by token what begins there and what covers it."""

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
        """Tokens [start, end); what was heard after the last token of all stands behind it."""
        pieces = [self._run(list(run)) for _, run in groupby(range(start, end), self._marks)]
        if end == len(self._tokens) > 0:
            pieces.append(self._before(end))
        return "".join(pieces).strip()

    def _marks(self, index: int) -> tuple[object, ...]:
        """What a token's markup depends on: tokens that agree in it share their elements."""
        begins = index if index in self._missing or index in self._inserted else -1
        finding, correction = self._finding.get(index), self._correction.get(index)
        token = self._tokens[index]
        return id(finding), id(correction), token.match is Match.NOT_SPOKEN, token.token.kind, begins

    def _run(self, run: Sequence[int]) -> str:
        first = run[0]
        text = "".join(self._word(index, index == first) for index in run)
        text = self._found(first, text)
        correction = self._correction.get(first)
        if correction:
            text = f'<span class="was">{text}</span>'
            text += _now(correction, self._tokens[first]) if first == correction.token_start else ""
        return self._before(first) + self._gap(first) + text

    def _word(self, index: int, first: bool) -> str:
        token = self._tokens[index]
        text = plain(token.token.text)
        if token.match is not Match.NOT_SPOKEN:
            text = f'<span data-t="{token.start:.2f}">{text}</span>'
        return text if first else self._gap(index) + text

    def _gap(self, index: int) -> str:
        tokens = self._tokens
        glued = index > 0 and tokens[index - 1].token.char_end == tokens[index].token.char_start
        return "" if glued else " "

    def _found(self, index: int, text: str) -> str:
        """The text of one run inside the element of its finding."""
        token, finding = self._tokens[index], self._finding.get(index)
        unspoken = token.match is Match.NOT_SPOKEN
        if unspoken and token.token.kind is not TokenKind.WORD:
            return f'<span class="aside">{text}</span>'
        if finding is None:
            return f'<del class="not_spoken" data-note="Not spoken">{text}</del>' if unspoken else text
        explained = f'data-note="{plain(note(finding))}"'
        if finding.kind in {FindingKind.NOT_SPOKEN, FindingKind.REPEATED}:
            return f'<del class="{finding.kind.value}" {explained}>{text}</del>'
        return f'<span class="differs" {explained}>{text}</span>'

    def _before(self, index: int) -> str:
        """What was heard, and what is inserted, in front of a token."""
        heard = "".join(_missing(finding) for finding in self._missing.get(index, ()))
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


def _missing(finding: Finding) -> str:
    """The words heard, shortened, at their time."""
    words = finding.suggestion.split()
    text = " ".join(words[:MISSING_WORDS])
    rest = f" … {len(words) - MISSING_WORDS} more" if len(words) > MISSING_WORDS else ""
    heard = f'<span data-t="{finding.start:.2f}">{plain(text)}{rest}</span>'
    return f' <ins class="missing" data-note="{plain(note(finding))}">{heard}</ins>'


def _now(correction: Correction, token: AlignedToken) -> str:
    """What the corrected reading has instead; nothing where it drops the tokens."""
    if not correction.after:
        return ""
    reason = plain(f"Supplied: “{correction.before}”\n{correction.reason}")
    text = f'<span data-t="{token.start:.2f}">{plain(correction.after)}</span>'
    return f'<span class="now" data-note="{reason}">{text}</span>'


def _place(item: M, count: int, covering: dict[int, M], before: dict[int, list[M]]) -> None:
    for index in range(item.token_start, min(item.token_end, count)):
        covering.setdefault(index, item)
    if item.token_start == item.token_end:
        before.setdefault(min(item.token_start, count), []).append(item)
