"""Roughly how an English spelling sounds: keys whose edit distance is small if words sound alike.

The idea is Metaphone's (L. Philips, "Hanging on the Metaphone", Computer Language 7(12), 1990): ordered
letter-to-sound rules into few sound classes. Unlike Metaphone the key keeps a vowel class inside the
word, so that each character is one sound and an edit distance over keys means something:

    P  p b        F  f v        M  m        A  any run of vowels
    T  t d        S  s z        N  n, ng    Y  y before a vowel
    K  k g        X  sh ch j    L  l        W  w
    0  th         H  h          R  r

Voiced and unvoiced pairs share a class because listeners and recognisers confuse them.
"""

from __future__ import annotations

import re
from functools import lru_cache

RULES = (
    # silent letters
    (r"^(?:kn|gn|pn)", "N"),
    (r"^wr", "R"),
    (r"^m(?=c[^aeiouyh])", "MA"),
    (r"^h(?=eir|our|onest|onou?r)", ""),
    (r"^ps", "S"),
    (r"^x", "S"),
    (r"^wh(?=o)", "H"),
    (r"mb(?=s?$)", "M"),
    (r"gn(?=s?$)", "N"),
    (r"(?<=[sf])t(?=(?:en|le)s?$)", ""),
    (r"(?<=[aeiou])lk(?=s?$)", "K"),
    (r"(?<=ou)gh(?=$|s|t)", ""),
    (r"(?<=[aeiou])gh(?=t|s|$)", ""),
    (r"(?<=[^aeiouy])le(?=d?$|s$)", "AL"),
    (r"(?<=[^aeiouyszxc])e(?=s?$)|(?<=[szxc])e$", ""),
    # hissing and hushing
    (r"tch|dge|dj|sch|sh|tsch", "X"),
    (r"(?<!^)(?:ti|ci|si|ssi|sci|xi)(?=on|a[ln]|ou|en[tc])", "X"),
    (r"(?<=[aeiou])s(?=ure|ual)", "X"),
    (r"(?<=[aeiouns])t(?=ur)", "X"),
    (r"ch(?=[rlnm])", "K"),
    (r"ch", "X"),
    (r"sc(?=[eiy])", "S"),
    (r"cc(?=[eiy])", "KS"),
    (r"c(?=[eiy])", "S"),
    (r"gg", "K"),
    (r"g(?=[eiy])", "X"),
    (r"j", "X"),
    (r"xc(?=[eiy])|x", "KS"),
    (r"tz|ts", "TS"),
    (r"cz", "X"),
    (r"[sz]+", "S"),
    # two letters, one sound
    (r"tth|th", "0"),
    (r"ph", "F"),
    (r"gh", "K"),
    (r"wh", "W"),
    (r"ng(?=s?$)|ng(?=[^aeiouyrl])", "N"),
    (r"qu", "KW"),
    (r"ck|cq", "K"),
    # one letter, one sound
    (r"[bp]+", "P"),
    (r"[dt]+", "T"),
    (r"[ckgq]+", "K"),
    (r"[fv]+", "F"),
    (r"m+", "M"),
    (r"n+", "N"),
    (r"l+", "L"),
    (r"r+h?", "R"),
    (r"h(?=[aeiouy])", "H"),
    (r"h", ""),
    (r"w(?=[aeiouy])", "W"),
    (r"y(?=[aeiou])", "Y"),
    (r"[aeiouyw]+", "A"),
)
SPELLING = re.compile("|".join(f"({spelling})" for spelling, _ in RULES))
VOWELS = re.compile(r"[aeiouy]+")
SILENT_E = re.compile(
    r"(?<=[^aeioul])e$|(?<=y)e(?=s$)|(?<=[aeiouyl]l)e(?=[ds]?$)|(?<=[^aeiouytdl])e(?=d$)|(?<=[^aeiouysxzcgl])e(?=s$)"
    r"|(?<!^)e(?=ly$|ment|less|ful)"
)
HIATUS = re.compile(
    r"(?<![tcsg])i(?=[aou])|(?<=t)i(?=at)|(?<=[aeiou][a-z])e(?=as?$)|[iy](?=ng)|(?<=[^aeiouq])u(?=[ao])|e(?=o)|y(?=[aeiou])"
)
"""Where a vowel is a syllable of its own before another vowel."""


@lru_cache(maxsize=1 << 17)
def sound(unit: str) -> str:
    """The sound classes of one comparable unit; characters without a rule stand for themselves."""
    return SPELLING.sub(lambda match: RULES[(match.lastindex or 1) - 1][1], unit) or unit


@lru_cache(maxsize=1 << 17)
def syllables(unit: str) -> int:
    """An estimate of the number of syllables of one comparable unit, for speaking time; at least 1.

    Counts groups of vowels, divided at a hiatus, without a silent e. A unit without vowels is spelled out
    ("bbc"), and a character of another script counts as one syllable.
    """
    divided = HIATUS.sub(r"\g<0> ", SILENT_E.sub("", unit))
    groups = len(VOWELS.findall(divided)) or len(VOWELS.findall(unit))  # "the": its only vowel is not silent
    return groups or max(1, len(unit))
