"""Where two sequences are cut: never through a match, never into pieces too large to align."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain as joined
from itertools import combinations, pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.alignment import anchors
from pipelines.alignment.anchors import LARGEST_BLOCK_CELLS, PIECE, Block, Pair, chain, split
from pipelines.alignment.comparison import compare
from tests.benchmarks.generator import generate

VOCABULARY = 3000
SEEDS = range(5)


@contextmanager
def small_blocks() -> Iterator[None]:
    """Blocks small enough for short sequences to be cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anchors, "PIECE", 4)
        patch.setattr(anchors, "BLOCK_CELLS", 12)
        patch.setattr(anchors, "LARGEST_BLOCK_CELLS", 40)
        yield


def blocks_of(left: Sequence[int], right: Sequence[int]) -> list[Block]:
    return list(split(np.array(left, dtype=np.int64), np.array(right, dtype=np.int64)))


def cuts_of(left: Sequence[int], right: Sequence[int]) -> list[Pair]:
    """The inner corners of the blocks."""
    return [(bottom, end) for _, bottom, _, end in blocks_of(left, right)[:-1]]


def cells(blocks: Sequence[Block]) -> int:
    return sum((bottom - top) * (end - start) for top, bottom, start, end in blocks)


def speak(random: Random, count: int) -> list[int]:
    """Word ids as often as words are: the k-th most frequent 1/k as often as the first."""
    weights = [1 / rank for rank in range(1, VOCABULARY + 1)]
    return random.choices(range(VOCABULARY), weights, k=count)


def mishear(random: Random, said: Sequence[int], rate: float) -> tuple[list[int], list[int]]:
    """Words heard, and the place in `said` of each, -1 for a word that nobody said."""
    heard: list[int] = []
    place: list[int] = []
    for index, word in enumerate(said):
        damage = random.random() / rate
        if damage >= 1:
            texts, places = [word], [index]
        else:
            texts, places = random.choice(
                [([], []), ([random.randrange(VOCABULARY)], [index]), ([0, word], [-1, index])]
            )
        heard += texts
        place += places
    return heard, place


# --------------------------------------------------------------------------- any two sequences


@given(st.lists(st.integers(0, 30), max_size=60), st.lists(st.integers(0, 30), max_size=60))
@settings(deadline=None, max_examples=200)
def test_blocks_cover_both_sides_in_order(left: list[int], right: list[int]) -> None:
    with small_blocks():
        blocks = blocks_of(left, right)
    assert (blocks[0][0], blocks[0][2]) == (0, 0)
    assert (blocks[-1][1], blocks[-1][3]) == (len(left), len(right))
    assert all(before[1] == after[0] and before[3] == after[2] for before, after in pairwise(blocks))
    assert all(top <= bottom and start <= end for top, bottom, start, end in blocks)
    assert all(cells([block]) <= 40 for block in blocks)


@given(st.permutations(range(60)), st.integers(0, 59), st.integers(0, 10))
@settings(deadline=None, max_examples=50)
def test_equal_sequences_with_a_hole_are_cut_through_matches(said: list[int], start: int, size: int) -> None:
    heard = said[:start] + said[start + size :]
    with small_blocks():
        cuts = cuts_of(said, heard)
    assert cuts
    assert all(said[i] == heard[j] for i, j in cuts if j < len(heard))


@given(st.lists(st.integers(0, 3), max_size=9))
@settings(deadline=None)
def test_a_chain_is_the_longest_that_rises(offsets: list[int]) -> None:
    pairs = [(i, i + offset) for i, offset in enumerate(offsets)]  # all near one diagonal: no strays
    found = chain(pairs)
    rising = joined.from_iterable(combinations(pairs, size) for size in range(len(pairs) + 1))
    assert set(found) <= set(pairs)
    assert rises(found)
    assert len(found) == max(len(candidate) for candidate in rising if rises(candidate))


def rises(pairs: Sequence[Pair]) -> bool:
    return all(i < k and j < m for (i, j), (k, m) in pairwise(pairs))


def diagonal(start: int, end: int, offset: int) -> list[Pair]:
    return [(i, i + offset) for i in range(start, end)]


def test_a_pair_far_off_both_neighbours_is_no_anchor() -> None:
    # The pair in the middle rises like the others, but 40 words were heard before it and none behind.
    assert chain([*diagonal(0, 5, 0), (20, 60), *diagonal(90, 95, 0)]) == [
        *diagonal(0, 5, 0),
        *diagonal(90, 95, 0),
    ]


def test_a_passage_mistaken_for_another_like_it_is_no_anchor() -> None:
    #   text     ─ a ──────────────── a′ ─    Both said and written twice; enough was damaged in a of the
    #   heard    ─ a ──────────────── a′ ─    text and in a′ of the speech that a′ fits a best.
    astray = diagonal(200, 205, -180)
    assert chain([*diagonal(0, 9, 0), *astray, *diagonal(210, 219, 0)]) == [
        *diagonal(0, 9, 0),
        *diagonal(210, 219, 0),
    ]


