"""Clustering beside pyannote.audio's own, and beyond the number of voices that it is shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engines.pyannote import clustering as module
from pipelines.engines.pyannote.clustering import NOBODY, Clusterer, Clusters, assign, heard_alone
from pipelines.engines.pyannote.embedding import Embeddings
from pipelines.engines.pyannote.folder import Recipe, load_recipe
from pipelines.engines.pyannote.imports import import_pyannote, silenced
from pipelines.engines.pyannote.segmentation import Segmentation
from pipelines.types import SpeakerCount
from tests.checkpoints.make_pyannote import CHECKPOINTS
from tests.pipelines.engines.pyannote.test_segmentation import random_segmentation, seeds, stock_feature

RECIPES = {name: load_recipe(CHECKPOINTS / name) for name in ("pyannote-vbx", "pyannote-ahc")}
ANY = SpeakerCount()
import_pyannote()


def voices(segmentation: Segmentation, seed: int, speakers: int, noise: float) -> Embeddings:
    """Embeddings around as many centres, those of a chunk around different ones if there are enough."""
    random = np.random.default_rng(seed)
    chunks, _, local = segmentation.active.shape
    centres = random.normal(size=(speakers, 256))
    who = random.random((chunks, max(speakers, local))).argsort(axis=1)[:, :local] % speakers
    return (centres[who] + noise * random.normal(size=(chunks, local, 256))).astype(np.float32)


def stock(recipe: Recipe, embeddings: Embeddings, segmentation: Segmentation, **count: Any) -> Clusters:
    """As pyannote.audio's pipeline calls its clustering."""
    from pyannote.audio.pipelines.clustering import Clustering  # noqa: PLC0415

    plda = [module.load_plda(recipe.plda)] if recipe.plda else []
    clustering = Clustering[recipe.clustering].value(*plda, metric="cosine")
    bounds = {"num_clusters": None, "min_clusters": 1, "max_clusters": np.inf, **count}
    with silenced():
        assigned, _, centroids = clustering.instantiate(dict(recipe.clustering_parameters))(
            embeddings=embeddings, segmentations=stock_feature(segmentation, segmentation.active), **bounds
        )
    assigned = assigned.astype(np.int64)
    assigned[segmentation.active.sum(axis=1) == 0] = NOBODY
    return Clusters(assigned, centroids)


@pytest.mark.parametrize("name", RECIPES)
@settings(deadline=None, max_examples=15)
@given(seed=seeds, speakers=st.integers(1, 6), noise=st.sampled_from([0.1, 0.7, 2.0]))
def test_up_to_the_cap_it_is_pyannotes(name: str, seed: int, speakers: int, noise: float) -> None:
    segmentation = random_segmentation(seed, chunks=40)
    embeddings = voices(segmentation, seed, speakers, noise)
    if not heard_alone(segmentation.active).any():
        return  # pyannote.audio takes the mean of nothing
    ours = Clusterer(RECIPES[name]).cluster(embeddings, segmentation, ANY)
    theirs = stock(RECIPES[name], embeddings, segmentation)
    assert np.array_equal(ours.assigned, theirs.assigned)
    assert np.allclose(ours.centroids, theirs.centroids, rtol=1e-6)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SpeakerCount(3, 3), {"num_clusters": 3, "min_clusters": 3, "max_clusters": 3}),
        (SpeakerCount(6, 6), {"num_clusters": 6, "min_clusters": 6, "max_clusters": 6}),
        (SpeakerCount(5), {"min_clusters": 5}),
        (SpeakerCount(1, 2), {"max_clusters": 2}),
        (SpeakerCount(2, 9), {"min_clusters": 2, "max_clusters": 9}),
        (SpeakerCount(1, 1), {"num_clusters": 1, "min_clusters": 1, "max_clusters": 1}),
    ],
)
def test_the_number_of_speakers(name: str, ours: SpeakerCount, theirs: dict[str, int]) -> None:
    segmentation = random_segmentation(1, chunks=80)
    embeddings = voices(segmentation, 1, 4, 0.2)
    clusters = Clusterer(RECIPES[name]).cluster(embeddings, segmentation, ours)
    expected = stock(RECIPES[name], embeddings, segmentation, **theirs)
    assert np.array_equal(clusters.assigned, expected.assigned)
    if name == "pyannote-vbx":  # agglomerative clustering comes as near as it can
        assert ours.minimum <= len(clusters.centroids) <= (ours.maximum or np.inf)


