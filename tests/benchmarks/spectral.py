"""Spectral clustering with the normalised maximum eigengap, as a baseline for agglomeration.py.

Park, Han, Kumar, Narayanan, "Auto-Tuning Spectral Clustering for Speaker Diarization Using Normalized
Maximum Eigengap", IEEE Signal Processing Letters 27, 2020; the numbers of equations are that paper's.
"""

from __future__ import annotations

import numpy as np

from pipelines.engines.embedded.agglomeration import Labels, Matrix
from pipelines.types import SpeakerCount

MOST_SPEAKERS = 8
LARGEST_SHARE = 0.25  # of the pieces that may be a piece's neighbours
TRIALS = 25


def cluster(vectors: Matrix, durations: Matrix, stretches: Labels, count: SpeakerCount) -> Labels:
    """The speaker of every piece; takes and gives what `agglomeration.cluster` does."""
    n = len(vectors)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = unit @ unit.T
    most = min(count.maximum or MOST_SPEAKERS, n - 1)
    trials = np.unique(np.geomspace(2, max(3, LARGEST_SHARE * n), TRIALS).round().astype(int))
    _, neighbours, speakers = min(_trial(similarity, int(neighbours), most) for neighbours in trials)
    speakers = max(speakers, count.minimum)
    eigenvectors = np.linalg.eigh(laplacian(similarity, neighbours))[1]
    return k_means(eigenvectors[:, :speakers], speakers)


def _trial(similarity: Matrix, neighbours: int, most: int) -> tuple[float, int, int]:
    """(r(p), p, the number of speakers) for p neighbours."""
    values = np.linalg.eigvalsh(laplacian(similarity, neighbours))
    gaps = np.diff(values[: most + 1])  # eq. 7
    normalised = float(gaps.max() / (values[-1] + 1e-10))  # eq. 9
    return neighbours / (normalised + 1e-10), neighbours, int(gaps.argmax()) + 1  # eq. 10


def laplacian(similarity: Matrix, neighbours: int) -> Matrix:
    """Of the graph that joins each piece to its nearest neighbours."""
    n = len(similarity)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :neighbours]
    graph = np.zeros((n, n))
    np.put_along_axis(graph, nearest, 1.0, axis=1)
    graph = (graph + graph.T) / 2  # eq. 4
    return np.asarray(np.diag(graph.sum(axis=1)) - graph)  # eq. 5 and 6


def k_means(points: Matrix, k: int, rounds: int = 50) -> Labels:
    """Lloyd's algorithm from the points farthest apart: deterministic."""
    centres = [int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmax())]
    distances = ((points - points[centres[0]]) ** 2).sum(axis=1)
    while len(centres) < k:
        centres.append(int(distances.argmax()))
        distances = np.minimum(distances, ((points - points[centres[-1]]) ** 2).sum(axis=1))
    means = points[centres]
    for _ in range(rounds):
        labels = ((points[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
        means = np.stack(
            [points[labels == j].mean(axis=0) if (labels == j).any() else means[j] for j in range(k)]
        )
    return np.asarray(labels, dtype=np.intp)
