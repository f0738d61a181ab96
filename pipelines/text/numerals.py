"""Numbers as spoken in English: "2014" → twenty fourteen, "$3.5bn" → three point five billion dollars.

Only for ASCII digits; the caller folds other forms first. No digits raise an error: numbers too long to
have a name are read digit by digit, like telephone numbers.
"""

from __future__ import annotations

import re

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEENS = ("ten", "eleven", "twelve", "thir", "four", "fif", "six", "seven", "eigh", "nine")
ONES = DIGITS + TEENS[:3] + tuple(stem + "teen" for stem in TEENS[3:])
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
POWERS = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (10**3, "thousand"))
LONGEST_NAMED = 15  # digits; anything longer is read digit by digit

ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
CURRENCIES = {
    "$": ("dollar", "dollars"),
    "£": ("pound", "pounds"),
    "€": ("euro", "euros"),
    "¥": ("yen", "yen"),
}
MAGNITUDES = {
    "k": "thousand",
    "m": "million",
    "mn": "million",
    "b": "billion",
    "bn": "billion",
    "t": "trillion",
    "tn": "trillion",
}

NUMERAL = (
    r"(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?!\d)"
    r"|(?P<currency>[$£€¥])?(?P<whole>\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.(?P<fraction>\d+))?"
    r"(?:(?P<suffix>%|'?s|st|nd|rd|th|mn|bn|tn|(?<=\d)[kmbt])(?![^\W_]))?"
)
"""A pattern with named groups for casefolded text; `spoken` reads its matches."""


def spoken(match: re.Match[str]) -> tuple[str, ...]:
    """The words for one match of NUMERAL."""
    group = match.groupdict()
    if group["hour"]:
        return clock(group["hour"], group["minute"])
    suffix = group["suffix"] or ""
    words = _quantity(group["whole"], group["fraction"], plain=not group["currency"])
    if suffix in MAGNITUDES:
        words = (*words, MAGNITUDES[suffix])
    elif suffix in {"s", "'s"}:
        words = (*words[:-1], plural(words[-1]))
    elif suffix == "%":
        words = (*words, "percent")
    elif suffix:
        words = (*words[:-1], ordinal(words[-1]))
    if not group["currency"]:
        return words
    one, many = CURRENCIES[group["currency"]]
    return (*words, one if words == ("one",) else many)


def clock(hour: str, minute: str) -> tuple[str, ...]:
    """ "10:05" → ten oh five; "10:00" → ten."""
    if int(minute) == 0:
        return cardinal(int(hour))
    filler = ("oh",) if minute[0] == "0" else ()
    return (*cardinal(int(hour)), *filler, *cardinal(int(minute)))


def cardinal(number: int) -> tuple[str, ...]:
    """1500 → one thousand five hundred; 0 <= number < 10**15."""
    if number < 20:
        return (ONES[number],)
    if number < 100:
        return (TENS[number // 10], *_rest(number % 10))
    if number < 1000:
        return (ONES[number // 100], "hundred", *_rest(number % 100))
    size, name = next(power for power in POWERS if number >= power[0])
    return (*cardinal(number // size), name, *_rest(number % size))


def year(number: int) -> tuple[str, ...]:
    """1905 → nineteen oh five; 2014 → twenty fourteen; 2005 → two thousand five."""
    century, rest = divmod(number, 100)
    if century % 10 == 0 and rest < 10:
        return cardinal(number)
    if rest == 0:
        return (*cardinal(century), "hundred")
    return (*cardinal(century), *(("oh",) if rest < 10 else ()), *cardinal(rest))


def ordinal(word: str) -> str:
    """The last word of a cardinal as an ordinal: twenty → twentieth."""
    if word.endswith("y"):
        return word[:-1] + "ieth"
    return ORDINALS.get(word, word + "th")


def plural(word: str) -> str:
    """The last word of a cardinal in the plural: ninety → nineties."""
    if word.endswith("y"):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith("x") else "s")


def digits(text: str) -> tuple[str, ...]:
    """ "007" → zero zero seven."""
    return tuple(DIGITS[int(digit)] for digit in text)


def _rest(number: int) -> tuple[str, ...]:
    return cardinal(number) if number else ()


def _quantity(whole: str, fraction: str | None, plain: bool) -> tuple[str, ...]:
    bare = whole.replace(",", "")
    if len(bare) > LONGEST_NAMED or (len(bare) > 1 and bare[0] == "0"):
        words = digits(bare)
    elif plain and not fraction and len(whole) == 4 and 1100 <= int(bare) <= 2099:
        words = year(int(bare))
    else:
        words = cardinal(int(bare))
    return (*words, "point", *digits(fraction)) if fraction else words
