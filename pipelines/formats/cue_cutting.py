"""Where captions are cut, and how a caption breaks into lines: one segmentation for WebVTT, SRT and TTML.

Each turn is cut by dynamic programming into the cues of least cost: at most two lines of 42 characters
and seven seconds (what broadcasters' caption guidelines agree on), cut after sentences, clauses and
pauses rather than inside them.

    so can the talks be taken seriously? | I don't think they can, | because …
    ANCHOR─────────────────────────────── ANALYST
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from pipelines.formats.names import display_names
from pipelines.text import ReadWord, joined, words_by_turn
from pipelines.types import Transcript

LINE_CHARACTERS = 42
LONGEST = 7.0
"""Seconds that a cue may last; only a single word may last longer."""
SHORTEST = 1.0
"""Seconds that a cue stays on screen if the next one leaves room."""

_APART = 0.002  # seconds: stays above zero after rounding to milliseconds; an empty cue is not allowed
_SENTENCE_END = tuple(".?!…。？！")
_CLAUSE_END = tuple(",;:–—，；：、")


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption. `opens` is true where the speaker changes; `name` is the displayed name."""

    start: float
    end: float
    speaker: str
    name: str
    opens: bool
    words: tuple[ReadWord, ...]


def cues(transcript: Transcript) -> list[Cue]:
    """The corrected reading as cues in order; start < end for each."""
    names = display_names(transcript.speakers)
    result: list[Cue] = []
    speaker = ""
    for turn, words in zip(
        transcript.turns,
        words_by_turn(transcript.tokens, transcript.turns, transcript.corrections),
        strict=True,
    ):
        pieces = [piece for word in words for piece in _pieces(word)]
        name = names.get(turn.speaker, turn.speaker)
        room = len(name) + 2 if turn.speaker != speaker else 0
        for part in _cut(pieces, min(room, LINE_CHARACTERS // 2)):
            opens = turn.speaker != speaker
            speaker = turn.speaker
            result.append(Cue(part[0].start, part[-1].end, speaker, name, opens, tuple(part)))
    return _linger(result)


def wrap(words: Sequence[ReadWord], taken: int = 0) -> list[str]:
    """Returns one line if the words fit, else two of similar length, preferably broken after punctuation.

    `taken` characters of the first line are already in use.
    """
    whole = joined(words)
    if taken + len(whole) <= LINE_CHARACTERS or len(words) < 2:
        return [whole]
    lines = {k: (joined(words[:k]), joined(words[k:])) for k in range(1, len(words))}
    return list(lines[min(lines, key=lambda k: _unevenness(*lines[k], taken))])


def _unevenness(first: str, second: str, taken: int) -> tuple[int, int]:
    """Characters over the limit, then the difference in length less a bonus for punctuation."""
    lengths = taken + len(first), len(second)
    bonus = 12 if first.endswith(_SENTENCE_END + _CLAUSE_END) else 0
    return max(0, max(lengths) - LINE_CHARACTERS), abs(lengths[0] - lengths[1]) - bonus


def clock(time: float, point: str = ".") -> str:
    """Seconds as HH:MM:SS.mmm, with the format's decimal point."""
    seconds, milliseconds = divmod(round(time * 1000), 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{milliseconds:03}"


def _pieces(word: ReadWord) -> Iterator[ReadWord]:
    """Splits a word longer than a line into parts that fit, and its time evenly among its characters."""
    if len(word.text) <= LINE_CHARACTERS:
        yield word
        return
    step = (word.end - word.start) / len(word.text)
    for at in range(0, len(word.text), LINE_CHARACTERS):
        text = word.text[at : at + LINE_CHARACTERS]
        start, end = word.start + at * step, min(word.end, word.start + (at + len(text)) * step)
        yield replace(word, text=text, start=min(start, end), end=end, glued=word.glued or at > 0)


def _cut(words: Sequence[ReadWord], room: int) -> list[Sequence[ReadWord]]:
    """Cuts one turn into the cues of least total cost; `room` characters of its first line are taken."""
    turn = _Turn(words, room)
    costs, starts = [0.0], [0]
    for end in range(1, len(words) + 1):
        cost, start = min((costs[start] + turn.cost(start, end), start) for start in turn.starts(end))
        costs.append(cost)
        starts.append(start)
    parts, end = [], len(words)
    while end:
        parts.append(words[starts[end] : end])
        end = starts[end]
    return parts[::-1]


class _Turn:
    """Scores the possible cues of one turn, each in constant time by prefix sums."""

    def __init__(self, words: Sequence[ReadWord], room: int) -> None:
        self._words = words
        self._room = room
        self._widths = [0, *accumulate(len(word.text) + (not word.glued) for word in words)]
        self._flaws = [0.0, 0.0, *accumulate(_flaw(before, after) for before, after in pairwise(words))]
        self._second = 0  # the first word that the second line of a cue up to `end` can begin with

    def starts(self, end: int) -> Iterator[int]:
        """Yields the possible first words of a cue that ends before word `end`; a single word always fits.

        Must be called for each `end` in increasing order.
        """
        while self._width(self._second, end) > LINE_CHARACTERS:
            self._second += 1
        yield end - 1
        for start in range(end - 2, -1, -1):
            first_line = self._width(start, max(start, self._second)) + (0 if start else self._room)
            time = self._words[end - 1].end - self._words[start].start
            if first_line > LINE_CHARACTERS or time > LONGEST:
                return
            yield start

    def cost(self, start: int, end: int) -> float:
        """The cost of words [start, end) as a cue: a constant, and more if it is brief or badly cut."""
        brief = max(0.0, 1.0 - self._width(start, end) / 30)
        inside = self._flaws[end] - self._flaws[start + 1]
        at_end = _break_cost(self._words[end - 1], self._words[end]) if end < len(self._words) else 0.0
        return 1.0 + brief + inside + at_end

    def _width(self, start: int, end: int) -> int:
        """Characters of words [start, end) on one line."""
        blank = start < end and not self._words[start].glued
        return self._widths[end] - self._widths[start] - blank


def _flaw(before: ReadWord, after: ReadWord) -> float:
    """The cost of not cutting between two words: after a sentence, or in a pause."""
    pause = min(after.start - before.end, 3.0)
    return 2.0 * max(0.0, pause - 0.5) + 0.5 * before.text.endswith(_SENTENCE_END)


def _break_cost(before: ReadWord, after: ReadWord) -> float:
    """The cost of cutting between two words: least after a sentence, less after a clause or in a pause."""
    if before.text.endswith(_SENTENCE_END):
        return 0.0
    pause = min(max(after.start - before.end, 0.0), 0.6)
    clause = 0.8 if before.text.endswith(_CLAUSE_END) else 2.0
    return clause - 1.2 * pause + (1.0 if after.glued else 0.0)


def _linger(cues_: Sequence[Cue]) -> list[Cue]:
    """Extends short cues to SHORTEST, but not into the next one."""
    untils = [*(cue.start for cue in cues_[1:]), math.inf]
    return [
        replace(cue, end=max(cue.end, min(cue.start + SHORTEST, until), cue.start + _APART))
        for cue, until in zip(cues_, untils, strict=False)
    ]
