"""The prompt that gives Whisper names and spellings, as if it were the text before the recording.

Whisper takes the end of the preceding text as context (A. Radford et al., "Robust speech recognition via
large-scale weak supervision", 2022, section 2.3), and so tends to use the spellings found there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

TOKEN_LIMIT = 223
"""Half of Whisper's 448 text tokens, less the mark in front; the rest is for its output."""
SPECIAL = re.compile(r"<\|.*?\|>|<\|")  # Whisper's own marks, which names do not contain


def prompt(terms: Sequence[str], count_tokens: Callable[[str], int]) -> str:
    """As many whole terms as TOKEN_LIMIT allows, in order; "" for none."""
    taken = ""
    for term in dict.fromkeys(" ".join(SPECIAL.sub(" ", term).split()) for term in terms):
        longer = f"{taken}, {term}" if taken else term
        if term and count_tokens(f" {longer}.") <= TOKEN_LIMIT:
            taken = longer
    return f"{taken}." if taken else ""
