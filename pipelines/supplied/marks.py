"""What captioners write that nobody says: marks of a new speaker, speakers' names, sounds, markup.

    >> ANCHOR: Good evening. [Music]      - Thank you.      <v Mara Okoye>It rises.</v>

">>" and ">>>" (a new speaker, a new story) are conventions of American line-21 captions, a leading dash and
a name in capitals those of subtitles; the voice tag is WebVTT's (https://www.w3.org/TR/webvtt1/).
A doubtful token stays a word, since a token marked here is never looked for in the recording.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.supplied.lines import Line
from pipelines.types import TokenKind

VOICE = r"(?P<voice><v(?:\.[^\s>]{0,80})?[ \t]+(?P<label>[^<>\r\n]{1,200})>)"
TAG = r"</?[a-zA-Z][^<>\r\n]{0,200}>|<[\d:.]{5,12}>|\{\\[^{}\r\n]{0,200}\}"
CHANGE = r"(?P<change>>{2,}|(?:&gt;){2,})"
NOISES = (
    "applau|laugh|chuckl|music|cheer|inaudibl|crosstalk|sigh|cough|silence|noise|indistinct|clears throat"
)
SOUND = (
    r"(?P<sound>\[[^\[\]\r\n]{1,60}\]"
    rf"|\((?=[^()\r\n]{{0,40}}(?i:{NOISES}))[^()\r\n]{{1,60}}\)"
    r"|[♪♫♬][^♪♫♬\r\n]{0,200}[♪♫♬]+|[♪♫♬]+)"
)
PLAIN = re.compile(f"{CHANGE}|{SOUND}")
CAPTION = re.compile(f"{VOICE}|(?P<tag>{TAG})|{CHANGE}|{SOUND}")

DASH = re.compile(rf"(?:\s|\ufeff|{TAG})*(?P<dash>[-‐–—])(?=\s+\S|[^\W\d_]|[\"“'‘¿¡])")
DASHED_SHARE = 0.25  # of the lines of a plain text, from which a leading dash is a mark and not a typo

NAME = r"[^\W\d_][\w.'’&-]{0,30}"
LABEL = re.compile(
    rf"(?:\s|\ufeff|{TAG})*(?P<label>{NAME}(?:[ \t](?:{NAME}|\d{{1,3}})){{0,3}}[ \t]?(?::(?=\s|$)|：))"
)
PARTICLES = frozenset({"al", "bin", "da", "de", "del", "der", "di", "el", "la", "van", "von"})
HONORIFIC = re.compile(r"(?:mr|mrs|ms|dr|prof|sir|sen|rep|gov|gen|president|minister)\b\.? \w")
PARTS = re.compile(
    r"anchor|host|presenter|moderator|interviewer|interviewee|reporter|correspondent|narrator|voice-?over"
    r"|analyst|guest|expert|speaker(?:[ _]\w{1,3})?|voice \d+|[qa]"
)
HEADINGS = re.compile(
    r"note|updated?|warning|sources?|example|breaking|watch|live|read more|exclusive|analysis|opinion"
    r"|video|photo|credit|summary|transcript|date|time|location|topic|title|subject|https?"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """text[start:end] holds tokens of one kind, or markup that is not text at all (None)."""

    start: int
    end: int
    kind: TokenKind | None


def find(text: str, lines: Sequence[Line], captioned: bool) -> Iterator[list[Mark]]:
    """The marks in each line, ordered and without overlap.

    `captioned`: the text is in cues, where tags, a leading "-" and a name in capitals are conventions. In
    plain text, a dash counts if many lines have one, and a name if it recurs or is a part ("ANCHOR:").
    """
    dashed = captioned or _dashes_are_marks(text, lines)
    inline = _without_repeated_voices(text, [list(_inline(text, line, captioned)) for line in lines])
    openings = [_opening(text, line, dashed) for line in lines]
    candidates = [
        list(_candidates(text, line, [*opening, *found]))
        for line, opening, found in zip(lines, openings, inline, strict=True)
    ]
    recurring = Counter(_name(label) for labels in candidates for label, _ in labels)
    for opening, found, labels in zip(openings, inline, candidates, strict=True):
        accepted = (
            Mark(*label.span("label"), TokenKind.LABEL)
            for label, after_change in labels
            if _is_label(label, after_change or (captioned and label["label"].isupper()), recurring)
        )
        yield sorted((*opening, *found, *accepted), key=lambda mark: mark.start)


def _dashes_are_marks(text: str, lines: Sequence[Line]) -> bool:
    filled = [line for line in lines if text[line.start : line.end].strip()]
    dashes = sum(DASH.match(text, line.start, line.end) is not None for line in filled)
    return dashes >= max(2, DASHED_SHARE * len(filled))


def _inline(text: str, line: Line, captioned: bool) -> Iterator[Mark]:
    """Markup, changes and sounds anywhere in a line; the name in a voice tag is a label."""
    kinds = {"change": TokenKind.CHANGE, "sound": TokenKind.SOUND}
    for match in (CAPTION if captioned else PLAIN).finditer(text, line.start, line.end):
        if match.lastgroup == "voice":
            start, end = match.span("label")
            yield Mark(match.start(), start, None)
            yield Mark(start, end, TokenKind.LABEL)
            yield Mark(end, match.end(), None)
        else:
            yield Mark(match.start(), match.end(), kinds.get(match.lastgroup or ""))


def _without_repeated_voices(text: str, inline: list[list[Mark]]) -> list[list[Mark]]:
    """Keeps only the first of repeated voice tags as a label: the others say nothing new."""
    before = ""
    kept: list[list[Mark]] = []
    for found in inline:
        kept.append([])
        for mark in found:
            voice = text[mark.start : mark.end] if mark.kind is TokenKind.LABEL else before
            repeated = mark.kind is TokenKind.LABEL and voice == before
            kept[-1].append(Mark(mark.start, mark.end, None) if repeated else mark)
            before = voice
    return kept


def _opening(text: str, line: Line, dashed: bool) -> list[Mark]:
    dash = DASH.match(text, line.start, line.end) if dashed else None
    return [Mark(*dash.span("dash"), TokenKind.CHANGE)] if dash else []


def _candidates(text: str, line: Line, found: list[Mark]) -> Iterator[tuple[re.Match[str], bool]]:
    """Matches that look like a name and a colon, at the start of a line (False) or after a change (True)."""
    changes = [mark.end for mark in found if mark.kind is TokenKind.CHANGE]
    for start, after_change in [(line.start, False), *((end, True) for end in changes)]:
        label = LABEL.match(text, start, line.end)
        if label:
            yield label, after_change


def _is_label(label: re.Match[str], sure: bool, recurring: Counter[str]) -> bool:
    name = _name(label)
    lower = (word for word in label["label"].split() if word[0].islower())
    if PARTS.fullmatch(name):
        return True
    if HEADINGS.fullmatch(name) or any(word not in PARTICLES for word in lower):
        return False
    return sure or recurring[name] > 1 or HONORIFIC.match(name) is not None


def _name(label: re.Match[str]) -> str:
    return label["label"].rstrip(": \t：").casefold()
