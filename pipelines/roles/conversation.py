"""A recording as a conversation: two readings of each turn, and who follows whom.

turns      A ─────────── B ── A ───── C ──────────
texts      ▤▤▤▤▤▤▤▤▤▤▤   ▤▤   ▤▤▤▤    ▤▤▤▤▤▤▤▤▤       the spoken tokens
hearings   ░▤░░▤▤▤░▤▤▤░░ ▤▤   ▤▤▤░    ▤▤▤▤░▤▤▤▤       the same, but as recognised (░) where that differs,
                                                      and with the words that the text leaves out
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pipelines.roles.passages import Passage, Word, make_passage, plain_form
from pipelines.roles.phrases import Phrases
from pipelines.roles.slots import Slot
from pipelines.text import join_words
from pipelines.types import AlignedToken, Heard, HeardWord, Match, TokenKind, Turn

CAPITALS_LEAST = 0.02
CAPITALS_MOST = 0.6
"""Outside this share of capitalised words, capitals say nothing about names."""
CASED_WORDS = 60
"""A passage of this many words without a capital has lost its capitals."""
CUT_SHARE = 0.1
"""Where more than this share of the full stops at line ends precede a small letter, none can be trusted."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns, and what can be read in them."""

    turns: tuple[Turn, ...]
    texts: tuple[Passage, ...]  # one per turn
    hearings: tuple[Passage, ...]  # one per turn; none where the recognised words are the only text

    @property
    def passages(self) -> tuple[Passage, ...]:
        return self.texts + self.hearings

    def speaker_after(self, turn: int) -> int | None:
        """The index of the next turn of another speaker."""
        speaker = self.turns[turn].speaker
        return next((i for i in range(turn + 1, len(self.turns)) if self.turns[i].speaker != speaker), None)

    def speaker_before(self, turn: int) -> int | None:
        """The index of the last turn of another speaker before this one."""
        speaker = self.turns[turn].speaker
        return next((i for i in range(turn - 1, -1, -1) if self.turns[i].speaker != speaker), None)

    def is_first_appearance(self, turn: int) -> bool:
        """Whether this is the first turn of its speaker."""
        speaker = self.turns[turn].speaker
        return all(earlier.speaker != speaker for earlier in self.turns[:turn])


def read_conversation(
    turns: Sequence[Turn], tokens: Sequence[AlignedToken], heard: Heard, *, stands_in: bool = False
) -> Conversation:
    """Both readings of every turn.

    `stands_in`: whether no text was supplied and the tokens are the recognised words. There is then only one
    reading, and its source is "heard".
    """
    source = "heard" if stands_in else "supplied"
    cut = _cut_lines(tokens)
    written = [_written(tokens[turn.token_start : turn.token_end], cut) for turn in turns]
    capitals = _capitals([word for words in written for word in words])
    is_cased = CAPITALS_LEAST < capitals < CAPITALS_MOST
    texts = [
        make_passage(index, turn.speaker, source, words, words, is_cased=is_cased and _has_case(words))
        for index, (turn, words) in enumerate(zip(turns, written, strict=True))
    ]
    hearings = () if stands_in else _hearings(texts, turns, tokens, heard.words)
    return Conversation(tuple(turns), tuple(texts), tuple(hearings))


def _is_word(token: AlignedToken) -> bool:
    return token.match is not Match.NOT_SPOKEN and token.token.kind is TokenKind.WORD


def _cut_lines(tokens: Sequence[AlignedToken]) -> frozenset[int]:
    """The starts of the tokens whose full stop at the end of a line may cut a sentence in two.

    Badly captioned text closes every line with a full stop, even in the middle of a sentence.
    """
    spoken = [token.token for token in tokens if token.match is not Match.NOT_SPOKEN]
    ends = [
        (last, first)
        for last, first in pairwise(spoken)
        if last.line != first.line and last.text.endswith(".") and not last.text.endswith("..")
    ]
    small = sum(first.text[:1].islower() for _, first in ends)
    return frozenset(last.char_start for last, _ in ends) if small > CUT_SHARE * len(ends) else frozenset()


def _written(tokens: Sequence[AlignedToken], cut: frozenset[int]) -> list[Word]:
    """The spoken words; loose punctuation is joined to the word before it."""
    words: list[Word] = []
    for token in filter(_is_word, tokens):
        text, plain = token.token.text, plain_form(token.token.text)
        if plain:
            is_cut = token.token.char_start in cut
            words.append(Word(text, plain, token.start, token.end, len(words), token.token.line, is_cut))
        elif words:
            words[-1] = replace(words[-1], text=f"{words[-1].text} {text}", end=token.end)
    return words


