"""Names and spellings that Whisper is told: the text that would have stood before the recording.

Whisper takes the end of an earlier text as context (A. Radford et al., "Robust speech recognition via
large-scale weak supervision", 2022, section 2.3), and so tends to spell what it hears as it is spelt there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

TOKEN_LIMIT = 223
"""Half of Whisper's 448 tokens of text, less the mark in front: the rest is for what it writes."""
SPECIAL = re.compile(r"<\|.*?\|>|<\|")  # Whisper's own marks, which no name has


def prompt(terms: Sequence[str], count_tokens: Callable[[str], int]) -> str:
    """The terms, whole and in order, as many as TOKEN_LIMIT allows; "" for none."""
    taken = ""
    for term in dict.fromkeys(_plain(term) for term in terms):
        longer = f"{taken}, {term}" if taken else term
        if term and count_tokens(f" {longer}.") <= TOKEN_LIMIT:
            taken = longer
    return f"{taken}." if taken else ""


def _plain(term: str) -> str:
    return " ".join(SPECIAL.sub(" ", term).split())
