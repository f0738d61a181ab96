"""A text put on a hardly understood recording by force, and when that is believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pipelines.alignment.recovery import LONGEST, WITNESSES, recover
from pipelines.engines.fake import Line, script_audio
from pipelines.types import AlignedToken, Audio, EngineInfo, HeardWord, Match, Span, Token, TokenKind

WORDS = (
    *("hello", "who", "is", "there", "this", "is", "diane", "in", "new", "jersey"),
    *("and", "I", "am", "sheila", "in", "texas", "oh", "hello"),
)
AUDIO = script_audio([Line("a", 0.0, float(len(WORDS)), "")])
HEARD = (3, 6, 9, 13)  # of the words: four of eighteen


class Force:
    """Puts every word one second after the one before, `late` by so much."""

    def __init__(self, late: float = 0.0) -> None:
        self.late = late
        self.asked: list[tuple[Span, tuple[str, ...]]] = []

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("force", "1", "", "")

    def knows(self, language: str) -> bool:
        return True

    def place(self, audio: Audio, requests: Sequence[tuple[Span, tuple[str, ...]]]) -> list[list[HeardWord]]:
        self.asked.extend(requests)
        return [
            [HeardWord(word, n + self.late, n + self.late + 0.9, 0.5) for n, word in enumerate(words)]
            for _, words in requests
        ]


def hardly_heard(heard: Sequence[int] = HEARD) -> tuple[AlignedToken, ...]:
    """Words `heard` where they are said; the rest not spoken, or at the beginning."""
    tokens = []
    for n, word in enumerate(WORDS):
        token = Token(word, 0, len(word))
        at = float(max((k for k in heard if k <= n), default=0))
        if n in heard:
            tokens.append(AlignedToken(token, Match.MATCHED, at, at + 0.9, n, n + 1, 0.9))
        elif n % 2:
            tokens.append(AlignedToken(token, Match.NOT_SPOKEN, at, at, 0, 0, 0.9))
        else:
            tokens.append(AlignedToken(token, Match.INTERPOLATED, at, at + 0.1, 0, 0, 0.2))
    return tuple(tokens)


def test_the_words_heard_bear_witness_for_the_rest() -> None:
    tokens = recover(hardly_heard(), AUDIO, Force())
    assert [token.start for token in tokens] == [float(n) for n in range(len(WORDS))]
    assert [token.match for token in tokens] == [
        Match.MATCHED if n in HEARD else Match.INTERPOLATED for n in range(len(WORDS))
    ]


def test_force_is_not_believed_against_the_witnesses() -> None:
    tokens = hardly_heard()
    assert recover(tokens, AUDIO, Force(late=1.0)) == tokens


def test_most_witnesses_are_enough_and_the_others_were_not_heard() -> None:
    tokens = list(hardly_heard((3, 6, 9, 13, 15)))
    tokens[15] = replace(tokens[15], start=16.5, end=16.8)
    found = recover(tokens, AUDIO, Force())
    assert found[15].match is Match.INTERPOLATED
    assert found[15].heard_start == found[15].heard_end
    assert found[15].start == 15.0


def test_nobody_is_asked_without_need_or_hope() -> None:
    force = Force()
    enough = hardly_heard(range(0, len(WORDS), 2))
    assert recover(enough, AUDIO, force) == enough
    few = hardly_heard(range(WITNESSES - 1))
    assert recover(few, AUDIO, force) == few
    long = script_audio([Line("a", 0.0, LONGEST + 1, "")])
    assert recover(hardly_heard(), long, force) == hardly_heard()
    assert recover((), AUDIO, force) == ()
    assert force.asked == []


def test_marks_are_not_spoken_and_stay_so() -> None:
    mark = AlignedToken(Token(">>", 0, 2, TokenKind.CHANGE), Match.NOT_SPOKEN, 3.0, 3.0, 0, 0, 1.0)
    tokens = recover((*hardly_heard()[:5], mark, *hardly_heard()[5:]), AUDIO, Force())
    assert tokens[5].match is Match.NOT_SPOKEN
    assert len(tokens) == len(WORDS) + 1


def test_a_stretch_that_cannot_be_aligned_changes_nothing() -> None:
    class Silent(Force):
        def place(
            self, audio: Audio, requests: Sequence[tuple[Span, tuple[str, ...]]]
        ) -> list[list[HeardWord]]:
            return [[] for _ in requests]

    assert recover(hardly_heard(), AUDIO, Silent()) == hardly_heard()


@given(st.sets(st.integers(0, len(WORDS) - 1)), st.floats(-1, 1))
def test_no_token_is_lost_and_times_never_decrease(heard: set[int], late: float) -> None:
    before = hardly_heard(sorted(heard))
    after = recover(before, AUDIO, Force(late))
    assert [token.token for token in after] == [token.token for token in before]
    starts = [token.start for token in after]
    assert starts == sorted(starts)
    assert all(token.start <= token.end for token in after)
