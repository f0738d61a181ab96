"""Which pieces of speech are one speaker's, and how many speakers there are.

Agglomerative clustering by debiased similarity. The embedding of each piece is noisy, so two pieces of one
speaker are not at cosine 1 but at, say, 0.7, and plain average linkage with a fixed threshold confuses "two
speakers" with "noisy pieces". Here the mean cosine between two clusters is divided by the mean cosine inside
them, without the pairs of a piece with itself. For two halves of one speaker that ratio is about 1, however
noisy or few the pieces are: the correction for attenuation of Spearman, "The Proof and Measurement of
Association between Two Things", American Journal of Psychology 15, 1904. One threshold on it serves both
quiet studios and telephones.

The clusters with the largest ratio are merged until no ratio reaches SAME_SPEAKER. docs/accuracy.md compares
this with spectral clustering by the normalised maximum eigengap (Park et al. 2020).

The ratio needs only the size of a cluster and the sum of its vectors. So a long recording is clustered in
blocks, and then the blocks' clusters, in memory that grows linearly with the length of the recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.types import SpeakerCount

Matrix = npt.NDArray[np.float64]
Labels = npt.NDArray[np.intp]
Merge = tuple[float, tuple[int, int]]
"""The ratio of two clusters when they were merged, and (the row they have now, the row removed)."""

SAME_SPEAKER = 0.87
"""Two halves of one reader gave 0.90 or more, two readers 0.86 or less (22 readers of LibriSpeech)."""

PRIOR_COSINE = 0.56
PRIOR_PAIRS = 8.0
"""The cosine assumed inside a cluster while it has few pairs to measure, and its weight in pairs."""

SMALLEST_SPEAKER = 1.0
SMALLEST_SPEAKER_SHARE = 0.005
LARGEST_SMALLEST_SPEAKER = 10.0
SHORTEST_TURN = 0.8
"""A speaker has at least this share of all speech, within these bounds in seconds, and speaks at least once
for SHORTEST_TURN without interruption. Other clusters are sounds, not speakers: in ten minutes one person
says "and" often enough to make a cluster of it, but never twice in a row."""

BLOCK_PIECES = 1200


@dataclass(frozen=True, slots=True)
class _Speech:
    """Piece i lasts durations[i] seconds; it touches the next one if both belong to one stretch."""

    durations: Matrix
    stretches: Labels

    @property
    def smallest_speaker(self) -> float:
        share = SMALLEST_SPEAKER_SHARE * float(self.durations.sum())
        return min(max(SMALLEST_SPEAKER, share), LARGEST_SMALLEST_SPEAKER)

    def is_somebody(self, pieces: Sequence[int]) -> bool:
        """Whether these pieces are enough for a speaker."""
        rows = np.sort(np.asarray(pieces, np.intp))
        apart = (np.diff(rows) != 1) | (np.diff(self.stretches[rows]) != 0)
        starts = np.flatnonzero(np.concatenate([[True], apart]))
        turns = np.add.reduceat(self.durations[rows], starts)
        return bool(turns.sum() >= self.smallest_speaker and turns.max() >= SHORTEST_TURN)


@dataclass(slots=True)
class _Clusters:
    """Row i: the sum of the unit vectors of cluster i, their number, and which pieces they are."""

    sums: Matrix
    sizes: Matrix
    members: list[list[int]]

    def take(self, rows: Sequence[int]) -> _Clusters:
        kept = list(rows)
        return _Clusters(self.sums[kept], self.sizes[kept], [self.members[row] for row in kept])

    def merge(self, into: int, row: int) -> None:
        self.sums[into] += self.sums[row]
        self.sizes[into] += self.sizes[row]
        self.members[into] = self.members[into] + self.members[row]


def cluster(vectors: Matrix, durations: Matrix, stretches: Labels, count: SpeakerCount) -> Labels:
    """The speaker of every piece of speech, 0 up to k - 1, shape (n,).

    `vectors`, shape (n, d): one embedding per piece, of any length but 0, in order of time. `durations`,
    shape (n,): seconds. `stretches`, shape (n,): pieces that touch belong to one stretch.
    k lies within `count` if the pieces allow it; it is smaller if there are fewer clusters that could be
    speakers.
    """
    if len(vectors) == 0:
        return np.empty(0, np.intp)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    speech = _Speech(durations, stretches)
    pieces = _reduce(_alone(unit))
    return _assign(unit, _at_level(pieces, _merge(pieces, -np.inf), count, speech), speech)


def _alone(unit: Matrix) -> _Clusters:
    """Each piece as a cluster of its own."""
    return _Clusters(unit.copy(), np.ones(len(unit)), [[i] for i in range(len(unit))])


def _reduce(pieces: _Clusters) -> _Clusters:
    """Clusters the pieces in blocks until one block holds them; if that stops helping, keeps the largest."""
    while len(pieces.sizes) > BLOCK_PIECES:
        found: list[_Clusters] = []
        for start in range(0, len(pieces.sizes), BLOCK_PIECES):
            block = pieces.take(range(start, min(start + BLOCK_PIECES, len(pieces.sizes))))
            found.append(_replay(block, [pair for _, pair in _merge(block, SAME_SPEAKER)]))
        joined = _concatenate(found)
        if len(joined.sizes) > 0.8 * len(pieces.sizes):
            return joined.take(np.sort(np.argsort(-joined.sizes, kind="stable")[:BLOCK_PIECES]).tolist())
        pieces = joined
    return pieces


def _concatenate(parts: Sequence[_Clusters]) -> _Clusters:
    return _Clusters(
        np.concatenate([part.sums for part in parts]),
        np.concatenate([part.sizes for part in parts]),
        [members for part in parts for members in part.members],
    )


def _inner_cosine(sums: Matrix, sizes: Matrix) -> Matrix:
    """Mean cosine of the pairs inside each cluster, pulled towards PRIOR_COSINE while there are few."""
    pair_sum = (sums**2).sum(axis=-1) - sizes  # of unit vectors, without each one's pair with itself
    pairs = sizes * (sizes - 1)
    return np.asarray(np.maximum(pair_sum + PRIOR_PAIRS * PRIOR_COSINE, 1e-6) / (pairs + PRIOR_PAIRS))


def _ratios(clusters: _Clusters, row: int, inner: Matrix) -> Matrix:
    """The debiased similarity of one cluster to every other."""
    cosine = clusters.sums @ clusters.sums[row] / (clusters.sizes * clusters.sizes[row])
    return np.asarray(cosine / np.sqrt(inner * inner[row]))


def _merge(pieces: _Clusters, threshold: float) -> list[Merge]:
    """All merges in order, while the largest ratio reaches `threshold`; leaves `pieces` unchanged."""
    clusters = pieces.take(range(len(pieces.sizes)))
    inner = _inner_cosine(clusters.sums, clusters.sizes)
    ratio = np.stack([_ratios(clusters, row, inner) for row in range(len(inner))])
    np.fill_diagonal(ratio, -np.inf)
    nearest = ratio.argmax(axis=1)
    best = ratio.max(axis=1)
    merges: list[Merge] = []
    while len(merges) < len(inner) - 1 and best.max() >= threshold:
        a = int(best.argmax())
        into, row = sorted((a, int(nearest[a])))
        merges.append((float(best[a]), (into, row)))
        clusters.merge(into, row)
        inner[into] = _inner_cosine(clusters.sums[into], clusters.sizes[into])
        _update(ratio, nearest, best, _ratios(clusters, into, inner), (into, row))
    return merges


def _update(ratio: Matrix, nearest: Labels, best: Matrix, fresh: Matrix, merged: tuple[int, int]) -> None:
    """Enters the merged cluster's similarities and strikes out the removed row."""
    into, row = merged
    fresh = np.where(np.isneginf(ratio[into]), -np.inf, fresh)  # itself, and those struck before
    ratio[into] = ratio[:, into] = fresh
    ratio[row] = ratio[:, row] = -np.inf
    stale = np.flatnonzero(np.isin(nearest, merged) | (fresh > best))
    stale = np.union1d(stale, merged)
    nearest[stale] = ratio[stale].argmax(axis=1)
    best[stale] = ratio[stale].max(axis=1)


