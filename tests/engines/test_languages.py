"""Whisper's codes and BCP 47."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engines.languages import check, parse, serialize
from pipelines.errors import OptionError

KNOWN = ("en", "fr", "zh", "he", "no", "jw", "yue")


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("", ""),
        ("en", "en"),
        ("en-GB", "en"),
        ("en_US", "en"),
        (" EN-gb ", "en"),
        ("pt-BR", "pt"),
        ("zh-Hant-TW", "zh"),
        ("zh-yue", "yue"),
        ("zh-yue-HK", "yue"),
        ("cmn-Hans", "zh"),
        ("nb-NO", "no"),
        ("nn", "nn"),
        ("iw", "he"),
        ("jv", "jw"),
        ("fil", "tl"),
    ],
)
def test_tags_become_codes(tag: str, code: str) -> None:
    assert parse(tag) == code


def test_codes_become_tags() -> None:
    assert serialize("jw") == "jv"
    assert serialize("en") == "en"


def test_a_known_language_passes() -> None:
    assert check("en-GB", KNOWN, "small") == "en"
    assert check("", KNOWN, "small") == ""
    assert check("en-GB", ("en",), "small.en") == "en"


@pytest.mark.parametrize("tag", ["xx", "english", "klingon", "-", "🙂"])
def test_an_unknown_one_says_what_to_give(tag: str) -> None:
    with pytest.raises(OptionError, match="such as en, fr or pt-BR"):
        check(tag, KNOWN, "small")


def test_an_english_model_says_that_it_is_one() -> None:
    with pytest.raises(OptionError, match=r"small\.en hears English only, not 'fr-CA'.*multilingual"):
        check("fr-CA", ("en",), "small.en")


@given(st.text(max_size=20))
def test_any_text_is_a_code_or_an_error(tag: str) -> None:
    if parse(tag) in KNOWN or not tag.strip():
        assert check(tag, KNOWN, "small") in {"", *KNOWN}
    else:
        with pytest.raises(OptionError):
            check(tag, KNOWN, "small")
