"""Whisper's codes, BCP 47, and English names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import OptionError
from pipelines.text.languages import (
    NAMES,
    UNKNOWN,
    check,
    check_known,
    english_name,
    from_name,
    parse,
    serialize,
)

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
    with pytest.raises(OptionError, match=r"small\.en knows English only, not 'fr-CA'.*multilingual"):
        check("fr-CA", ("en",), "small.en")


@given(st.text(max_size=20))
def test_any_text_is_a_code_or_an_error(tag: str) -> None:
    if parse(tag) in KNOWN or not tag.strip():
        assert check(tag, KNOWN, "small") in {"", *KNOWN}
    else:
        with pytest.raises(OptionError):
            check(tag, KNOWN, "small")


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


def test_every_name_gives_a_tag_of_that_name() -> None:
    assert [english_name(from_name(name.title())) for name in NAMES.values()] == list(NAMES.values())
    assert (from_name("Dutch"), from_name("javanese"), from_name("de-CH")) == ("nl", "jv", "de-CH")


@pytest.mark.parametrize("tag", ["", "en", "en-GB", "nb", "cmn-Hans", "jv"])
def test_a_language_that_there_is(tag: str) -> None:
    assert check_known(tag) == tag
    assert check_known(f" {tag.replace('-', '_')}") == tag


@pytest.mark.parametrize("tag", ["xx", "english", "-", "und", "🙂"])
def test_a_language_that_there_is_not(tag: str) -> None:
    with pytest.raises(OptionError, match="such as en, fr or pt-BR"):
        check_known(tag)
