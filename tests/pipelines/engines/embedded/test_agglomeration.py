from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engines.embedded import agglomeration as clustering
from pipelines.engines.embedded.agglomeration import Labels, Matrix
from pipelines.types import SpeakerCount
from tests.benchmarks import spectral

ANY = SpeakerCount()
DIMENSIONS = 64


def pieces(sizes: list[int], seed: int = 0, noise: float = 0.7) -> tuple[Matrix, Labels]:
    """Voices around one direction per speaker, in shuffled order, and whose they are.

    With a noise of 0.7 two pieces of one speaker are at cosine 0.67 on average, and two speakers at 0.4.
    """
    rng = np.random.default_rng(seed)
    speakers = rng.normal(size=(len(sizes), DIMENSIONS)) / np.sqrt(DIMENSIONS)
    speakers += 1.0 / np.sqrt(DIMENSIONS)  # all voices have something in common
    speakers /= np.linalg.norm(speakers, axis=1, keepdims=True)
    truth = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    vectors = speakers[truth] + noise * rng.normal(size=(len(truth), DIMENSIONS)) / np.sqrt(DIMENSIONS)
    return vectors, truth


def seconds(count: int) -> Matrix:
    return np.full(count, 0.9)


def cluster(vectors: Matrix, durations: Matrix, count: SpeakerCount) -> Labels:
    """Where every piece stands alone."""
    return clustering.cluster(vectors, durations, np.arange(len(vectors)), count)


def same_partition(a: Labels, b: Labels) -> bool:
    return len(set(zip(a.tolist(), b.tolist(), strict=True))) == len(set(a.tolist())) == len(set(b.tolist()))


@pytest.mark.parametrize("sizes", [[30], [20, 20], [40, 5], [12, 30, 8], [9, 9, 9, 9, 9, 9], [200, 50, 4]])
@pytest.mark.parametrize("seed", range(3))
def test_finds_the_speakers_and_their_number(sizes: list[int], seed: int) -> None:
    vectors, truth = pieces(sizes, seed)
    assert same_partition(cluster(vectors, seconds(len(vectors)), ANY), truth)


@pytest.mark.parametrize("noise", [0.1, 0.5, 0.9])
def test_noise_does_not_change_the_number(noise: float) -> None:
    vectors, truth = pieces([25, 25, 25], noise=noise)
    assert same_partition(cluster(vectors, seconds(75), ANY), truth)


@pytest.mark.parametrize("exact", [1, 2, 3, 4, 5])
def test_honours_an_exact_number(exact: int) -> None:
    vectors, _ = pieces([30, 30, 30])
    assert set(cluster(vectors, seconds(90), SpeakerCount(exact, exact)).tolist()) == set(range(exact))


@pytest.mark.parametrize(
    ("count", "expected"),
    [(SpeakerCount(1, 2), 2), (SpeakerCount(1, 8), 3), (SpeakerCount(4), 4), (SpeakerCount(2, 3), 3)],
)
def test_honours_the_bounds(count: SpeakerCount, expected: int) -> None:
    vectors, _ = pieces([30, 30, 30])
    assert len(set(cluster(vectors, seconds(90), count).tolist())) == expected


def test_merges_the_most_alike_when_fewer_are_asked_for() -> None:
    rng = np.random.default_rng(0)
    directions = np.eye(3, DIMENSIONS)
    directions[2] = (directions[1] + 0.8 * directions[2]) / np.sqrt(1.64)  # like the second
    truth = np.repeat([0, 1, 2], 20)
    vectors = directions[truth] + 0.05 * rng.normal(size=(60, DIMENSIONS))
    found = cluster(vectors, seconds(60), SpeakerCount(1, 2))
    assert same_partition(found, np.minimum(truth, 1))


def test_gives_what_can_be_given_when_more_are_asked_for() -> None:
    vectors, _ = pieces([5])
    assert 1 <= len(set(cluster(vectors, seconds(5), SpeakerCount(9, 9)).tolist())) <= 5


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_pieces(n: int) -> None:
    vectors, _ = pieces([n])
    for count in (ANY, SpeakerCount(2, 2), SpeakerCount(3)):
        assert cluster(vectors, seconds(n), count).tolist() == [0] * n


