"""The assignment is the best one: by trying all, and by scipy's."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipelines.scoring.assignment import assign

SMALL = arrays(
    np.float64, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=st.integers(0, 6).map(float)
)
LARGE = arrays(
    np.float64, st.tuples(st.integers(1, 25), st.integers(1, 25)), elements=st.floats(0, 1000, width=32)
)


def total(weight: npt.NDArray[np.float64]) -> float:
    pairs = assign(weight)
    assert len(set(pairs.values())) == len(pairs)
    return float(sum(weight[row, column] for row, column in pairs.items()))


@given(SMALL)
def test_none_of_all_assignments_is_better(weight: npt.NDArray[np.float64]) -> None:
    tall = weight if weight.shape[0] >= weight.shape[1] else weight.T
    columns = range(tall.shape[1])
    best = max(
        sum(tall[row, column] for row, column in zip(rows, columns, strict=True))
        for rows in permutations(range(tall.shape[0]), tall.shape[1])
    )
    assert total(weight) == best


@given(LARGE)
@settings(deadline=None)
def test_as_good_as_scipy(weight: npt.NDArray[np.float64]) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rows, columns = optimize.linear_sum_assignment(weight, maximize=True)
    assert total(weight) == pytest.approx(weight[rows, columns].sum())


def test_by_hand() -> None:
    # Taking the greatest weight first (9) would leave 0; 8 + 7 is better.
    assert assign(np.array([[9.0, 8.0], [7.0, 0.0]])) == {0: 1, 1: 0}


def test_weightless_pairs_and_empty_sides_are_left_out() -> None:
    assert assign(np.array([[0.0, 0.0], [0.0, 2.0]])) == {1: 1}
    assert assign(np.zeros((0, 3))) == {}
    assert assign(np.zeros((3, 0))) == {}
