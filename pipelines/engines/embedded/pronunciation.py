"""The pronunciation of English words that the dictionary lacks, above all names.

Phones are those of the CMU Pronouncing Dictionary, without stress: "HH EH G S EH TH". A possessive is read as
its stem, a word without a vowel letter by letter ("jd"), any other by letter-to-sound rules in the manner of
H. Elovitz et al., "Letter-to-sound rules for automatic translation of English text to phonetics", IEEE
Transactions on Acoustics, Speech and Signal Processing 24(6), 1976: at each place the first rule that fits.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Set
from pathlib import Path

CHARACTERS = {
    **dict(zip("abcdefg", ("EY", "B IY", "S IY", "D IY", "IY", "EH F", "JH IY"), strict=True)),
    **dict(zip("hijklmn", ("EY CH", "AY", "JH EY", "K EY", "EH L", "EH M", "EH N"), strict=True)),
    **dict(zip("opqrst", ("OW", "P IY", "K Y UW", "AA R", "EH S", "T IY"), strict=True)),
    **dict(zip("uvwxyz", ("Y UW", "V IY", "D AH B AH L Y UW", "EH K S", "W AY", "Z IY"), strict=True)),
    **dict(zip("01234", ("Z IH R OW", "W AH N", "T UW", "TH R IY", "F AO R"), strict=True)),
    **dict(zip("56789", ("F AY V", "S IH K S", "S EH V AH N", "EY T", "N AY N"), strict=True)),
}

RULES = (
    # the beginning of a word
    (r"^(?:kn|gn|pn)", "N"),
    (r"^wr", "R"),
    (r"^ps", "S"),
    (r"^x", "Z"),
    (r"^mc(?=[^aeiouyhk])", "M AH K"),
    (r"^who", "HH UW"),
    (r"^eu|^u(?=n[aeiou]|[st][aeiou])", "Y UW"),
    (r"^re(?=[^aeiouyr][aeiou])", "R IY"),
    # its end
    (r"(?<=[td])ed$", "IH D"),
    (r"(?<=[aeiouy][pkfxsh])ed$|(?<=[aeiouy][^aeiouy][pkfxsh])ed$", "T"),
    (r"(?<=[aeiouy][^aeiouy])ed$|(?<=[aeiouy][^aeiouy][^aeiouy])ed$", "D"),
    (r"(?<=[sxzcg])es$|(?<=[cs]h)es$", "IH Z"),
    (r"ies$", "IY Z"),
    (r"ied$", "IY D"),
    (r"(?<=[aeiouy][^aeiouy])ing(?=s?$)|(?<=[aeiouy][^aeiouy][^aeiouy])ing(?=s?$)", "IH NG"),
    (r"(?<=[^aeiouylr])le(?=[sd]?$)", "AH L"),
    (r"ism(?=s?$)", "IH Z AH M"),
    (r"(?<=[aeiou])sion", "ZH AH N"),
    (r"(?:t|ss|s|sh|c)ion", "SH AH N"),
    (r"(?:ti|ci)(?=a[ln]|ou)", "SH"),
    (r"ture(?=s?$)", "CH ER"),
    (r"ous(?=$|ly$)", "AH S"),
    (r"(?<=[aeiouy].)age(?=s?$)|(?<=[aeiouy]..)age(?=s?$)", "IH JH"),
    (r"(?<=^[^aeiouy])y$|(?<=^[^aeiouy][^aeiouy])y$", "AY"),
    (r"(?<=[^aeiouy])(?:ey|yy?|ie)(?=s?$)", "IY"),
    (r"(?<=[aeiouy][^aeiouy])(?:er|ar|or|re)(?=s?$)|(?<=[aeiouy][^aeiouy][^aeiouy])(?:er|or)(?=s?$)", "ER"),
    (r"(?<=[aeiouy][^aeiouy])[ae]l(?=s?$)|(?<=[aeiouy][^aeiouy][^aeiouy])[ae]l(?=s?$)", "AH L"),
    (r"(?<=[aeiouy][^aeiouy])[aeo]n(?=s?$)|(?<=[aeiouy][^aeiouy][^aeiouy])[aeo]n(?=s?$)", "AH N"),
    (r"(?<=[aeiouy][^aeiouy])us$|(?<=[aeiouy][^aeiouy][^aeiouy])us$", "AH S"),
    (r"(?<=[^aeiouy])e(?=s$)|(?<=[aeiouy][^aeiouy])e$|(?<=[aeiouy][^aeiouy][^aeiouy])e$", ""),
    (r"(?<=[^aeiouy])a(?=s?$)", "AH"),
    (r"(?<=[aioybdglmnrvw])s$|(?<=[bdglmnrvwz]e)s$", "Z"),
    (r"mb(?=s?$)", "M"),
    # several letters, one sound
    (r"eigh", "EY"),
    (r"igh", "AY"),
    (r"[ao]ugh(?=t)", "AO"),
    (r"ough", "OW"),
    (r"gh(?=[^aeiouy]|$)", ""),
    (r"(?<=[ao])l(?=k)", ""),
    (r"tch|tsch|cz", "CH"),
    (r"sch|sh", "SH"),
    (r"dg(?=[eiy])|dj", "JH"),
    (r"ch(?=[rlnm])", "K"),
    (r"ch", "CH"),
    (r"t?th", "TH"),
    (r"ph", "F"),
    (r"wh", "W"),
    (r"zh", "ZH"),
    (r"kh|ck|cq|cc?(?=[^eiy]|$)|kk?", "K"),
    (r"sc(?=[eiy])", "S"),
    (r"cc(?=[eiy])", "K S"),
    (r"c", "S"),
    (r"ng(?=s?$|[^aeiouyrlw])", "NG"),
    (r"n(?=[gk])", "NG"),
    (r"gg|gu(?=[eiy])|gh", "G"),
    (r"g(?=[eiy])|j", "JH"),
    (r"g", "G"),
    (r"qu", "K W"),
    (r"q", "K"),
    (r"x", "K S"),
    (r"tz", "T S"),
    (r"zz?", "Z"),
    (r"(?<=[aeiouy])s(?=[aeiouy])", "Z"),
    (r"ss?", "S"),
    # vowels before r
    (r"air|are(?=s?$)", "EH R"),
    (r"ear|eer|ier", "IH R"),
    (r"oar|oor|ore|our", "AO R"),
    (r"ire(?=[sd]?$)", "AY ER"),
    (r"arr", "EH R"),
    (r"ar", "AA R"),
    (r"or", "AO R"),
    (r"(?:ir|ur|er)r?(?=[aeiouy])", "ER"),
    (r"(?:ir|ur|er)", "ER"),
    # two vowels, one sound
    (r"a[iy]", "EY"),
    (r"a[uw]", "AO"),
    (r"aa|ah", "AA"),
    (r"ee|ea|ie|ei(?=[vt])", "IY"),
    (r"ei|ey", "EY"),
    (r"eu|ew|ue(?=s?$)|ui", "UW"),
    (r"eo|io", "IY OW"),
    (r"ia", "IY AH"),
    (r"oa|oe|ow(?=$|[^aeiouynl])", "OW"),
    (r"oo|ou(?=[^dtnlsc])", "UW"),
    (r"o[iy]", "OY"),
    (r"ou|ow", "AW"),
    # one vowel: long before a consonant and a silent e, or before another vowel; else short
    (r"a(?=[^aeiouwxy]e[sd]?$)", "EY"),
    (r"i(?=[^aeiouwxy]e[sd]?$)", "AY"),
    (r"y(?=[^aeiouwxy]e[sd]?$)", "AY"),
    (r"o(?=[^aeiouwxyv]e[sd]?$)|o(?=s?$|ll?d)", "OW"),
    (r"u(?=[^aeiouwxy]e[sd]?$|$)", "UW"),
    (r"i(?=$|[aeou])|e$", "IY"),
    (r"y(?=[aeiou])", "Y"),
    (r"a", "AE"),
    (r"e", "EH"),
    (r"[iy]", "IH"),
    (r"o", "AA"),
    (r"u", "AH"),
    # one consonant
    (r"bb?", "B"),
    (r"dd?", "D"),
    (r"ff?", "F"),
    (r"(?<=[aeiou])h(?=[^aeiouy]|$)", ""),
    (r"h", "HH"),
    (r"ll?", "L"),
    (r"mm?", "M"),
    (r"nn?", "N"),
    (r"pp?", "P"),
    (r"rr?", "R"),
    (r"tt?", "T"),
    (r"v", "V"),
    (r"w", "W"),
)
SPELLING = re.compile("|".join(f"({spelling})" for spelling, _ in RULES))
VOWEL = re.compile(r"[aeiouy]")
POSSESSIVE = re.compile(r"'s$|(?<=s)'$")


def look_up(words: Set[str], dictionary: Path) -> dict[str, str]:
    """The first pronunciation of each of the words, and of the stems of possessives, that a dictionary has.

    The file is in CMU's format.
    """
    wanted = words | {POSSESSIVE.sub("", word) for word in words}
    with dictionary.open(encoding="utf-8") as lines:
        entries = (line.split(maxsplit=1) for line in lines)
        return {entry[0]: entry[1].strip() for entry in entries if entry and entry[0] in wanted}


def pronounce(word: str, known: Mapping[str, str]) -> str:
    """The phones of a word, "" if there is nothing to pronounce; `known` are those from the dictionary."""
    if word in known:
        return known[word]
    stem = POSSESSIVE.sub("", word)
    if stem != word:
        phones = pronounce(stem, known)
        return f"{phones} {_possessive(phones)}" if phones else ""
    return " ".join(filter(None, map(_read, re.findall(r"[a-z]+|[0-9]", _plain(word)))))


def _possessive(phones: str) -> str:
    last = phones.rpartition(" ")[2]
    if last in {"S", "Z", "SH", "ZH", "CH", "JH"}:
        return "IH Z"
    return "S" if last in {"P", "T", "K", "F", "TH"} else "Z"


def _plain(word: str) -> str:
    """Lower case without accents and apostrophes: "o'löfflmann" → "olofflmann"."""
    decomposed = unicodedata.normalize("NFKD", word.lower().replace("ß", "ss").replace("ø", "o"))
    return "".join(c for c in decomposed if not unicodedata.combining(c) and c not in "'’")


def _read(letters: str) -> str:
    """The phones of a run of letters, or of one digit."""
    if not VOWEL.search(letters):
        return " ".join(CHARACTERS[letter] for letter in letters)
    phones = (RULES[(match.lastindex or 1) - 1][1] for match in SPELLING.finditer(letters))
    return " ".join(filter(None, phones))
