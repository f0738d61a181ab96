"""Where two long sequences can be cut so that each piece can be aligned on its own.

An anchor is a short run of words that occurs exactly once on both sides (the idea of patience diff: rare
runs are rarely mismatched). Taking the longest increasing chain (Fredman 1975) drops anchors that contradict
the order of the rest. Groups that lie farther off the diagonals around them than they are long are dropped
too: a heading that quotes a sentence of the story, or a repeated introduction whose copies are damaged
differently on each side. Cuts lie in the middle of agreeing runs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Indexes = npt.NDArray[np.int64]
Pair = tuple[int, int]
Block = tuple[int, int, int, int]
"""Rows [0, 1) of one side against rows [2, 3) of the other."""

PIECE = 256
"""Units between two cuts."""

BLOCK_CELLS = 4 * PIECE * PIECE
"""A block of at most this size is not cut further."""

LARGEST_BLOCK_CELLS = 4_000_000
"""A block without anchors is still aligned exactly up to this size."""

_RUNS = (3, 2, 1)
"""Lengths of runs to look for, safest first; a shorter one is used only where longer ones found no cut.

Runs longer than these are too rare in a damaged text to outvote a passage mistaken for a similar one.
"""

_DRIFT = 3
"""How many units apart the diagonals of pairs in one group may be."""


def split(left: Indexes, right: Indexes, row: int = 0, column: int = 0) -> Iterator[Block]:
    """Blocks that cover both sequences of word ids in order, small enough for exact dynamic programming.

    `row` and `column` are those of the first words.
    """
    n, m = len(left), len(right)
    if n * m <= BLOCK_CELLS:
        yield row, row + n, column, column + m
        return
    for length in _RUNS:
        cuts = _cuts(chain(_unique_pairs(left, right, length)), length)
        if cuts:
            break
    else:
        if n * m <= LARGEST_BLOCK_CELLS:
            yield row, row + n, column, column + m
            return
        cuts = [(n // 2, m // 2)]  # nothing in common: a straight line is as good as any
    i, j = 0, 0
    for next_i, next_j in [*cuts, (n, m)]:
        yield from split(left[i:next_i], right[j:next_j], row + i, column + j)
        i, j = next_i, next_j


def _unique_pairs(left: Indexes, right: Indexes, length: int) -> list[Pair]:
    """Positions of the runs of `length` words that occur once on each side, in rising order on the left."""
    ours, theirs = _hash_runs(left, length), _hash_runs(right, length)
    ours_once, ours_at = _once(ours)
    theirs_once, theirs_at = _once(theirs)
    _, a, b = np.intersect1d(ours_once, theirs_once, assume_unique=True, return_indices=True)
    pairs = np.stack([ours_at[a], theirs_at[b]], axis=1)
    return [(int(i), int(j)) for i, j in pairs[np.argsort(pairs[:, 0])]]


def _hash_runs(ids: Indexes, length: int) -> npt.NDArray[np.uint64]:
    """A polynomial hash of every run, modulo 2**64."""
    count = len(ids) - length + 1
    if count <= 0:
        return np.empty(0, dtype=np.uint64)
    hashed = np.zeros(count, dtype=np.uint64)
    for offset in range(length):
        hashed = hashed * np.uint64(0x9E3779B97F4A7C15) + ids[offset : offset + count].astype(np.uint64)
        hashed ^= hashed >> np.uint64(29)
    return hashed


def _once(values: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint64], Indexes]:
    distinct, first, count = np.unique(values, return_index=True, return_counts=True)
    return distinct[count == 1], first[count == 1]


def chain(pairs: Sequence[Pair]) -> list[Pair]:
    """The longest subsequence that rises on both sides, less the pairs that stray off the diagonal.

    `pairs` rise strictly on the left.
    """
    return _drop_strays(_longest_increasing(pairs))


def _longest_increasing(pairs: Sequence[Pair]) -> list[Pair]:
    tails: list[int] = []
    tail_at: list[int] = []
    previous = [-1] * len(pairs)
    for index, (_, j) in enumerate(pairs):
        place = bisect_left(tails, j)
        previous[index] = tail_at[place - 1] if place else -1
        if place == len(tails):
            tails.append(j)
            tail_at.append(index)
        else:
            tails[place], tail_at[place] = j, index
    found: list[Pair] = []
    index = tail_at[-1] if tail_at else -1
    while index >= 0:
        found.append(pairs[index])
        index = previous[index]
    return found[::-1]


def _drop_strays(pairs: Sequence[Pair]) -> list[Pair]:
    groups = list(_groups(pairs))
    kept: list[Pair] = []
    for index, group in enumerate(groups):
        around = [_offset(before[-1]) for before in groups[max(0, index - 1) : index]]
        around += [_offset(after[0]) for after in groups[index + 1 : index + 2]]
        if not _is_stray(group, around):
            kept += group
    return kept


def _groups(pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
    """Groups of neighbouring pairs near one diagonal."""
    group: list[Pair] = []
    for pair in pairs:
        if group and abs(_offset(pair) - _offset(group[-1])) > _DRIFT:
            yield group
            group = []
        group.append(pair)
    if group:
        yield group


def _is_stray(group: Sequence[Pair], around: Sequence[int]) -> bool:
    """Whether a group lies too far off both neighbouring diagonals, on the same side, for its size.

    At either end, where there is only one diagonal, only a single pair can be a stray.
    """
    if not around or (len(around) == 1 and len(group) > 1):
        return False
    offset = _offset(group[0])
    return max(min(around) - offset, offset - max(around)) > max(_DRIFT, len(group))


def _offset(pair: Pair) -> int:
    return pair[1] - pair[0]


def _cuts(pairs: Sequence[Pair], length: int) -> list[Pair]:
    """About one cut every PIECE units, in the middle of the longest agreeing run of each stretch."""
    best: dict[int, tuple[int, Pair]] = {}
    for i, j, run in _agreeing(pairs):
        place = i // PIECE
        if run > best.get(place, (0, (0, 0)))[0]:
            middle = (run + length - 1) // 2
            best[place] = (run, (i + middle, j + middle))
    cuts: list[Pair] = []
    for _, (_, (i, j)) in sorted(best.items()):
        if i > 0 and j > 0 and (not cuts or (i > cuts[-1][0] and j > cuts[-1][1])):
            cuts.append((i, j))
    return cuts


def _agreeing(pairs: Sequence[Pair]) -> Iterator[tuple[int, int, int]]:
    """(i, j, length) of the maximal runs of pairs that step by one on both sides."""
    start = 0
    for index in range(1, len(pairs) + 1):
        if index == len(pairs) or (pairs[index] != (pairs[index - 1][0] + 1, pairs[index - 1][1] + 1)):
            yield (*pairs[start], index - start)
            start = index
