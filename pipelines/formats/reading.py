"""The corrected reading as words with times: what captions and word lists are made of.

tokens       us   Lks  are   press   rsonally.
corrections       Talks                             before → after, over a range of tokens
not spoken                   ×
words        us   Talks are          rsonally.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.types import AlignedToken, Correction, Match, Transcript


@dataclass(frozen=True, slots=True)
class ReadWord:
    """One word to read; `glued` where no white space separates it from the word before."""

    text: str
    start: float
    end: float
    confidence: float
    glued: bool


def words_by_turn(transcript: Transcript) -> list[tuple[ReadWord, ...]]:
    """The words of each turn in the corrected reading; a turn whose tokens are all dropped is empty."""
    corrections: dict[int, list[Correction]] = {}
    for correction in compatible(transcript.corrections):
        corrections.setdefault(correction.token_start, []).append(correction)
    result, done = [], 0
    for turn in transcript.turns:
        start = max(turn.token_start, done)
        words, done = _read(transcript.tokens, start, turn.token_end, corrections)
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


def turn_texts(transcript: Transcript) -> list[str]:
    """What each turn says: the corrected reading, or the supplied one where nothing was reconciled."""
    return [turn.corrected or turn.text for turn in transcript.turns]


def join(words: Sequence[ReadWord]) -> str:
    """Words as running text."""
    return "".join(word.text if word.glued else f" {word.text}" for word in words).lstrip(" ")


def _read(
    tokens: Sequence[AlignedToken], start: int, end: int, corrections: dict[int, list[Correction]]
) -> tuple[list[ReadWord], int]:
    """The words of tokens [start, end), and the index of the first token not yet read or replaced."""
    words: list[ReadWord] = []
    index = start
    while index < min(end, len(tokens)):
        following = index
        for correction in corrections.get(index, ()):
            words += _replace(tokens, correction, end)
            following = correction.token_end
        if following == index:
            words += _keep(tokens, index)
        index = max(following, index + 1)
    return words, index


def _keep(tokens: Sequence[AlignedToken], index: int) -> Iterator[ReadWord]:
    token = tokens[index]
    if token.match is not Match.NOT_SPOKEN:
        yield ReadWord(token.token.text, token.start, token.end, token.confidence, _glued(tokens, index))


def _replace(tokens: Sequence[AlignedToken], correction: Correction, end: int) -> Iterator[ReadWord]:
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
        glued = not done and _glued(tokens, first)
        until = min(stop, start + (done + len(text)) * step)
        yield ReadWord(text, min(until, start + done * step), until, confidence, glued)
        done += len(text)


def _glued(tokens: Sequence[AlignedToken], index: int) -> bool:
    return index > 0 and tokens[index - 1].token.char_end == tokens[index].token.char_start
