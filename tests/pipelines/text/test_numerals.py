import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.text.numerals import (
    DIGITS,
    NUMERAL,
    ONES,
    TENS,
    cardinal,
    digits,
    ordinal,
    plural,
    spoken,
    year,
)

VALUES = {name: value for value, name in enumerate(ONES)}
VALUES |= {name: 10 * value for value, name in enumerate(TENS) if name}
POWERS = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}


def value(words: tuple[str, ...]) -> int:
    """The number that English words name: an independent reading, to check the writing."""
    total = group = 0
    for word in words:
        if word == "hundred":
            group *= 100
        elif word in POWERS:
            total, group = total + group * POWERS[word], 0
        else:
            group += VALUES[word]
    return total + group


@given(st.integers(0, 10**15 - 1))
def test_cardinal_names_the_number(number: int) -> None:
    assert value(cardinal(number)) == number


@given(st.integers(1100, 2099))
def test_year_names_the_year(number: int) -> None:
    words = tuple(word for word in year(number) if word != "oh")
    halves = ((value(words[:cut]), value(words[cut:])) for cut in range(1, len(words)))
    assert value(words) == number or number in {century * 100 + rest for century, rest in halves}


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1100, "eleven hundred"),
        (1905, "nineteen oh five"),
        (1999, "nineteen ninety nine"),
        (2000, "two thousand"),
        (2005, "two thousand five"),
        (2010, "twenty ten"),
        (2026, "twenty twenty six"),
    ],
)
def test_years_as_they_are_said(number: int, words: str) -> None:
    assert year(number) == tuple(words.split())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0", "zero"),
        ("7", "seven"),
        ("13", "thirteen"),
        ("40", "forty"),
        ("105", "one hundred five"),
        ("1066", "one thousand sixty six"),
        ("2,014", "two thousand fourteen"),
        ("2014.5", "two thousand fourteen point five"),
        ("$2014", "two thousand fourteen dollars"),
        ("$1", "one dollar"),
        ("£1.50", "one point five zero pounds"),
        ("¥100", "one hundred yen"),
        ("€20m", "twenty million euros"),
        ("5k", "five thousand"),
        ("0.25", "zero point two five"),
        ("007", "zero zero seven"),
        ("2nd", "second"),
        ("3rd", "third"),
        ("5th", "fifth"),
        ("12th", "twelfth"),
        ("20th", "twentieth"),
        ("100th", "one hundredth"),
        ("2000s", "two thousands"),
        ("747's", "seven hundred forty sevens"),
        ("6s", "sixes"),
        ("9:05", "nine oh five"),
        ("12:00", "twelve"),
    ],
)
def test_spoken(text: str, words: str) -> None:
    match = re.fullmatch(NUMERAL, text)
    assert match is not None
    assert spoken(match) == tuple(words.split())


@given(st.text(alphabet="0123456789", min_size=16, max_size=40))
def test_numbers_too_long_for_a_name_are_read_digit_by_digit(text: str) -> None:
    match = re.fullmatch(NUMERAL, text)
    assert match is not None
    assert spoken(match) == digits(text) == tuple(DIGITS[int(digit)] for digit in text)


def test_ordinals_and_plurals() -> None:
    assert [ordinal(word) for word in DIGITS[1:]] == (
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"]
    )
    assert [plural(word) for word in ("ninety", "hundred", "six")] == ["nineties", "hundreds", "sixes"]
