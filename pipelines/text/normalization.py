"""The comparable form of a token; the original never changes.

    "U.S.-Russia" → us · russia        ",Putin" → putin          "it’s" → its
    "2014"        → twenty · fourteen  "Müller" → muller         "??"   → (nothing)

Two texts of the same speech may differ in case, quotes, dashes, doubled punctuation and the spelling of
numbers. None of that is audible, so `units` removes it. A contraction stays one unit without its
apostrophe, so that "its", "it's" and "it’s" are equal.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from html import unescape

from pipelines.text.numerals import NUMERAL, spoken

SIGNIFICANT = frozenset("'.,:&%$£€¥")
"""Punctuation that has a meaning next to a letter or digit; all other punctuation separates."""

APOSTROPHES = str.maketrans(dict.fromkeys("’‘‛ʼʹ′`´", "'"))
LATIN_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "ı": "i"}
)
"""Latin letters that Unicode does not decompose into ASCII."""

ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});")
"""Captions from web pages are often half decoded: "&amp;", "&#39;"."""

INITIALISM = re.compile(r"(?<![^\W_])[^\W\d_](?:\.[^\W\d_])+(?![^\W_])\.?")
WORD = r"[^\s0-9.,:&%$£€¥']+(?:'[^\s0-9.,:&%$£€¥']+)*"
ENGLISH = re.compile(rf"{NUMERAL}|(?P<sign>[&%])|(?P<word>{WORD})", re.ASCII)
OTHER = re.compile(rf"(?P<word>{WORD}|[0-9]+)")
SIGNS = {"&": "and", "%": "percent"}

SPACELESS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # CJK radicals
    (0x3000, 0x30FF),  # CJK punctuation, Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # CJK extension A
    (0x4E00, 0x9FFF),  # CJK
    (0xF900, 0xFAFF),  # CJK compatibility
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x20000, 0x3FFFF),  # CJK extensions B and on
)
"""Scripts written without spaces between words: code point ranges, both ends included."""

CLOSERS = "\"'”’»›)]}」』）】*_"
TERMINATORS = ".!?…。！？｡؟۔।॥‽⁇⁈⁉"
QUESTION_MARKS = "?？؟⁇⁈⁉‽"
UNFINISHED = re.compile(
    r"mr|mrs|ms|mx|dr|prof|sen|rep|gov|gen|lt|col|capt|sgt|cpl|cmdr|adm|maj|hon|rev|fr|sr|jr|st|mt|vs"
    r"|[^\W\d_](?:\.[^\W\d_])*"
)
"""Titles, initials and initialisms: a full stop after one hardly ever ends a sentence."""


@lru_cache(maxsize=1 << 17)
def units(text: str, language: str = "en") -> tuple[str, ...]:
    """The comparable units of one token, () for pure punctuation; never raises.

    Idempotent: every unit is its own single unit. Numbers become words in English only; scripts written
    without spaces give one unit per character.
    """
    separated = "".join(map(_kept, fold(text)))
    plain = INITIALISM.sub(lambda initialism: initialism[0].replace(".", ""), separated)
    if language.partition("-")[0].casefold() != "en":
        return tuple(unit for match in OTHER.finditer(plain) for unit in _words(match["word"]))
    return tuple(unit for match in ENGLISH.finditer(plain) for unit in _english(match))


def fold(text: str) -> str:
    """The text without case, compatibility forms, typographic apostrophes, HTML entities or Latin accents."""
    if "&" in text:
        text = ENTITY.sub(lambda entity: unescape(entity[0]), text)
    if text.isascii():
        return text.lower().replace("`", "'")
    plain = text.translate(APOSTROPHES)
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", plain).casefold())
    return unicodedata.normalize(
        "NFKC", _without_accents(plain).translate(LATIN_LETTERS).translate(APOSTROPHES)
    )


def is_spaceless(character: str) -> bool:
    """Whether the character belongs to a script that is written without spaces between words."""
    code = ord(character)
    return code >= SPACELESS[0][0] and any(low <= code <= high for low, high in SPACELESS)


def ends_sentence(text: str) -> bool:
    """Whether the token closes a sentence: "peace.", "it…", "war?”", but not "Mr.", "J." or "U.S."."""
    core = text.rstrip(CLOSERS)
    if not core or core[-1] not in TERMINATORS:
        return False
    if not core.endswith(".") or core.endswith(".."):
        return True
    word = core[:-1].strip("\"'“‘([").casefold()
    return not UNFINISHED.fullmatch(word)


def is_question(text: str) -> bool:
    """Whether the token closes a question: "Ukraine??", "you?”"."""
    core = text.rstrip(CLOSERS)
    marks = core[len(core.rstrip(TERMINATORS)) :]
    return any(mark in QUESTION_MARKS for mark in marks)


def _english(match: re.Match[str]) -> tuple[str, ...]:
    if match["word"]:
        return _words(match["word"])
    return (SIGNS[match["sign"]],) if match["sign"] else spoken(match)


def _words(word: str) -> tuple[str, ...]:
    """One word without its apostrophes; one unit per character of a spaceless script."""
    bare = word.replace("'", "")
    if bare.isascii() or not any(map(is_spaceless, bare)):
        return (bare,)
    return tuple(_clusters(bare))


def _clusters(word: str) -> list[str]:
    """Characters of spaceless scripts with their combining marks; runs of other letters stay whole."""
    clusters: list[str] = []
    before = True
    for character in word:
        alone = is_spaceless(character)
        joins = unicodedata.category(character)[0] == "M" or not (alone or before)
        if clusters and joins:
            clusters[-1] += character
        else:
            clusters.append(character)
            before = alone
    return clusters


@lru_cache(maxsize=1 << 14)
def _kept(character: str) -> str:
    """The character; a space for separating punctuation, nothing for an invisible format character."""
    if character in SIGNIFICANT:
        return character
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    return character if category[0] in "LMN" else " "


def _without_accents(text: str) -> str:
    """Drops combining marks from Latin letters only: elsewhere they may be vowels."""
    kept: list[str] = []
    latin = False
    for character in unicodedata.normalize("NFKD", text):
        mark = unicodedata.combining(character) != 0
        if mark and latin:
            continue
        latin = not mark and (character.isascii() or "LATIN" in unicodedata.name(character, ""))
        kept.append(character)
    return "".join(kept)
