"""A recording as a conversation: the words of each turn as they can be read, and who follows whom.

    turns      A ─────────── B ── A ───── C ──────────
    passages   supplied      sup  sup     supplied        the spoken tokens of the turn
                    heard                    heard        what was heard there and is not in the text

Words are compared in one plain form and quoted as they were written.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from pipelines.normalization import ends_sentence, fold, is_question
from pipelines.types import AlignedToken, Heard, HeardWord, Match, TokenKind, Turn, join_words

PAUSE_SECONDS = 0.3
"""A silence that ends a phrase where there is no punctuation."""

CAPITALS_LEAST = 0.02
CAPITALS_MOST = 0.6
"""Outside this share of capitalised words, capitals say nothing about names."""
CASED_WORDS = 60
"""A passage of so many words without a capital has lost its capitals."""

_EDGES = re.compile(r"^[^\w]+|[^\w]+$")
_INNER = re.compile(r"[^\w'-]+")


@dataclass(frozen=True, slots=True)
class Word:
    """One word as written, with the loose punctuation after it, and its plain form."""

    text: str  # "Yuri,,"
    plain: str  # "yuri"
    start: float
    end: float
    line: int = 0

    @property
    def bare(self) -> str:
        """As written, without punctuation around it and without a possessive: "DW" of "DW’s,"."""
        if _is_initial(self.text):
            return self.text
        return re.sub(r"['’]s?$", "", _EDGES.sub("", self.text))

    @property
    def is_capital(self) -> bool:
        return self.bare[:1].isupper()

    @property
    def is_initialism(self) -> bool:
        """Written in capitals only: "BBC", "U.S."."""
        letters = [character for character in self.bare if character.isalpha()]
        return len(letters) > 1 and all(character.isupper() for character in letters)

    @property
    def is_possessive(self) -> bool:
        return self.plain.endswith("'s")

    @property
    def is_closed(self) -> bool:
        """Punctuation follows."""
        return self.text[-1:] in ",;:.!?…—–)" and not _is_initial(self.text)

    @property
    def asks(self) -> bool:
        return is_question(self.text)


@dataclass(frozen=True, slots=True)
class Passage:
    """Consecutive words of one turn, all from one source ("supplied" or "heard")."""

    turn: int
    speaker: str
    source: str
    is_cased: bool  # capitals mark names
    words: tuple[Word, ...]
    offsets: tuple[int, ...]  # where each word begins in `plain`
    plain: str

    def find(self, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
        """Word ranges that the pattern matches in the plain text."""
        for match in pattern.finditer(self.plain):
            if match.end() > match.start():
                yield self.word_at(match.start()), self.word_at(match.end() - 1) + 1

    def quote(self, first: int, last: int) -> str:
        """Words [first, last) as written."""
        return join_words([word.text for word in self.words[first:last]])

    def stops(self, index: int) -> bool:
        """Whether a sentence ends after the word, as far as the text can be believed.

        Badly captioned text closes every line with a full stop, so one there means little.
        """
        word, following = self.words[index], self.words[index + 1 : index + 2]
        if not following:
            return True
        return ends_sentence(word.text) and word.line == following[0].line

    def begins(self, index: int) -> bool:
        """Whether a sentence or a line begins with the word."""
        if index == 0 or self.stops(index - 1):
            return True
        return self.words[index - 1].line != self.words[index].line

    def pauses(self, index: int) -> bool:
        """Whether punctuation, a new line after a full stop, or silence follows the word."""
        word, following = self.words[index], self.words[index + 1 : index + 2]
        if word.is_closed or not following:
            return True
        return following[0].start - word.end >= PAUSE_SECONDS

    def matches(self, index: int, pattern: re.Pattern[str]) -> bool:
        """Whether the pattern matches the words from `index` on."""
        return index < len(self.words) and pattern.match(self.plain, self.offsets[index]) is not None

    def word_at(self, offset: int) -> int:
        """The word that stands at a character of `plain`."""
        return bisect_right(self.offsets, offset) - 1


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns, and what can be read in them."""

    turns: tuple[Turn, ...]
    texts: tuple[Passage, ...]  # one per turn: its words as the text gives them
    missing: tuple[Passage, ...]  # what was heard and is not in the text, in order

    @property
    def passages(self) -> tuple[Passage, ...]:
        return self.texts + self.missing

    def voice_after(self, turn: int) -> int | None:
        """The next turn of another voice."""
        speaker = self.turns[turn].speaker
        return next((i for i in range(turn + 1, len(self.turns)) if self.turns[i].speaker != speaker), None)

    def voice_before(self, turn: int) -> int | None:
        """The last turn of another voice before this one."""
        speaker = self.turns[turn].speaker
        return next((i for i in range(turn - 1, -1, -1) if self.turns[i].speaker != speaker), None)

    def is_first_appearance(self, turn: int) -> bool:
        speaker = self.turns[turn].speaker
        return all(earlier.speaker != speaker for earlier in self.turns[:turn])


