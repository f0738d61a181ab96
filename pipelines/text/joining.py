"""Words joined to running text: with a space between two, unless their script has none.

Good evening.       supplied or recognised: a space
今天|天气           a space only where the supplied text has one
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from pipelines.text.normalization import is_spaceless
from pipelines.types import AlignedToken


def join(words: Iterable[tuple[str, bool]]) -> str:
    """Running text from words, each with whether it is glued to the one before."""
    return "".join(word if glued else f" {word}" for word, glued in words).removeprefix(" ")


def join_words(words: Iterable[str]) -> str:
    """Running text from recognised words, where only the script decides about a space between two words."""
    kept = [word for word in words if word]
    return join(zip(kept, seams(kept), strict=True))


def join_tokens(tokens: Sequence[AlignedToken], indexes: Sequence[int]) -> str:
    """Running text from the tokens at `indexes`, spaced as in the supplied text."""
    glue = [False, *(glued(tokens, *pair) for pair in pairwise(indexes))]
    return join((tokens[index].token.text, seam) for index, seam in zip(indexes, glue, strict=False))


def seams(words: Sequence[str]) -> list[bool]:
    """Whether each word is glued to the one before, by their script."""
    return [False, *(_spaceless(*pair) for pair in pairwise(words))][: len(words)]


def glued(tokens: Sequence[AlignedToken], left: int, right: int) -> bool:
    """Whether, in a script without spaces, only tokens lie between two tokens of the supplied text."""
    places = [token.token for token in tokens[left : right + 1]]
    touch = all(first.char_end == second.char_start for first, second in pairwise(places))
    return touch and _spaceless(places[0].text, places[-1].text)


def _spaceless(left: str, right: str) -> bool:
    return any(map(is_spaceless, left[-1:] + right[:1]))