def test_text_that_is_missing_shifts_all_that_follows() -> None:
    shifted = [*diagonal(0, 5, 0), *diagonal(5, 8, 40), *diagonal(60, 63, 45), *diagonal(80, 90, 90)]
    assert chain(shifted) == shifted


def test_a_long_passage_is_no_stray() -> None:
    # 20 words missing from the text in front of it, 20 unspoken ones behind it.
    passage = [*diagonal(0, 5, 0), *diagonal(5, 45, 20), *diagonal(65, 70, 0)]
    assert chain(passage) == passage


# --------------------------------------------------------------------------- texts


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rate", [0.01, 0.2, 0.4])
def test_cuts_lie_on_words_that_were_heard_as_said(seed: int, rate: float) -> None:
    random = Random(seed)
    said = speak(random, 4000)
    heard, place = mishear(random, said, rate)
    cuts = cuts_of(said, heard)
    assert len(cuts) >= 5
    assert [place[j] for _, j in cuts] == [i for i, _ in cuts]


@pytest.mark.parametrize(
    ("seed", "speakers", "damage"), [(3016, 3, 0.2), (2012, 3, 0.3), (3041, 4, 0.3), (3054, 5, 0.4)]
)
def test_cuts_stay_inside_one_turn_of_a_damaged_interview(seed: int, speakers: int, damage: float) -> None:
    """The interviews end as they began: the same introduction, said and written twice."""
    interview = generate(seed, speakers=speakers, damage=damage)
    supplied, heard, _ = compare(interview.supplied.tokens, interview.heard.words, "en")
    cuts = [(bottom, end) for _, bottom, _, end in split(supplied.ids, heard.ids)][:-1]
    assert cuts
    for i, j in cuts:
        turn = next(truth.turn for truth in interview.truth[supplied.owner[i] :] if truth.turn is not None)
        spoken = interview.utterances[turn]
        assert spoken.start - 1 <= interview.heard.words[heard.owner[j]].start <= spoken.end + 1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_heading_that_quotes_a_later_sentence_is_no_anchor(seed: int) -> None:
    """
    said       ────────────────────── quote ─────
    written    ─────── quote ────────────────────
    """
    random = Random(seed)
    before, between, after = speak(random, 900), speak(random, 600), speak(random, 600)
    quote = list(range(VOCABULARY, VOCABULARY + 8))
    said = before + between + quote + after
    for written in (before + quote + between + after, before + quote + between + quote + after):
        cuts = cuts_of(written, said)
        assert cuts
        assert all(written[i] == said[j] for i, j in cuts)
        assert all(i - j in (0, len(quote)) for i, j in cuts if i != 900)
        assert not [i for i, _ in cuts if 900 < i < 900 + len(quote)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("written_twice", [True, False])
def test_an_introduction_said_twice_does_not_lead_astray(seed: int, written_twice: bool) -> None:
    """
    said       intro ────────── intro ──────────
    written    intro ────────── intro ──────────   or   ────────── intro ──────────
    """
    random = Random(seed)
    introduction, first, second = speak(random, 40), speak(random, 1500), speak(random, 1500)
    said = introduction + first + introduction + second
    written = said if written_twice else said[len(introduction) :]
    cuts = cuts_of(written, said)
    assert cuts
    assert {j - i for i, j in cuts} == {len(said) - len(written)}


# --------------------------------------------------------------------------- cost


@pytest.mark.parametrize("words", [2_000, 20_000, 60_000])
def test_the_work_grows_with_the_length_only(words: int) -> None:
    random = Random(words)
    said = speak(random, words)
    heard, _ = mishear(random, said, 0.2)
    assert cells(blocks_of(said, heard)) <= 4 * PIECE * words


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([7] * 20_000, [7] * 18_000),  # "the the the …"
        ([7, 8] * 10_000, [8, 7] * 9_000),
        (range(20_000), range(20_000, 40_000)),  # a text of another recording
        (range(20_000), range(20_000, 0, -1)),
        ([7] * 30, [7] * 400_000),
        ([7] * 400_000, [7] * 30),
    ],
)
def test_hopeless_input_is_cut_into_bounded_blocks(left: Sequence[int], right: Sequence[int]) -> None:
    blocks = blocks_of(left, right)
    assert all(cells([block]) <= LARGEST_BLOCK_CELLS for block in blocks)
    assert cells(blocks) <= 2 * LARGEST_BLOCK_CELLS**0.5 * (len(left) + len(right))


def test_what_has_nothing_in_common_is_cut_along_a_straight_line() -> None:
    cuts = cuts_of(range(9000), range(10_000, 16_000))
    assert cuts
    assert all(abs(j - i * 6000 / 9000) <= 2 for i, j in cuts)