def read_conversation(turns: Sequence[Turn], tokens: Sequence[AlignedToken], heard: Heard) -> Conversation:
    """The words of each turn: the spoken tokens, and the words heard that no token stands for.

    Where the tokens are the words heard (there was no text), their source is "heard".
    """
    source = "heard" if _stand_in(tokens, heard.words) else "supplied"
    missing = _unwritten(tokens, heard.words)
    written = [_spoken_words(tokens[turn.token_start : turn.token_end]) for turn in turns]
    is_cased = _is_cased([word for words in written for word in words])
    texts = [
        _passage(index, turn.speaker, source, words, is_cased=is_cased and _has_case(words))
        for index, (turn, words) in enumerate(zip(turns, written, strict=True))
    ]
    unwritten = [
        _passage(index, turn.speaker, "heard", run, is_cased=_is_cased(run))
        for index, turn in enumerate(turns)
        for run in _inside(turn, missing)
    ]
    return Conversation(tuple(turns), tuple(texts), tuple(unwritten))


def _passage(turn: int, speaker: str, source: str, words: Sequence[Word], *, is_cased: bool) -> Passage:
    lengths = [len(word.plain) + 1 for word in words]
    offsets = tuple(accumulate(lengths, initial=0))[: len(words)]
    plain = join_words([word.plain for word in words])
    return Passage(turn, speaker, source, is_cased, tuple(words), offsets, plain)


def _stand_in(tokens: Sequence[AlignedToken], words: Sequence[HeardWord]) -> bool:
    return len(tokens) == len(words) and all(
        token.token.text == word.text for token, word in zip(tokens, words, strict=True)
    )


def _spoken_words(tokens: Sequence[AlignedToken]) -> list[Word]:
    """The spoken words; punctuation that stands alone joins the word before it."""
    words: list[Word] = []
    for token in tokens:
        if token.match is Match.NOT_SPOKEN or token.token.kind is not TokenKind.WORD:
            continue
        plain = plain_form(token.token.text)
        if plain:
            words.append(Word(token.token.text, plain, token.start, token.end, token.token.line))
        elif words:
            last = words[-1]
            words[-1] = Word(f"{last.text} {token.token.text}", last.plain, last.start, token.end, last.line)
    return words


def plain_form(text: str) -> str:
    """A word without case, accents and outer punctuation; apostrophes and hyphens inside stay."""
    return _INNER.sub("", fold(text)).strip("'-_")


def plain_words(name: str) -> frozenset[str]:
    """The words of a name in the form in which they are compared."""
    return frozenset(plain for word in name.split() if (plain := plain_form(word)))


def _unwritten(tokens: Sequence[AlignedToken], words: Sequence[HeardWord]) -> list[list[Word]]:
    """Runs of words heard where the text has nothing: not aligned, and no token is spoken at that time."""
    taken = {index for token in tokens for index in range(token.heard_start, token.heard_end)}
    guessed = [(token.start, token.end) for token in tokens if token.match is Match.INTERPOLATED]
    runs: list[list[Word]] = [[]]
    for index, heard in enumerate(words):
        if index in taken or _is_inside(heard, guessed):
            runs.append([])
        elif plain := plain_form(heard.text):
            runs[-1].append(Word(heard.text, plain, heard.start, heard.end))
    return [run for run in runs if len(run) > 2]


def _is_inside(word: HeardWord, spans: Sequence[tuple[float, float]]) -> bool:
    middle = (word.start + word.end) / 2
    at = bisect_right(spans, (middle, float("inf"))) - 1
    return at >= 0 and middle < spans[at][1]


def _inside(turn: Turn, runs: Sequence[Sequence[Word]]) -> Iterator[list[Word]]:
    for run in runs:
        words = [word for word in run if turn.start <= (word.start + word.end) / 2 < turn.end]
        if len(words) > 2:
            yield words


def _is_cased(words: Sequence[Word]) -> bool:
    return bool(words) and CAPITALS_LEAST < _capitals(words) < CAPITALS_MOST


def _has_case(words: Sequence[Word]) -> bool:
    """Whether a passage of a cased text kept its capitals; a short one may have had none."""
    return len(words) < CASED_WORDS or _capitals(words) > CAPITALS_LEAST


def _capitals(words: Sequence[Word]) -> float:
    return sum(word.is_capital and word.plain != "i" for word in words) / max(len(words), 1)


def _is_initial(text: str) -> bool:
    return re.fullmatch(r"[^\W\d_]\.", text) is not None
