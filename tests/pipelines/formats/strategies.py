"""Arbitrary transcripts for property tests: hostile texts, odd times, ranges that cross each other."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

from hypothesis import strategies as st

from pipelines.types import (
    AlignedToken,
    Correction,
    Evidence,
    Finding,
    FindingKind,
    Match,
    Notice,
    Role,
    Span,
    Speaker,
    TokenKind,
    Transcript,
)
from tests.pipelines.formats.sample import MEDIA, Said, build

NASTY = [
    "<script>alert(1)</script>",
    "</script>",
    "-->",
    "&amp;",
    "<v",
    "<o,f0>",
    ";;",
    '"',
    "'",
    "]]>",
    "\x00",
    "\x0b",
    "\u2028",
    "你好世界",
    "שלום",
    "é",
    "x" * 130,
    "{",
    "$title",
    "Yes.",
    "well,",
    "–",
]
texts = st.one_of(st.sampled_from(NASTY), st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
words = texts.map(lambda text: "".join(text.split())).filter(bool)
confidences = st.floats(0, 1)
times = st.floats(0, 100)
spans = st.tuples(times, times).map(lambda pair: Span(min(pair), max(pair)))
ids = st.sampled_from(["S1", "S2", "a speaker", "<b>"])


@st.composite
def script(draw: st.DrawFn) -> list[Said]:
    """Up to 14 tokens of any kind and match."""
    items = []
    for text in draw(st.lists(words, max_size=14)):
        match = draw(st.sampled_from(Match))
        if match is Match.NOT_SPOKEN:
            items.append(Said(text, "", "", match, draw(st.sampled_from(TokenKind))))
        else:
            heard = "" if match is Match.INTERPOLATED else draw(words)
            items.append(Said(text, draw(ids), heard, match))
    return items


@st.composite
def evidence(draw: st.DrawFn) -> Evidence:
    span = draw(spans)
    supports = draw(st.sampled_from(["role", "name", "affiliation"]))
    source = draw(st.sampled_from(["supplied", "heard", "structure"]))
    return Evidence(supports, draw(texts), span.start, span.end, source)


@st.composite
def speakers(draw: st.DrawFn) -> tuple[Speaker, ...]:
    """Any number of the speakers, each once; names may be shared."""
    return tuple(
        Speaker(
            id_,
            draw(st.sampled_from(Role)),
            draw(confidences),
            draw(texts),
            draw(confidences),
            draw(texts),
            draw(st.lists(evidence(), max_size=2).map(tuple)),
            draw(times),
            draw(st.integers(0, 9)),
        )
        for id_ in draw(st.lists(ids, unique=True))
    )


@st.composite
def token_ranges(draw: st.DrawFn, count: int) -> tuple[int, int]:
    """A half-open range of `count` tokens, often short, sometimes empty."""
    start = draw(st.integers(0, count))
    return start, min(count, start + draw(st.integers(0, 4)))


@st.composite
def findings(draw: st.DrawFn, count: int) -> Finding:
    start, end = draw(token_ranges(count))
    span = draw(spans)
    kind = draw(st.sampled_from(FindingKind))
    return Finding(kind, start, end, span.start, span.end, draw(texts), draw(texts), draw(confidences))


@st.composite
def corrections(draw: st.DrawFn, count: int) -> Correction:
    start, end = draw(token_ranges(count))
    after = " ".join(draw(st.lists(words, max_size=3)))
    return Correction(start, end, draw(texts), after, draw(texts))


@st.composite
def retimed(draw: st.DrawFn, tokens: tuple[AlignedToken, ...]) -> tuple[AlignedToken, ...]:
    """The tokens with other times that keep the rules: neither start nor end ever decreases."""
    steps = st.lists(st.floats(0, 9), min_size=2 * len(tokens), max_size=2 * len(tokens))
    edges = list(accumulate(draw(steps)))
    return tuple(
        replace(token, start=start, end=start if token.match is Match.NOT_SPOKEN else end)
        for token, start, end in zip(tokens, edges[::2], edges[1::2], strict=True)
    )


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    """A transcript that keeps the rules of `pipelines.types`, of any content."""
    plain = build(draw(script()), draw(speakers()), replace(MEDIA, name=draw(texts), duration=draw(times)))
    tokens = draw(retimed(plain.tokens))
    turns = tuple(
        replace(turn, start=tokens[turn.token_start].start, end=tokens[turn.token_end - 1].end)
        for turn in plain.turns
    )
    count = len(tokens)
    return replace(
        plain,
        tokens=tokens,
        turns=turns,
        findings=tuple(draw(st.lists(findings(count), max_size=5))),
        corrections=tuple(draw(st.lists(corrections(count), max_size=5))),
        corrected=draw(texts),
        warnings=tuple(draw(st.lists(st.builds(Notice, texts, texts), max_size=2))),
    )