def _has_case(words: Sequence[Word]) -> bool:
    """Whether a passage of a cased text has kept its capitals; a short one gets the benefit of the doubt."""
    return len(words) < CASED_WORDS or _capitals(words) > CAPITALS_LEAST


def _capitals(words: Sequence[Word]) -> float:
    return sum(word.is_capital and word.plain != "i" for word in words) / max(len(words), 1)


def _hearings(
    texts: Sequence[Passage],
    turns: Sequence[Turn],
    tokens: Sequence[AlignedToken],
    words: Sequence[HeardWord],
) -> list[Passage]:
    taken = {index for token in tokens for index in range(token.heard_start, token.heard_end)}
    unwritten = [
        Word(heard.text, plain, heard.start, heard.end, -1)
        for index, heard in enumerate(words)
        if index not in taken and (plain := plain_form(heard.text))
    ]
    middles = [(word.start + word.end) / 2 for word in unwritten]
    bounds = _bounds(turns, unwritten) if turns else []
    passages = []
    for text, turn, (start, end) in zip(texts, turns, pairwise(bounds), strict=True):
        added = unwritten[bisect_left(middles, start) : bisect_left(middles, end)]
        said = _as_heard(text.words, tokens[turn.token_start : turn.token_end], words, added)
        passages.append(
            make_passage(text.turn, text.speaker, text.source, said, text.words, is_cased=text.is_cased)
        )
    return passages


def _bounds(turns: Sequence[Turn], unwritten: Sequence[Word]) -> list[float]:
    """The times of the speaker changes, len(turns) + 1 of them: the longest silence between two turns."""
    bounds = [float("-inf")]
    starts = [word.start for word in unwritten]
    for before, after in pairwise(turns):
        between = unwritten[bisect_left(starts, before.end) : bisect_left(starts, after.start)]
        ends = [before.end, *(word.end for word in between)]
        silences = zip(ends, [*(word.start for word in between), after.start], strict=True)
        start, end = max(silences, key=lambda silence: silence[1] - silence[0])
        bounds.append(max(bounds[-1], (start + end) / 2))
    return [*bounds, float("inf")]


def _as_heard(
    words: Sequence[Word], tokens: Sequence[AlignedToken], heard: Sequence[HeardWord], added: Sequence[Word]
) -> list[Word]:
    """The written words in the plain form that was recognised, and the added ones, in order of time.

    A word whose place is only interpolated gives way to words recognised at that time. A stammered word
    ("speak to to Jane") is read once.
    """
    middles = [(word.start + max(word.start, word.end)) / 2 for word in added]
    said: list[Word] = list(added)
    written = [token for token in filter(_is_word, tokens) if plain_form(token.token.text)]
    for word, token in zip(words, written, strict=True):
        at = bisect_right(middles, word.start)
        if token.match is Match.INTERPOLATED and at < len(middles) and middles[at] < word.end:
            continue
        plains = [plain_form(each.text) for each in heard[token.heard_start : token.heard_end]]
        differs = token.match is Match.DIFFERS and any(plains)
        said.append(replace(word, plain=" ".join(filter(None, plains))) if differs else word)
    said.sort(key=lambda word: (word.start, word.place))
    return [word for index, word in enumerate(said) if index == 0 or word.plain != said[index - 1].plain]


def add_house(phrases: Phrases, conversation: Conversation) -> Phrases:
    """The table plus the name that the broadcaster gives itself: "you're watching World Report".

    "World Report's Jane Doe" is then read as a reporter.
    """
    found = {
        name
        for passage in conversation.passages
        if passage.is_cased
        for _, last in passage.find(phrases.house)
        if (name := _name_at(passage, phrases, last))
    }
    return phrases.with_broadcasters(found)


def _name_at(passage: Passage, phrases: Phrases, first: int) -> str:
    """The run of capitalised words from `first` on, in plain form."""
    while first < len(passage.words) and passage.words[first].plain in phrases.articles:
        first += 1
    last = Slot(passage, phrases, first, len(passage.words)).organisation_run(first)
    return join_words([plain_form(word.bare) for word in passage.words[first:last]])