def test_a_sound_is_nobody() -> None:
    """One piece of a third direction: too little to be a speaker, so it goes to the nearest one."""
    vectors, truth = pieces([40, 40, 1])
    found = cluster(vectors, seconds(81), ANY)
    assert same_partition(found[truth < 2], truth[truth < 2])


@pytest.mark.parametrize(("touch", "speakers"), [(True, 3), (False, 2)])
def test_somebody_speaks_for_a_while(touch: bool, speakers: int) -> None:
    """Five pieces of half a second: a turn, or the same sound in five places."""
    vectors, truth = pieces([40, 40, 5])
    order = np.argsort(truth, kind="stable")
    stretches = np.zeros(85, np.intp) if touch else np.arange(85)
    durations = np.where(truth[order] == 2, 0.5, 0.9)
    labels = clustering.cluster(vectors[order], durations, stretches, ANY)
    assert len(set(labels.tolist())) == speakers


def test_how_little_is_a_sound_grows_with_the_recording() -> None:
    vectors, _ = pieces([1000, 4])
    assert set(cluster(vectors, seconds(1004), ANY).tolist()) == {0}
    vectors, truth = pieces([60, 4])
    assert same_partition(cluster(vectors, seconds(64), ANY), truth)


def test_blocks_find_the_same_speakers(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, truth = pieces([100, 80, 60])
    monkeypatch.setattr(clustering, "BLOCK_PIECES", 50)
    assert same_partition(cluster(vectors, seconds(240), ANY), truth)


def test_blocks_of_which_nothing_is_alike_still_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "BLOCK_PIECES", 10)
    vectors = np.eye(40)
    found = cluster(vectors, seconds(40), SpeakerCount(1, 3))
    assert len(found) == 40


def test_identical_pieces_are_one_speaker() -> None:
    assert cluster(np.ones((50, 8)), seconds(50), ANY).tolist() == [0] * 50


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 30), st.integers(1, 4), st.integers(0, 4), st.integers(0, 2**32 - 1), st.integers(2, 20)
)
def test_any_vectors_get_labels_without_gaps(n: int, minimum: int, more: int, seed: int, block: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 3))
    count = SpeakerCount(minimum, minimum + more if more else 0)
    durations = rng.uniform(0.2, 1.0, n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clustering, "BLOCK_PIECES", block)
        labels = cluster(vectors, durations, count)
        louder = cluster(vectors * 8.0, durations, count)
    assert labels.shape == (n,)
    assert set(labels.tolist()) == set(range(labels.max() + 1))
    assert labels.max() < (count.maximum or n)
    assert louder.tolist() == labels.tolist()


def test_similarity_is_kept_up_to_date_as_clusters_merge() -> None:
    """The incremental merging against one that computes every ratio anew at every step."""
    vectors, _ = pieces([6, 5, 4], noise=1.2)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    merges = clustering._merge(clustering._alone(unit), -np.inf)
    groups = {i: [i] for i in range(15)}
    for ratio, (into, row) in merges:
        expected = max((debiased(unit, a, b) for i, a in groups.items() for j, b in groups.items() if i < j))
        assert ratio == pytest.approx(expected)
        assert debiased(unit, groups[into], groups[row]) == pytest.approx(expected)
        groups[into] = groups[into] + groups.pop(row)
    assert len(groups) == 1


def debiased(unit: Matrix, a: list[int], b: list[int]) -> float:
    between = np.mean([unit[i] @ unit[j] for i in a for j in b])
    return float(between / np.sqrt(inner(unit, a) * inner(unit, b)))


def inner(unit: Matrix, members: list[int]) -> float:
    cosines = [unit[i] @ unit[j] for i in members for j in members if i != j]
    prior = clustering.PRIOR_PAIRS
    return float((sum(cosines) + prior * clustering.PRIOR_COSINE) / (len(cosines) + prior))


def test_the_baseline_finds_clear_speakers() -> None:
    vectors, truth = pieces([20, 20, 20], noise=0.3)
    assert same_partition(spectral.cluster(vectors, seconds(60), np.arange(60), ANY), truth)
