"""How alike words are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.alignment import comparison
from pipelines.alignment.comparison import Vocabulary, compare
from pipelines.types import HeardWord, Token, TokenKind

AWKWARD = st.sampled_from(["Lavrov", "love", "US-Russia", "2014", "it’s", ",,", "和平", ""])
TEXTS = st.lists(AWKWARD | st.text(max_size=8), max_size=8)


def compare_texts(
    written: Sequence[str], said: Sequence[str], language: str = "en"
) -> tuple[list[tuple[str, int]], list[tuple[str, int]], Vocabulary]:
    """(form, place of its word) on both sides."""
    tokens = [Token(text, 0, len(text)) for text in written]
    words = [HeardWord(text, 0.0, 1.0, 1.0) for text in said]
    supplied, heard, vocabulary = compare(tokens, words, language)
    read = [
        [(vocabulary.forms[form], int(owner)) for form, owner in zip(side.ids, side.owner, strict=True)]
        for side in (supplied, heard)
    ]
    return read[0], read[1], vocabulary


def similarity(left: str, right: str) -> float:
    """Of two single words."""
    _, _, vocabulary = compare_texts([left], [right])
    ids = np.arange(len(vocabulary.forms), dtype=np.int64)
    return float(vocabulary.similarity(ids[:1], ids[-1:])[0, 0])


def all_against_all(vocabulary: Vocabulary) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    ids = np.arange(len(vocabulary.forms), dtype=np.int64)
    return vocabulary.similarity(ids, ids)


# --------------------------------------------------------------------------- units


def test_a_token_may_be_several_units_or_none() -> None:
    written, said, _ = compare_texts(["The", "US-Russia", ",,", "talks"], ["the", "us", "russia", "talks"])
    assert written == [("the", 0), ("us", 1), ("russia", 1), ("talks", 3)]
    assert said == [("the", 0), ("us", 1), ("russia", 2), ("talks", 3)]


def test_marks_labels_and_sounds_have_no_units() -> None:
    tokens = [
        Token("Anchor:", 0, 7, TokenKind.LABEL),
        Token(">>", 8, 10, TokenKind.CHANGE),
        Token("[Music]", 11, 18, TokenKind.SOUND),
        Token("Hello", 19, 24),
    ]
    supplied, heard, vocabulary = compare(tokens, [HeardWord("anchor", 0.0, 1.0, 1.0)], "en")
    assert supplied.owner.tolist() == [3]
    assert [vocabulary.forms[form] for form in (*supplied.ids, *heard.ids)] == ["hello", "anchor"]


@given(TEXTS, TEXTS)
@settings(deadline=None)
def test_every_unit_knows_its_word_in_order(written: list[str], said: list[str]) -> None:
    for texts, units in zip((written, said), compare_texts(written, said)[:2], strict=True):
        owners = [owner for _, owner in units]
        assert owners == sorted(owners)
        assert all(0 <= owner < len(texts) for owner in owners)


def test_rare_words_weigh_more() -> None:
    _, _, vocabulary = compare_texts([*["the"] * 4, "a", "a", "Lavrov"], ["the", "the", "the", "a"])
    weight = dict(zip(vocabulary.forms, vocabulary.weight.tolist(), strict=True))
    assert 0.3 < weight["the"] < weight["a"] < weight["lavrov"] <= 1.0


@pytest.mark.parametrize("words", [[], ["one"], ["one", "one"]])
def test_weights_of_the_shortest_texts_are_finite(words: list[str]) -> None:
    _, _, vocabulary = compare_texts(words, [])
    assert all(0.3 <= weight <= 1.0 for weight in vocabulary.weight)
    assert all(count >= 1 for count in vocabulary.syllables)


# --------------------------------------------------------------------------- alikeness


@given(TEXTS, TEXTS)
@settings(deadline=None)
def test_alikeness_is_symmetric_between_0_and_1_and_1_for_equal_forms_only(
    written: list[str], said: list[str]
) -> None:
    alike = all_against_all(compare_texts(written, said)[2])
    assert np.array_equal(alike, alike.T)
    assert ((alike >= 0) & (alike <= 1)).all()
    assert np.array_equal(alike == 1, np.eye(len(alike), dtype=bool))


def test_spelling_by_hand() -> None:
    assert similarity("talks", "talk") == pytest.approx(4 / 5)
    assert similarity("moscow", "oscow") == pytest.approx(5 / 6)  # a first letter dropped
    assert similarity("abcd", "wxyz") < 0.5


@pytest.mark.parametrize(("written", "heard"), [("knight", "nite"), ("Zelensky", "selenski")])
def test_words_that_sound_alike_are_more_alike_than_they_look(written: str, heard: str) -> None:
    _, _, vocabulary = compare_texts([written], [heard])
    deaf = Vocabulary(vocabulary.forms, ("aa", "bb"), vocabulary.weight, vocabulary.syllables)
    assert all_against_all(vocabulary)[0, 1] > all_against_all(deaf)[0, 1]


def test_the_same_sound_is_not_the_same_word() -> None:
    assert 0.5 < similarity("there", "their") < 1.0


def test_each_pair_of_distinct_forms_is_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []
    real = comparison._alike

    def counted(left: Sequence[str], right: Sequence[str], chance: int) -> comparison.Floats:
        compared.append((len(left), len(right)))
        return real(left, right, chance)

    monkeypatch.setattr(comparison, "_alike", counted)
    _, _, vocabulary = compare_texts(["the", "talks"], ["the", "war"])
    rows = np.array([0, 1] * 500, dtype=np.int64)
    columns = np.array([0, 2, 0] * 400, dtype=np.int64)
    alike = vocabulary.similarity(rows, columns)
    assert alike.shape == (1000, 1200)
    assert set(compared) == {(2, 2)}
    # and every occurrence has the figure of its form
    assert (alike[::2, ::3] == 1).all()
    assert len(np.unique(alike[1::2, 1::3])) == 1


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (0, 2), (2, 0)])
def test_an_empty_side_is_like_nothing(rows: int, columns: int) -> None:
    _, _, vocabulary = compare_texts(["the", "talks"], [])
    ids = np.arange(2, dtype=np.int64)
    assert vocabulary.similarity(ids[:rows], ids[:columns]).shape == (rows, columns)