def _replay(pieces: _Clusters, merges: Sequence[tuple[int, int]]) -> _Clusters:
    clusters = pieces.take(range(len(pieces.sizes)))
    for into, row in merges:
        clusters.merge(into, row)
    gone = {row for _, row in merges}
    return clusters.take([row for row in range(len(clusters.sizes)) if row not in gone])


def _at_level(pieces: _Clusters, merges: Sequence[Merge], count: SpeakerCount, speech: _Speech) -> _Clusters:
    """The clusters after the merges above the threshold, or more or fewer if `count` requires it."""
    speakers = _speakers_per_level(pieces, [pair for _, pair in merges], speech)
    level = next((i for i, (ratio, _) in enumerate(merges) if ratio < SAME_SPEAKER), len(merges))
    while count.maximum and speakers[level] > count.maximum:
        level += 1
    if speakers[level] < count.minimum:
        wanted = min(count.minimum, max(speakers))
        level = max(i for i, k in enumerate(speakers) if k >= wanted)
    return _replay(pieces, [pair for _, pair in merges[:level]])


def _speakers_per_level(pieces: _Clusters, merges: Sequence[tuple[int, int]], speech: _Speech) -> list[int]:
    """The number of clusters that are speakers after 0, 1, 2, … merges."""
    clusters = pieces.take(range(len(pieces.sizes)))
    somebody = [speech.is_somebody(members) for members in clusters.members]
    speakers = [sum(somebody)]
    for into, row in merges:
        clusters.merge(into, row)
        before = somebody[into] + somebody[row]
        somebody[into], somebody[row] = speech.is_somebody(clusters.members[into]), False
        speakers.append(speakers[-1] - before + somebody[into])
    return speakers


def _assign(unit: Matrix, clusters: _Clusters, speech: _Speech) -> Labels:
    """Assigns every piece to the nearest speaker, which for nearly all is the cluster they are in."""
    rows = [row for row, members in enumerate(clusters.members) if speech.is_somebody(members)]
    centroids = clusters.sums[rows or [int(clusters.sizes.argmax())]]
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    nearest = (unit @ centroids.T).argmax(axis=1)
    return np.asarray(np.unique(nearest, return_inverse=True)[1], dtype=np.intp)  # without gaps