@pytest.mark.parametrize("name", RECIPES)
def test_beyond_the_cap_the_speakers_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    segmentation = random_segmentation(3, chunks=400)
    embeddings = voices(segmentation, 3, 5, 0.2)
    whole = Clusterer(RECIPES[name]).cluster(embeddings, segmentation, ANY)
    monkeypatch.setattr(module, "TRAINING_VOICES", 150)
    part = Clusterer(RECIPES[name]).cluster(embeddings, segmentation, ANY)
    pairs = set(zip(whole.assigned.ravel().tolist(), part.assigned.ravel().tolist(), strict=True))
    assert len(whole.centroids) == len(part.centroids) == 5
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@pytest.mark.parametrize("name", RECIPES)
def test_beyond_the_cap_no_more_is_shown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    segmentation = random_segmentation(3, chunks=400)
    shown: list[int] = []
    run = module._run

    def watch(clustering: Any, embeddings: Embeddings, active: Any, count: Any) -> Any:
        shown.append(int(heard_alone(active).sum()))
        return run(clustering, embeddings, active, count)

    monkeypatch.setattr(module, "TRAINING_VOICES", 150)
    monkeypatch.setattr(module, "_run", watch)
    Clusterer(RECIPES[name]).cluster(voices(segmentation, 3, 5, 0.2), segmentation, ANY)
    assert len(shown) == 1
    assert 100 < shown[0] < 200


@pytest.mark.parametrize("name", RECIPES)
def test_nobody_is_alone_for_long_enough(name: str) -> None:
    """pyannote.audio gives a centroid that is not a number."""
    segmentation = random_segmentation(2, chunks=3)
    segmentation.active[:] = 0
    segmentation.active[:, :4, :2] = 1
    clusters = Clusterer(RECIPES[name]).cluster(voices(segmentation, 1, 2, 0.1), segmentation, ANY)
    assert clusters.assigned.tolist() == [[0, 0, NOBODY]] * 3
    assert np.isfinite(clusters.centroids).all()


@pytest.mark.parametrize("name", RECIPES)
def test_more_speakers_are_asked_for_than_there_are_voices(name: str) -> None:
    """pyannote.audio stops with an error of scikit-learn's."""
    segmentation = random_segmentation(2, chunks=3)
    segmentation.active[:] = 0
    segmentation.active[:, :30, 0] = 1
    clusters = Clusterer(RECIPES[name]).cluster(
        voices(segmentation, 1, 3, 0.1), segmentation, SpeakerCount(9, 9)
    )
    assert len(clusters.centroids) <= 3
    assert (clusters.assigned[:, 1:] == NOBODY).all()


@settings(deadline=None, max_examples=30)
@given(seeds, st.integers(1, 5))
def test_voices_of_one_chunk_are_different_speakers_where_that_is_asked_for(seed: int, count: int) -> None:
    segmentation = random_segmentation(seed)
    embeddings = voices(segmentation, seed, 3, 0.5)
    centroids = np.random.default_rng(seed).normal(size=(count, 256))
    assigned = assign(embeddings, centroids, segmentation.speaks, constrained=True)
    for row, speaks in zip(assigned, segmentation.speaks, strict=True):
        known = row[row != NOBODY]
        assert len(set(known)) == len(known) == min(count, speaks.sum())
        assert not (set(np.flatnonzero(row != NOBODY)) - set(np.flatnonzero(speaks)))
    free = assign(embeddings, centroids, segmentation.speaks, constrained=False)
    assert np.array_equal(free == NOBODY, ~segmentation.speaks)


def test_who_is_heard_alone() -> None:
    active = np.zeros((1, 10, 3), np.uint8)
    active[0, :5, 0] = 1  # alone in 0 and 1, too short in 2 to 4
    active[0, 2:6, 1] = 1  # alone in 5
    assert heard_alone(active).tolist() == [[True, False, False]]
