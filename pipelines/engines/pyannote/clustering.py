"""Which of the chunks' local speakers are the same person: pyannote.audio's clustering, in bounded memory.

Here a voice is the embedding of one local speaker. Hierarchical clustering compares every voice with every
other: 0.5 GB for an hour, 4 GB for three. So it gets at most TRAINING_VOICES of them, from chunks spread
evenly over the recording. It finds the speakers' centroids, and every voice goes to the nearest one, as in
pyannote.audio. Up to that number, the result is pyannote.audio's. Beyond it, each voice used stands for those
around it that were not: the minimum cluster size shrinks, and VBx's weight of a voice grows, in proportion.
"""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipelines.engines.failures import explained
from pipelines.engines.pyannote.batches import NAME
from pipelines.engines.pyannote.embedding import Embeddings
from pipelines.engines.pyannote.folder import AGGLOMERATIVE, PLDA_FILES, VBX, Recipe
from pipelines.engines.pyannote.imports import silenced
from pipelines.engines.pyannote.segmentation import Segmentation
from pipelines.errors import ModelUnusableError, first_line
from pipelines.types import SpeakerCount

if TYPE_CHECKING:
    from pyannote.audio.core.plda import PLDA

TRAINING_VOICES = 5000
"""Their distances fill 100 MB, which clustering copies once. An hour and a half of one speaker at a time."""

LEAST_SHARE = 0.2
"""A voice is used for clustering if its speaker is alone in this share of the chunk."""

BLOCK_CHUNKS = 1000
NOBODY = -2


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """`assigned[chunk, speaker]` is a row of `centroids`, or NOBODY; shape (k, dimension), finite."""

    assigned: npt.NDArray[np.int64]
    centroids: Embeddings


class Clusterer:
    """The clustering that a recipe names."""

    def __init__(self, recipe: Recipe, density: float = 1.0) -> None:
        """`density`: the share of the recipe's chunks that are used.

        Raises ModelUnusableError for damaged PLDA files.
        """
        self._density = density
        self._kind = recipe.clustering
        self._parameters = dict(recipe.clustering_parameters)
        self._plda: Any = load_plda(recipe.plda) if recipe.plda else None

    def cluster(self, embeddings: Embeddings, segmentation: Segmentation, count: SpeakerCount) -> Clusters:
        """The clusters of `embeddings`, shape (chunks, speakers, dimension), finite."""
        alone = heard_alone(segmentation.active)
        shown = _spread(alone, TRAINING_VOICES)
        voices = int(alone[shown].sum())
        count = within(count, voices)
        speaks = segmentation.speaks
        if not voices:  # nobody is alone for long enough: one speaker
            centroids, constrained = embeddings[speaks].mean(axis=0, keepdims=True), False
        else:
            part = embeddings[shown], segmentation.active[shown]
            centroids, constrained = self._centroids(
                *part, self._density * voices / int(alone.sum()), voices, count
            )
        assigned = assign(embeddings, centroids, speaks, constrained)
        return Clusters(assigned, np.asarray(centroids, np.float32))

    def _centroids(
        self,
        embeddings: Embeddings,
        active: npt.NDArray[np.uint8],
        share: float,
        voices: int,
        count: SpeakerCount,
    ) -> tuple[npt.NDArray[Any], bool]:
        """The speakers' centroids, and whether the voices of one chunk must be different speakers."""
        clustering = self._stock(share)
        if self._kind == AGGLOMERATIVE:
            return _run(clustering, embeddings, active, count), False
        centroids = _run(clustering, embeddings, active, SpeakerCount())
        if count.minimum <= len(centroids) <= count.maximum:
            return centroids, voices > 1
        with silenced():  # K-means warns if voices are identical
            return _run(clustering, embeddings, active, count), False

    def _stock(self, share: float) -> Any:
        """pyannote.audio's clustering, adjusted for a `share` of all voices."""
        from pyannote.audio.pipelines.clustering import (  # noqa: PLC0415
            AgglomerativeClustering,
            VBxClustering,
        )

        parameters = dict(self._parameters)
        if self._kind == VBX:
            parameters["Fa"] = parameters["Fa"] / share
            return VBxClustering(self._plda, metric="cosine").instantiate(parameters)
        parameters["min_cluster_size"] = max(1, round(parameters["min_cluster_size"] * share))
        return AgglomerativeClustering(metric="cosine").instantiate(parameters)


