"""How similar the supplied and the recognised words are, in spelling and in sound.

Both sides become a sequence of comparable units (`normalization.units`): "US-Russia" is two, ",," none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from pipelines.text import sound, syllables, units
from pipelines.types import HeardWord, Token, TokenKind

Floats = npt.NDArray[np.float32]
Indexes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """The comparable units of one side, in order.

    ids: (n,) index of each unit's form in the shared `Vocabulary`. owner: (n,) the token or recognised word
    that each unit came from, never decreasing.
    """

    ids: Indexes
    owner: Indexes

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """Every distinct form of both sides.

    weight: (v,) in (0.3, 1], how much a match of this form says: little for "the", much for a rare name.
    syllables: (v,) at least 1 each.
    """

    forms: tuple[str, ...]
    sounds: tuple[str, ...]
    weight: Floats
    syllables: Floats

    def similarity(self, rows: Indexes, columns: Indexes) -> Floats:
        """Similarity of two id sequences, shape (len(rows), len(columns)), in [0, 1]; 1 is equal.

        The better of spelling (Levenshtein distance over the longer length) and sound (the same with
        1 added to both: sound keys are coarse, and short ones agree by chance).
        Distinct forms are compared only once.
        """
        left, left_at = np.unique(rows, return_inverse=True)
        right, right_at = np.unique(columns, return_inverse=True)
        spelling = _alike([self.forms[i] for i in left], [self.forms[i] for i in right], chance=0)
        sounding = _alike([self.sounds[i] for i in left], [self.sounds[i] for i in right], chance=1)
        return np.asarray(np.maximum(spelling, sounding)[left_at[:, None], right_at[None, :]])


def _alike(left: Sequence[str], right: Sequence[str], chance: int) -> Floats:
    distance = cdist(left, right, scorer=Levenshtein.distance, dtype=np.int32)
    longer = np.maximum.outer([len(form) for form in left], [len(form) for form in right])
    return np.asarray(1.0 - (distance + chance) / (longer + chance), np.float32)


def compare(
    tokens: Sequence[Token], words: Sequence[HeardWord], language: str
) -> tuple[Units, Units, Vocabulary]:
    """The units of the supplied tokens and of the recognised words, and their shared vocabulary."""
    index: dict[str, int] = {}
    spoken = ((token.text if token.kind is TokenKind.WORD else "") for token in tokens)
    supplied = _collect(spoken, index, language)
    heard = _collect((word.text for word in words), index, language)
    forms = tuple(index)
    counts = np.bincount(np.concatenate([supplied.ids, heard.ids]), minlength=len(forms)).astype(np.float32)
    return supplied, heard, _describe(forms, counts)


def _collect(texts: Iterable[str], index: dict[str, int], language: str) -> Units:
    ids: list[int] = []
    owner: list[int] = []
    for position, text in enumerate(texts):
        for unit in units(text, language):
            ids.append(index.setdefault(unit, len(index)))
            owner.append(position)
    return Units(np.array(ids, dtype=np.int64), np.array(owner, dtype=np.int64))


def _describe(forms: tuple[str, ...], counts: Floats) -> Vocabulary:
    total = max(float(counts.sum()), 2.0)
    rarity = np.log(total / np.maximum(counts, 1.0)) / np.log(total)
    return Vocabulary(
        forms=forms,
        sounds=tuple(map(sound, forms)),
        weight=(0.3 + 0.7 * rarity).astype(np.float32),
        syllables=np.array([syllables(form) for form in forms], dtype=np.float32),
    )
