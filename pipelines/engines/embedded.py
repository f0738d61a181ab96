"""The embedded diarizer: speech cut at its quietest places, a d-vector for every piece, and clustering.

Where it is good: close microphones (studio, telephone, headset) and turns over about 1.5 s; a shorter
answer is found where a pause stands on both sides. Where it is not: far-field meetings, where the room
drowns the voice and the result is no better than one speaker for all; two people at once, of whom one is
named; voices that only a trained ear tells apart. Take pyannote for those.

    speech   ├────────────────────────────┤      ├─────────┤
    pieces   ├───┼────┼──┼─────┼────┼─────┤      ├────┼────┤     cut at the quietest place, 0.25 to 1 s long
    own      ├───┤                                               a voice from the piece alone: sharp
    context ├────────┤                                           and from 1.6 s around it: sure
    speaker  └─ 1 ──────┘└─ 2 ────────────┘      └─ 2 ─────┘
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from itertools import islice, pairwise

import numpy as np
import numpy.typing as npt

from pipelines import models
from pipelines.clustering import Labels, Matrix, cluster
from pipelines.engines.base import Progress, no_progress
from pipelines.engines.dvector import (
    DIMENSIONS,
    HOP_SAMPLES,
    WINDOW_FRAMES,
    Array,
    VoiceEncoder,
    fill_window,
    mel_power,
)
from pipelines.types import SAMPLE_RATE, Audio, Diarization, EngineInfo, Span, SpeakerCount, SpeakerSegment

FRAME_SECONDS = HOP_SAMPLES / SAMPLE_RATE
LONGEST_PIECE_FRAMES = 100
SHORTEST_PIECE_FRAMES = 25
SMOOTHING_FRAMES = 7
BATCH_PIECES = 128

CHANGE_COST = 0.02
"""What one more change of speaker must gain, in seconds times cosine."""
JOINED_PAUSE = 0.3
"""One speaker's segments are one segment across a pause up to this."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A short stretch, at best one speaker's; own and context: mel power, shape (WINDOW_FRAMES, BANDS)."""

    span: Span
    own: Array
    context: Array


def cut_points(loudness: npt.NDArray[np.float64]) -> list[int]:
    """Where to cut a stretch: at its quietest frame, and again in each part that is still too long."""
    points: list[int] = []
    parts = [(0, len(loudness))]
    while parts:
        a, b = parts.pop()
        if b - a > LONGEST_PIECE_FRAMES:
            inner = loudness[a + SHORTEST_PIECE_FRAMES : b - SHORTEST_PIECE_FRAMES]
            point = a + SHORTEST_PIECE_FRAMES + int(inner.argmin())
            points.append(point)
            parts += [(a, point), (point, b)]
    return sorted(points)


def smooth_loudness(mel: Array) -> npt.NDArray[np.float64]:
    """Decibels per frame, smoothed over 70 ms so that the closure of a "t" is no pause."""
    decibels = 10 * np.log10(mel.sum(axis=1, dtype=np.float64) + 1e-8)
    padded = np.pad(decibels, SMOOTHING_FRAMES // 2, mode="edge")
    return np.convolve(padded, np.full(SMOOTHING_FRAMES, 1 / SMOOTHING_FRAMES), mode="valid")


def _pieces(audio: Audio, speech: Sequence[Span]) -> Iterator[_Piece]:
    for span in speech:
        mel = mel_power(audio.cut(span))
        if len(mel) > 1:
            edges = [0, *cut_points(smooth_loudness(mel)), len(mel)]
            for start, end in pairwise(edges):
                yield _piece(span, mel, start, end)


def _piece(span: Span, mel: Array, start: int, end: int) -> _Piece:
    middle = (start + end) // 2
    first = max(0, min(middle - WINDOW_FRAMES // 2, len(mel) - WINDOW_FRAMES))
    end_time = span.end if end == len(mel) else span.start + end * FRAME_SECONDS
    return _Piece(
        Span(span.start + start * FRAME_SECONDS, end_time),
        fill_window(mel[start:end]),
        fill_window(mel[first : first + WINDOW_FRAMES]),
    )


def decode(scores: Matrix, change_cost: float) -> Labels:
    """The labels of largest total score, shape (n,), where each change of label costs (Viterbi).

    `scores`, shape (n, k): what piece i gains from label j.
    """
    n, k = scores.shape
    total, came_from = scores[0].copy(), np.zeros((n, k), np.intp)
    for i in range(1, n):
        best = int(total.argmax())
        stays = total >= total[best] - change_cost
        came_from[i] = np.where(stays, np.arange(k), best)
        total = np.where(stays, total, total[best] - change_cost) + scores[i]
    labels = np.empty(n, np.intp)
    labels[-1] = total.argmax()
    for i in range(n - 1, 0, -1):
        labels[i - 1] = came_from[i, labels[i]]
    return labels


def _centroids(vectors: Matrix, durations: Matrix, labels: Labels) -> Matrix:
    """The voice of each label, of length 1, longer pieces counting more; shape (k, d)."""
    belongs = np.eye(int(labels.max()) + 1)[labels] * durations[:, None]
    sums = belongs.T @ vectors
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12))


def _segments(spans: Sequence[Span], names: Sequence[str]) -> tuple[SpeakerSegment, ...]:
    """Pieces to segments: neighbours of one speaker become one."""
    joined: list[SpeakerSegment] = []
    for span, name in zip(spans, names, strict=True):
        last = joined[-1] if joined else None
        if last and last.speaker == name and span.start - last.end <= JOINED_PAUSE:
            joined[-1] = SpeakerSegment(last.start, span.end, name)
        else:
            joined.append(SpeakerSegment(span.start, span.end, name))
    return tuple(joined)


class EmbeddedDiarizer:
    """Tells voices apart on the processor alone, in about 0.015 of the recording's length on four cores.

    See the top of this file for what it is good for and what not.
    """

    @property
    def info(self) -> EngineInfo:
        model = models.MODELS["d-vector"]
        return EngineInfo("embedded", metadata.version("turnwise"), model.identity, model.sha256)

    @cached_property
    def _encoder(self) -> VoiceEncoder:
        return VoiceEncoder.parse(models.read("d-vector"))

    def diarize(
        self, audio: Audio, speech: Sequence[Span], count: SpeakerCount, progress: Progress = no_progress
    ) -> Diarization:
        """Who speaks when, inside `speech`; nobody where that is empty. `segments` is `exclusive`.

        Labels are "speaker_1", "speaker_2", … in order of first appearance. Raises EngineMissingError
        where the weights are not here and ModelCorruptError where they are not the ones described.
        """
        spans, vectors = self._voices(audio, speech, progress)
        if not spans:
            return Diarization((), (), (), np.empty((0, DIMENSIONS), np.float32), self.info)
        durations = np.array([span.duration for span in spans])
        labels = cluster(vectors, durations, _stretches(spans), count)
        scores = vectors @ _centroids(vectors, durations, labels).T * durations[:, None]
        labels = _by_appearance(decode(scores, CHANGE_COST))
        names = tuple(f"speaker_{label + 1}" for label in range(int(labels.max()) + 1))
        segments = _segments(spans, [names[label] for label in labels])
        embeddings = _centroids(vectors, durations, labels).astype(np.float32)
        return Diarization(segments, segments, names, embeddings, self.info)

    def _voices(self, audio: Audio, speech: Sequence[Span], progress: Progress) -> tuple[list[Span], Matrix]:
        """Every piece and its voice; a batch at a time, so that memory does not grow with the windows."""
        spans: list[Span] = []
        vectors: list[Matrix] = [np.empty((0, DIMENSIONS))]
        pieces = _pieces(audio, speech)
        while batch := list(islice(pieces, BATCH_PIECES)):
            spans += [piece.span for piece in batch]
            windows = np.stack([window for piece in batch for window in (piece.own, piece.context)])
            voices = self._encoder.encode(windows).astype(np.float64)
            vectors.append(voices.reshape(len(batch), 2, DIMENSIONS).sum(axis=1))
            progress(spans[-1].end / speech[-1].end)
        progress(1.0)
        found = np.concatenate(vectors)
        return spans, np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12))


def _stretches(spans: Sequence[Span]) -> Labels:
    """A number for every piece, the same for those that touch."""
    apart = [a.end < b.start for a, b in pairwise(spans)]
    return np.concatenate([[0], np.cumsum(apart)]).astype(np.intp)


def _by_appearance(labels: Labels) -> Labels:
    """The labels numbered 0, 1, 2, … in the order in which they first occur."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse], dtype=np.intp)
