"""The best one-to-one assignment, for pairing the speakers of a result with those of a reference.

Source: H. W. Kuhn, "The Hungarian method for the assignment problem", Naval Research Logistics Quarterly 2
(1955); here with shortest augmenting paths and potentials, O(rows² · columns).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def assign(weight: npt.NDArray[np.float64]) -> dict[int, int]:
    """Row → column with the greatest sum of weights, each row and column once; no pairs of weight 0.

    `weight` has the shape (rows, columns) and is not negative.
    """
    rows, columns = weight.shape
    if rows > columns:
        return {row: column for column, row in assign(weight.T).items()}
    row_of = _match(-weight)
    pairs = ((int(row), column) for column, row in enumerate(row_of) if row >= 0)
    return {row: column for row, column in pairs if weight[row, column] > 0}


def _match(cost: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """For every column its row, -1 for none, at the least cost; no more rows than columns."""
    rows, columns = cost.shape
    row_of = np.full(columns, -1, dtype=np.int64)
    row_potential, column_potential = np.zeros(rows), np.zeros(columns)
    for row in range(rows):
        _augment(cost, row, row_of, row_potential, column_potential)
    return row_of


def _augment(
    cost: npt.NDArray[np.float64],
    row: int,
    row_of: npt.NDArray[np.int64],
    row_potential: npt.NDArray[np.float64],
    column_potential: npt.NDArray[np.float64],
) -> None:
    """Adds one row to the matching along the shortest alternating path, and keeps the potentials feasible."""
    columns = cost.shape[1]
    distance, came_from = np.full(columns, np.inf), np.full(columns, -1, dtype=np.int64)
    visited = np.zeros(columns, dtype=np.bool_)
    current, column = row, -1
    while True:
        reduced = cost[current] - row_potential[current] - column_potential
        closer = ~visited & (reduced < distance)
        distance[closer], came_from[closer] = reduced[closer], column
        column = int(np.where(visited, np.inf, distance).argmin())
        step = distance[column]
        row_potential[[row, *row_of[visited]]] += step
        column_potential[visited] -= step
        distance[~visited] -= step
        visited[column] = True
        if row_of[column] < 0:
            break
        current = int(row_of[column])
    while column >= 0:
        before = int(came_from[column])
        row_of[column] = row_of[before] if before >= 0 else row
        column = before
