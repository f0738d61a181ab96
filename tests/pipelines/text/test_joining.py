"""Words as running text: blanks where the script has them, or the supplied text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import supplied
from pipelines.text.joining import join_tokens, join_words, seams
from pipelines.types import AlignedToken, Match

LATIN = st.text(st.characters(categories=["Ll", "Lu"], max_codepoint=0x24F), min_size=1, max_size=8)


def aligned(text: str) -> list[AlignedToken]:
    """The tokens of a supplied text; all are spoken, at any time."""
    return [
        AlignedToken(token, Match.MATCHED, 0.0, 0.0, 0, 0, 1.0)
        for token in supplied.parse(text.encode()).tokens
    ]


@given(st.lists(LATIN))
def test_words_of_scripts_with_spaces_have_one_blank_between_two(words: list[str]) -> None:
    assert join_words(words) == " ".join(words)
    assert not any(seams(words))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["今天", "天气", "很", "好。"], "今天天气很好。"),
        (["今天", "", "好"], "今天好"),
        (["안녕하세요", "여러분"], "안녕하세요 여러분"),
        (["Good", "", "evening."], "Good evening."),
        ([], ""),
    ],
)
def test_heard_words(words: list[str], text: str) -> None:
    assert join_words(words) == text


@given(
    st.lists(st.sampled_from(["今", "天气", "Riga", "go", "ครับ", " ", "。", "，", "ü"]), min_size=1).map(
        "".join
    )
)
def test_all_tokens_make_the_text_again(text: str) -> None:
    tokens = aligned(f"a {text} 好")
    assert join_tokens(tokens, range(len(tokens))) == " ".join(f"a {text} 好".split())


def test_what_is_left_out_leaves_no_blank_in_a_script_without_spaces_and_keeps_it_in_others() -> None:
    chinese, english = aligned("今天很好 是的"), aligned("so it is")
    assert join_tokens(chinese, [0, 2, 3, 4, 5]) == "今很好 是的"
    assert join_tokens(english, [0, 2]) == "so is"
    assert join_tokens(english, []) == ""


def test_a_mark_that_is_dropped_does_not_glue_what_stands_around_it() -> None:
    tokens = aligned("it began (applause)again")
    assert [token.token.text for token in tokens] == ["it", "began", "(applause)", "again"]
    assert join_tokens(tokens, [0, 1, 3]) == "it began again"
