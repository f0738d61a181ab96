"""The corrected reading as words with times: what the turns, captions and word lists are made of.

tokens       us   Lks  are   press   rsonally.
corrections       Talks                             before → after, over a range of tokens
not spoken                   ×
words        us   Talks are          rsonally.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.text.joining import glued, join
from pipelines.types import AlignedToken, Correction, Match, Turn


@dataclass(frozen=True, slots=True)
class ReadWord:
    """One word to read; `glued` if no space separates it from the word before."""

    text: str
    start: float
    end: float
    confidence: float
    glued: bool


def words_by_turn(
    tokens: Sequence[AlignedToken], turns: Sequence[Turn], corrections: Sequence[Correction]
) -> list[tuple[ReadWord, ...]]:
    """The words of each turn in the corrected reading; a turn whose tokens are all dropped is empty."""
    changes: dict[int, list[Correction]] = {}
    for correction in compatible(corrections):
        changes.setdefault(correction.token_start, []).append(correction)
    result, done = [], 0
    for turn in turns:
        words, done = _read(tokens, max(turn.token_start, done), turn.token_end, changes)
        result.append(tuple(words))
    return result


def compatible(corrections: Sequence[Correction]) -> list[Correction]:
    """The corrections in order, without those that overlap an earlier one; insertions before replacements."""
    result, done = [], 0
    for correction in sorted(corrections, key=lambda c: (c.token_start, c.token_end)):
        if correction.token_start >= done:
            result.append(correction)
            done = correction.token_end
    return result


def joined(words: Sequence[ReadWord]) -> str:
    """Words as running text."""
    return join((word.text, word.glued) for word in words)


def _read(
    tokens: Sequence[AlignedToken], start: int, end: int, corrections: dict[int, list[Correction]]
) -> tuple[list[ReadWord], int]:
    """The words of tokens [start, end), and the index of the first token not yet read or replaced."""
    words: list[ReadWord] = []
    index = start
    last = start  # the token that the last word was made of
    while index < min(end, len(tokens)):
        count, following = len(words), index
        seam = index > last and glued(tokens, last, index)
        for correction in corrections.get(index, ()):
            words += _replace(tokens, correction, end, seam)
            following = correction.token_end
        token = tokens[index]
        if following == index and token.match is not Match.NOT_SPOKEN:
            words.append(ReadWord(token.token.text, token.start, token.end, token.confidence, seam))
        index = max(following, index + 1)
        last = index - 1 if len(words) > count else last
    return words, index


def _replace(
    tokens: Sequence[AlignedToken], correction: Correction, end: int, seam: bool
) -> Iterator[ReadWord]:
    """The words written instead, in the time of the tokens before `end`, shared by length."""
    texts = correction.after.split()
    first = correction.token_start
    range_ = tokens[first : min(correction.token_end, end)]
    spoken = [token for token in range_ if token.match is not Match.NOT_SPOKEN]
    if not texts or (range_ and not spoken):
        return
    sources = spoken or [tokens[first]]
    start = sources[0].start
    stop = sources[-1].end if spoken else start
    confidence = min(source.confidence for source in sources)
    step = (stop - start) / sum(map(len, texts))
    done = 0
    for text in texts:
        until = min(stop, start + (done + len(text)) * step)
        yield ReadWord(text, min(until, start + done * step), until, confidence, seam and not done)
        done += len(text)
