"""The cheapest way to edit one sequence into another: exact dynamic programming with affine gaps.

Method: Gotoh, "An improved algorithm for matching biological sequences", 1982, one row of the table at a
time. Both ends of a gap have a cost, which may differ from place to place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Pairs = npt.NDArray[np.int64]

_NEVER = np.float32(-np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class Gaps:
    """The costs of skipping elements of a sequence of n: skip[i] for element i, edge[i] for a gap that
    begins or ends between i - 1 and i. Shapes (n,) and (n + 1,).
    """

    skip: Floats
    edge: Floats

    def cut(self, start: int, end: int) -> Gaps:
        return Gaps(self.skip[start:end], self.edge[start : end + 1])


def best_pairs(score: Floats, rows: Gaps, columns: Gaps) -> Pairs:
    """The pairs (row, column), both rising, with the greatest sum of score[row, column] less gap costs.

    score: (n, m). Returns shape (k, 2). Time and memory O(n m).
    """
    if 0 in score.shape:
        return np.empty((0, 2), dtype=np.int64)
    if score.shape[0] > score.shape[1]:  # the table is filled row by row: few long rows are faster
        return best_pairs(score.T, columns, rows)[:, ::-1]
    return _trace(*_fill(score, rows, columns), rows, columns)


def _fill(score: Floats, rows: Gaps, columns: Gaps) -> tuple[Floats, Floats, Floats]:
    """The best sums that end in a pair, a skipped row or a skipped column; each (n + 1, m + 1)."""
    n, m = score.shape
    pair, down, across = (np.full((n + 1, m + 1), _NEVER, dtype=np.float32) for _ in range(3))
    pair[0, 0] = 0.0
    ahead = np.concatenate([np.zeros(1, np.float32), np.cumsum(columns.skip, dtype=np.float32)])
    for i in range(n + 1):
        if i:
            closed = np.maximum(down[i - 1] - rows.edge[i - 1], across[i - 1] - columns.edge)
            arrived = np.maximum(pair[i - 1], closed)
            pair[i, 1:] = score[i - 1] + arrived[:-1]
            opened = np.maximum(pair[i - 1], across[i - 1] - columns.edge) - rows.edge[i - 1]
            down[i] = np.maximum(down[i - 1], opened) - rows.skip[i - 1]
        before = np.maximum(pair[i], down[i] - rows.edge[i]) - columns.edge
        # a gap of any length at once: its cost is a difference of prefix sums
        across[i, 1:] = np.maximum.accumulate(before + ahead)[:-1] - ahead[1:]
    return pair, down, across


def _trace(pair: Floats, down: Floats, across: Floats, rows: Gaps, columns: Gaps) -> Pairs:
    i, j = pair.shape[0] - 1, pair.shape[1] - 1
    found: list[tuple[int, int]] = []
    state = _best(pair[i, j], down[i, j] - rows.edge[i], across[i, j] - columns.edge[j])
    while i > 0 or j > 0:
        if state == 0:
            i, j = i - 1, j - 1
            found.append((i, j))
            state = _best(pair[i, j], down[i, j] - rows.edge[i], across[i, j] - columns.edge[j])
        elif state == 1:
            i -= 1
            opening = rows.edge[i]
            state = _best(pair[i, j] - opening, down[i, j], across[i, j] - columns.edge[j] - opening)
        else:
            j -= 1
            opening = columns.edge[j]
            state = _best(pair[i, j] - opening, down[i, j] - rows.edge[i] - opening, across[i, j])
    return np.array(found[::-1], dtype=np.int64).reshape(-1, 2)


def _best(pair: np.float32, down: np.float32, across: np.float32) -> int:
    """The index of the greatest, 0, 1 or 2; a pair wins ties."""
    if pair >= down and pair >= across:
        return 0
    return 1 if down >= across else 2
