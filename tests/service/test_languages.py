from __future__ import annotations

import pytest

from service.languages import NAMES, UNKNOWN, english_name


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("en", "english"),
        ("en-GB", "english"),
        ("pt_BR", "portuguese"),
        ("nb", "norwegian"),
        ("fil", "tagalog"),
        ("zh-yue", "cantonese"),
        ("jv", "javanese"),
        ("", UNKNOWN),
        ("und", UNKNOWN),
        ("tlh", "tlh"),
    ],
)
def test_a_language_has_its_english_name(tag: str, name: str) -> None:
    assert english_name(tag) == name


@pytest.mark.engine  # importing openai-whisper takes seconds
def test_the_names_are_those_of_openai_whisper() -> None:
    tokenizer = pytest.importorskip("whisper.tokenizer")
    assert tokenizer.LANGUAGES == NAMES