def within(count: SpeakerCount, voices: int) -> SpeakerCount:
    """The count with both limits set: at least one speaker, and no more than there are voices."""
    return SpeakerCount(max(1, min(count.minimum, voices)), max(1, min(count.maximum or voices, voices)))


def _run(
    clustering: Any, embeddings: Embeddings, active: npt.NDArray[np.uint8], count: SpeakerCount
) -> npt.NDArray[Any]:
    """pyannote.audio's centroids."""
    from pyannote.core import SlidingWindow, SlidingWindowFeature  # noqa: PLC0415

    with explained(NAME), np.errstate(all="ignore"):
        _, _, centroids = clustering(
            embeddings=embeddings,
            segmentations=SlidingWindowFeature(active, SlidingWindow()),
            num_clusters=count.minimum if count.exact else None,
            min_clusters=count.minimum,
            max_clusters=count.maximum or math.inf,
        )
    return np.asarray(centroids)


def heard_alone(active: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Which local speakers speak alone for LEAST_SHARE of their chunk, shape (chunks, speakers)."""
    alone = np.empty((len(active), active.shape[2]), np.bool_)
    for chunk, frames in enumerate(active):
        single = frames.sum(axis=1, keepdims=True) == 1
        alone[chunk] = (frames * single).sum(axis=0) >= LEAST_SHARE * len(frames)
    return alone


def _spread(alone: npt.NDArray[np.bool_], most: int) -> npt.NDArray[np.intp]:
    """Evenly spread chunks that hold about `most` voices; all chunks if they hold no more."""
    chunks, voices = len(alone), int(alone.sum())
    if voices <= most:
        return np.arange(chunks)
    return np.linspace(0, chunks - 1, chunks * most // voices).astype(np.intp)


def assign(
    embeddings: Embeddings, centroids: npt.NDArray[Any], speaks: npt.NDArray[np.bool_], constrained: bool
) -> npt.NDArray[np.int64]:
    """The nearest centroid of every voice by cosine, NOBODY for silent speakers; shape (chunks, speakers).

    `constrained`: the voices of one chunk go to different centroids with the least total distance; if there
    are more voices than centroids, some go to NOBODY.
    """
    assigned = np.full(speaks.shape, NOBODY, np.int64)
    for start in range(0, len(embeddings), BLOCK_CHUNKS):
        block = slice(start, start + BLOCK_CHUNKS)
        closeness = _closeness(embeddings[block], centroids)
        assigned[block] = _different(closeness, speaks[block]) if constrained else closeness.argmax(axis=2)
    assigned[~speaks] = NOBODY
    return assigned


def _closeness(embeddings: Embeddings, centroids: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    from scipy.spatial.distance import cdist  # noqa: PLC0415

    chunks, speakers, dimension = embeddings.shape
    distances = cdist(embeddings.reshape(-1, dimension), centroids, metric="cosine")
    return np.asarray(2 - distances).reshape(chunks, speakers, len(centroids))


def _different(closeness: npt.NDArray[np.float64], speaks: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Different centroids for the voices of one chunk (Hungarian method), silent speakers last."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415

    closeness = np.nan_to_num(closeness, nan=float(np.nanmin(closeness)))
    closeness[~speaks] = closeness.min() - 1
    assigned = np.full(speaks.shape, NOBODY, np.int64)
    for chunk, gains in enumerate(closeness):
        speakers, clusters = linear_sum_assignment(gains, maximize=True)
        assigned[chunk, speakers] = clusters
    return assigned


def load_plda(folder: Path) -> PLDA:
    """The PLDA in a folder; its numpy files are read without pickles. Raises ModelUnusableError."""
    from pyannote.audio.core.plda import PLDA  # noqa: PLC0415

    transform, plda = (folder / name for name in PLDA_FILES)
    try:
        for file in (transform, plda):
            with zipfile.ZipFile(file) as archive:  # numpy leaves a damaged one open
                archive.testzip()
        return PLDA(transform, plda)
    except Exception as error:  # of a zip archive, numpy or linear algebra
        raise ModelUnusableError(
            f"{folder.name} is not a PLDA that pyannote.audio can use ({first_line(error)}): fetch it again."
        ) from error
