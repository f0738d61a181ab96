"""Times from forced alignment, and when they are believed.

Tokens are drawn one per second: "met" was heard as written, "?the" was missed, "~old" was heard as another
word, "{new" was not spoken and takes no time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.alignment.placement import AGREEMENT, LONGEST, PLACED, place
from pipelines.engines.fake import script_audio
from pipelines.protocols import ForcedAligner
from pipelines.types import AlignedToken, Audio, EngineInfo, HeardWord, Match, Span, Token

MATCHES = {"?": Match.INTERPOLATED, "~": Match.DIFFERS, "{": Match.NOT_SPOKEN}
AUDIO = script_audio([])

Request = tuple[Span, tuple[str, ...]]
Answer = Callable[[Request], list[HeardWord]]


@dataclass(frozen=True, slots=True)
class ScriptedAligner:
    """Answers as it was told to, and keeps what it was asked."""

    answer: Answer
    requests: list[Request] = field(default_factory=list)

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("scripted", "1", "", "")

    def knows(self, language: str) -> bool:
        return True

    def place(self, audio: Audio, requests: Sequence[Request]) -> list[list[HeardWord]]:
        self.requests.extend(requests)
        return [self.answer(request) for request in requests]


def said_at(**starts: float) -> Answer:
    """Each word half a second long."""
    return lambda request: [HeardWord(word, starts[word], starts[word] + 0.5, 0.9) for word in request[1]]


def nothing(request: Request) -> list[HeardWord]:
    return []


def a_little_later(request: Request) -> list[HeardWord]:
    """Every word as drawn, and a tenth of a second."""
    span, words = request
    return [HeardWord(word, span.start + n + 0.1, span.start + n + 1.1, 0.9) for n, word in enumerate(words)]


def draw(text: str) -> list[AlignedToken]:
    tokens: list[AlignedToken] = []
    now = 0.0
    for drawn in text.split():
        match = MATCHES.get(drawn[0], Match.MATCHED)
        word = drawn if match is Match.MATCHED else drawn[1:]
        end = now if match is Match.NOT_SPOKEN else now + 1.0
        tokens.append(AlignedToken(Token(word, 0, len(word)), match, now, end, 0, 0, 0.5))
        now = end
    return tokens


def times(tokens: Sequence[AlignedToken]) -> dict[str, tuple[float, float]]:
    return {token.token.text: (token.start, token.end) for token in tokens}


def requests_for(text: str) -> list[tuple[float, float, str]]:
    """What the aligner is asked: start and end of the stretch, and its words."""
    aligner = ScriptedAligner(nothing)
    place(draw(text), AUDIO, aligner)
    return [(span.start, span.end, " ".join(words)) for span, words in aligner.requests]


MISSED = "so we met ?the ?minister in riga today"
FOUND = {"we": 1.1, "met": 2.1, "the": 3.6, "minister": 4.2, "in": 5.1, "riga": 6.0}

# --------------------------------------------------------------------------- what is asked


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        pytest.param("so we met the minister", [], id="all heard"),
        pytest.param(MISSED, [(1, 7, "we met the minister in riga")], id="two words around"),
        pytest.param("met ?the minister", [(0, 3, "met the minister")], id="one word around"),
        pytest.param("so we ~mitt the minister", [(0, 5, "so we mitt the minister")], id="differs"),
        pytest.param(
            "we met ?the minister ?in riga today",
            [(0, 7, "we met the minister in riga today")],
            id="too little heard in between",
        ),
        pytest.param(
            "we met ?the old minister ?in riga today",
            [(0, 5, "we met the old minister"), (3, 8, "old minister in riga today")],
            id="enough heard in between",
        ),
        pytest.param("we met {Kremlin {rejects ?the minister", [(0, 4, "we met the minister")], id="pasted"),
        pytest.param("we met ?— the minister", [(0, 5, "we met the minister")], id="punctuation"),
        pytest.param("we met ?US-Russia men here", [(0, 5, "we met us russia men here")], id="two units"),
    ],
)
def test_missed_words_are_asked_for_with_the_heard_ones_around_them(
    text: str, asked: list[tuple[float, float, str]]
) -> None:
    assert requests_for(text) == asked


def test_long_stretches_are_left_as_they_are() -> None:
    missed = int(LONGEST) - 4
    assert len(requests_for("we met " + "?the " * missed + "in riga")) == 1
    assert requests_for("we met " + "?the " * (missed + 1) + "in riga") == []


# --------------------------------------------------------------------------- what is believed


def test_missed_words_move_where_the_heard_ones_come_back_to_their_places() -> None:
    #              1   2   3   4   5   6
    #   before     we  met the min.in  riga
    #   aligned     we  met   the min in riga
    tokens = draw(MISSED)
    placed = place(tokens, AUDIO, ScriptedAligner(said_at(**FOUND)))
    assert times(placed) == times(tokens) | {"the": (3.6, 4.1), "minister": (4.2, 4.7)}
    assert [token.match for token in placed] == [token.match for token in tokens]
    confidence = {token.token.text: token.confidence for token in placed}
    assert (confidence["met"], confidence["minister"]) == (0.5, PLACED)


@pytest.mark.parametrize("word", ["we", "met", "in", "riga"])
def test_nothing_moves_where_a_heard_word_comes_back_elsewhere(word: str) -> None:
    tokens = draw(MISSED)
    astray = FOUND | {word: FOUND[word] + 3 * AGREEMENT + 0.5}
    assert place(tokens, AUDIO, ScriptedAligner(said_at(**astray))) == tuple(tokens)


def test_one_end_in_its_place_is_enough() -> None:
    # "met" lasts from 2 to 3; aligned from 2.6 to 3.1 its start is off, its end is not.
    placed = place(draw(MISSED), AUDIO, ScriptedAligner(said_at(**FOUND | {"met": 2.6})))
    assert times(placed)["the"] == (3.6, 4.1)


@pytest.mark.parametrize("text", ["?so we met", "we met ?riga", "?so", "?so ~we", "we met ~mitt"])
def test_nothing_is_believed_without_a_heard_word_on_either_side(text: str) -> None:
    tokens = draw(text)
    assert place(tokens, AUDIO, ScriptedAligner(a_little_later)) == tuple(tokens)
    assert place(draw(f"hear {text} hear"), AUDIO, ScriptedAligner(a_little_later)) != tuple(
        draw(f"hear {text} hear")
    )


@pytest.mark.parametrize("count", [0, 1, 5, 7])
def test_an_answer_with_another_number_of_words_is_no_answer(count: int) -> None:
    tokens = draw(MISSED)
    extra = HeardWord("yes", 7.0, 7.2, 0.9)
    aligner = ScriptedAligner(lambda request: [*a_little_later(request), extra][:count])
    assert place(tokens, AUDIO, aligner) == tuple(tokens)


def test_one_stretch_may_be_believed_and_the_next_not() -> None:
    tokens = draw("we met ?the old minister ?in riga today")
    found = {
        "we": 0.0,
        "met": 1.0,
        "the": 2.3,
        "old": 3.0,
        "minister": 4.0,
        "in": 5.3,
        "riga": 9.0,
        "today": 7.0,
    }
    placed = place(tokens, AUDIO, ScriptedAligner(said_at(**found)))
    assert times(placed)["the"] == (2.3, 2.8)
    assert times(placed)["in"] == (5.0, 6.0)


def test_a_misheard_word_moves_too_and_its_match_stays() -> None:
    placed = place(draw("we ~mitt the men"), AUDIO, ScriptedAligner(said_at(we=0, mitt=1.4, the=2, men=3)))
    assert (placed[1].match, placed[1].start, placed[1].end) == (Match.DIFFERS, 1.4, 1.9)


def test_placing_makes_nothing_less_certain() -> None:
    tokens = [replace(token, confidence=0.9) for token in draw("we ?met the men")]
    placed = place(tokens, AUDIO, ScriptedAligner(a_little_later))
    assert (placed[1].start, placed[1].confidence) == (1.1, 0.9)


def test_a_token_of_several_units_lasts_from_the_first_to_the_last() -> None:
    found = said_at(we=0, met=1, us=2.2, russia=2.7, men=3, here=4)
    placed = place(draw("we met ?US-Russia men here"), AUDIO, ScriptedAligner(found))
    assert times(placed)["US-Russia"] == (2.2, 3.2)


def test_unspoken_tokens_have_no_length_and_follow_what_moved() -> None:
    tokens = draw("we met ?the {Kremlin {rejects ?old men here")
    found = said_at(we=0, met=1, the=2.1, old=3.2, men=4, here=5)
    placed = place(tokens, AUDIO, ScriptedAligner(found))
    assert times(placed)["Kremlin"] == times(placed)["rejects"] == (2.6, 2.6)
    assert times(placed)["old"] == (3.2, 3.7)


def test_nothing_to_place() -> None:
    assert place([], AUDIO, ScriptedAligner(nothing)) == ()


# --------------------------------------------------------------------------- any answer

DRAWN = st.lists(st.sampled_from(["we", "met", "?the", "?US-Russia", "~old", "{new", "?—"]), max_size=20)
MOMENT = st.floats(-5.0, 30.0)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """The words where they are asked for, evenly spread, some of them moved anywhere."""
    moved = draw(st.dictionaries(st.integers(0, 20), st.tuples(MOMENT, MOMENT).map(sorted), max_size=4))

    def answer(request: Request) -> list[HeardWord]:
        span, words = request
        step = span.duration / max(1, len(words))
        starts = [span.start + index * step for index in range(len(words))]
        placed = [
            HeardWord(word, start, start + step, 0.5) for word, start in zip(words, starts, strict=True)
        ]
        return [
            replace(word, start=moved[index][0], end=moved[index][1]) if index in moved else word
            for index, word in enumerate(placed)
        ]

    return answer


@given(DRAWN.map(" ".join), answers())
@settings(deadline=None, max_examples=200)
def test_any_answer_leaves_a_sound_result(text: str, answer: Answer) -> None:
    tokens = draw(text)
    aligner: ForcedAligner = ScriptedAligner(answer)
    placed = place(tokens, AUDIO, aligner)
    assert [(token.token, token.match) for token in placed] == [
        (token.token, token.match) for token in tokens
    ]
    assert all(token.start <= token.end for token in placed)
    assert all(before.start <= after.start and before.end <= after.end for before, after in pairwise(placed))
    assert all(token.start == token.end for token in placed if token.match is Match.NOT_SPOKEN)
