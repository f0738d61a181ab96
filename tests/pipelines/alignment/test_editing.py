"""Alignment of one block: against every possible one, against a plain Gotoh, and drawn by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.alignment.editing import Floats, Gaps, Pairs, best_pairs

Problem = tuple[Floats, Gaps, Gaps]


def as_floats(values: Sequence[object]) -> Floats:
    return np.array(values, dtype=np.float32)


def level(count: int, skip: float, edge: float) -> Gaps:
    """The same costs everywhere."""
    return Gaps(np.full(count, skip, np.float32), np.full(count + 1, edge, np.float32))


@st.composite
def problems(draw: st.DrawFn, most: int = 5) -> Problem:
    """Eighths are exact in binary, so that equal sums are equal."""
    rows, columns = draw(st.integers(1, most)), draw(st.integers(1, most))
    eighths = st.integers(-8, 8).map(lambda number: number / 8)
    costs = st.integers(0, 8).map(lambda number: number / 8)

    def numbers(source: st.SearchStrategy[float], count: int) -> Floats:
        return as_floats(draw(st.lists(source, min_size=count, max_size=count)))

    score = numbers(eighths, rows * columns).reshape(rows, columns)
    gaps = [Gaps(numbers(costs, count), numbers(costs, count + 1)) for count in (rows, columns)]
    return score, gaps[0], gaps[1]


def value(pairs: Sequence[tuple[int, int]], problem: Problem) -> float:
    """What the pairs earn, less what the gaps between them cost, by the definition."""
    score, rows, columns = problem
    earned = sum(float(score[i, j]) for i, j in pairs)
    return earned - gap_costs([i for i, _ in pairs], rows) - gap_costs([j for _, j in pairs], columns)


def gap_costs(kept: Sequence[int], gaps: Gaps) -> float:
    return sum(
        float(gaps.skip[before + 1 : after].sum() + gaps.edge[before + 1] + gaps.edge[after])
        for before, after in pairwise([-1, *kept, len(gaps.skip)])
        if after > before + 1
    )


def every_alignment(rows: int, columns: int) -> Iterator[list[tuple[int, int]]]:
    for size in range(min(rows, columns) + 1):
        for ours in combinations(range(rows), size):
            for theirs in combinations(range(columns), size):
                yield list(zip(ours, theirs, strict=True))


def plain_gotoh(problem: Problem) -> float:
    """The greatest value, cell by cell: Gotoh 1982, with every transition written out."""
    n, m = problem[0].shape
    score: list[list[float]] = problem[0].tolist()
    row_skip, row_edge = as_numbers(problem[1])
    column_skip, column_edge = as_numbers(problem[2])
    pair, down, across = ([[float("-inf")] * (m + 1) for _ in range(n + 1)] for _ in range(3))

    def arrive(i: int, j: int) -> float:
        return max(pair[i][j], down[i][j] - row_edge[i], across[i][j] - column_edge[j])

    pair[0][0] = 0.0
    for i, j in product(range(n + 1), range(m + 1)):
        if i and j:
            pair[i][j] = score[i - 1][j - 1] + arrive(i - 1, j - 1)
        if i:
            opened = max(pair[i - 1][j], across[i - 1][j] - column_edge[j]) - row_edge[i - 1]
            down[i][j] = max(down[i - 1][j], opened) - row_skip[i - 1]
        if j:
            opened = max(pair[i][j - 1], down[i][j - 1] - row_edge[i]) - column_edge[j - 1]
            across[i][j] = max(across[i][j - 1], opened) - column_skip[j - 1]
    return arrive(n, m)


def as_numbers(gaps: Gaps) -> tuple[list[float], list[float]]:
    return gaps.skip.tolist(), gaps.edge.tolist()


def as_list(pairs: Pairs) -> list[tuple[int, int]]:
    return [(int(i), int(j)) for i, j in pairs]


# --------------------------------------------------------------------------- by hand


def test_equal_sequences_pair_one_to_one() -> None:
    assert as_list(best_pairs(np.eye(4, dtype=np.float32), level(4, 1, 1), level(4, 1, 1))) == [
        (0, 0),
        (1, 1),
        (2, 2),
        (3, 3),
    ]


def test_a_word_too_many_is_left_out() -> None:
    #    a b c          a x b c
    score = as_floats([[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert as_list(best_pairs(score, level(3, 0.1, 0.1), level(4, 0.1, 0.1))) == [(0, 0), (1, 2), (2, 3)]


def test_one_long_gap_is_cheaper_than_two_short_ones() -> None:
    #   rows       a         b                    pairing a with the first x would
    #   columns    a   x x   b     not   a x ...  leave two gaps: edges are paid twice
    score = as_floats([[1, 0, 0.9, 0], [0, 0, 0, 1]])
    assert as_list(best_pairs(score, level(2, 0.1, 0.5), level(4, 0.1, 0.5))) == [(0, 0), (1, 3)]


def test_a_gap_goes_where_its_edges_are_cheap() -> None:
    #   rows      he  said  he  said  so      "he said" was written twice and said once;
    #   columns           he  said    so      a line ends after the first: that copy is dropped
    score = as_floats([[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    cheap_first, cheap_last = level(5, 0.1, 0.5), level(5, 0.1, 0.5)
    cheap_first.edge[[0, 2]] = 0.1
    cheap_last.edge[[2, 4]] = 0.1
    columns = level(3, 0.1, 0.5)
    assert as_list(best_pairs(score, cheap_first, columns)) == [(2, 0), (3, 1), (4, 2)]
    assert as_list(best_pairs(score, cheap_last, columns)) == [(0, 0), (1, 1), (4, 2)]


def test_a_bad_pair_is_taken_only_where_gaps_cost_more() -> None:
    score = as_floats([[-1]])
    assert as_list(best_pairs(score, level(1, 0.1, 0.1), level(1, 0.1, 0.1))) == []
    assert as_list(best_pairs(score, level(1, 0.6, 0), level(1, 0.6, 0))) == [(0, 0)]


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (0, 3), (3, 0)])
def test_an_empty_side_has_no_pairs(rows: int, columns: int) -> None:
    pairs = best_pairs(np.zeros((rows, columns), np.float32), level(rows, 1, 1), level(columns, 1, 1))
    assert pairs.shape == (0, 2)


@pytest.mark.parametrize("cost", [1e3, 1e6, 1e10, 1e30])
def test_costs_of_any_size_leave_one_gap_where_there_must_be_one(cost: float) -> None:
    score = np.full((3, 5), -1.0, dtype=np.float32)
    pairs = as_list(best_pairs(score, level(3, cost, cost), level(5, cost, cost)))
    assert [i for i, _ in pairs] == [0, 1, 2]
    assert sum(after > before + 1 for before, after in pairwise([-1, *(j for _, j in pairs), 5])) == 1


def test_the_costs_of_a_block_are_those_of_its_place() -> None:
    #   elements    0   1   2   3       skip of each
    #   places    0   1   2   3   4     edge between two, and at either end
    cut = Gaps(as_floats([10, 11, 12, 13]), as_floats([20, 21, 22, 23, 24])).cut(1, 3)
    assert (cut.skip.tolist(), cut.edge.tolist()) == ([11, 12], [21, 22, 23])


def test_few_words_are_found_in_a_very_long_text() -> None:
    places = [7, 8, 60_000, 99_999]
    score = np.full((4, 100_000), -0.5, dtype=np.float32)
    score[range(4), places] = 1.0
    rows, columns = level(4, 0.15, 0.3), level(100_000, 0.15, 0.1)
    assert as_list(best_pairs(score, rows, columns)) == list(enumerate(places))
    assert as_list(best_pairs(score.T, columns, rows)) == [(place, i) for i, place in enumerate(places)]


# --------------------------------------------------------------------------- for any input


@given(problems(most=4))
@settings(deadline=None, max_examples=150)
def test_no_other_alignment_is_better(problem: Problem) -> None:
    found = value(as_list(best_pairs(*problem)), problem)
    assert found == max(value(pairs, problem) for pairs in every_alignment(*problem[0].shape))


@given(problems(most=7))
@settings(deadline=None, max_examples=100)
def test_the_value_is_that_of_a_plain_gotoh(problem: Problem) -> None:
    assert value(as_list(best_pairs(*problem)), problem) == plain_gotoh(problem)


@given(problems(most=7))
@settings(deadline=None, max_examples=50)
def test_pairs_rise_on_both_sides(problem: Problem) -> None:
    pairs = as_list(best_pairs(*problem))
    assert all(i < k and j < m for (i, j), (k, m) in pairwise(pairs))
    assert all(0 <= i < problem[0].shape[0] and 0 <= j < problem[0].shape[1] for i, j in pairs)


@given(problems(most=7))
@settings(deadline=None, max_examples=50)
def test_the_sides_can_change_places(problem: Problem) -> None:
    score, rows, columns = problem
    turned = [(i, j) for j, i in as_list(best_pairs(np.ascontiguousarray(score.T), columns, rows))]
    assert value(turned, problem) == value(as_list(best_pairs(*problem)), problem)
