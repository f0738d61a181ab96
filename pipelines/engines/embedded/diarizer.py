"""The embedded diarizer: speech cut at its quietest places, a d-vector for every piece, and clustering.

It is good with close microphones (studio, telephone, headset) and turns over about 1.5 s; it finds a shorter
answer if there is a pause on both sides. It is not good at far-field meetings, where the room drowns out the
voice and the result is no better than one speaker for all; at two people speaking at once, of whom it names
one; or at voices that only a trained ear can distinguish. Use pyannote for those.

    speech   ├────────────────────────────┤      ├─────────┤
    pieces   ├───┼────┼──┼─────┼────┼─────┤      ├────┼────┤     cut at the quietest place, 0.25 to 1 s long
    own               ├──┤                                       a vector from the piece alone: precise,
    context        ├────────┤                                    and one from 1.6 s around it: reliable
    speaker  └─ 1 ────┴──┘└─ 2 ───────────┘      └─ 2 ─────┘     a first guess
    context     ├────────┤                                       again, now from its speaker's run only
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from itertools import groupby, islice, pairwise

import numpy as np
import numpy.typing as npt

from pipelines import models
from pipelines.engines.embedded.agglomeration import Labels, Matrix, cluster
from pipelines.engines.embedded.dvector import (
    DIMENSIONS,
    HOP_SAMPLES,
    WINDOW_FRAMES,
    Array,
    VoiceEncoder,
    fill_window,
    mel_power,
)
from pipelines.overlap import join_segments
from pipelines.protocols import Progress, no_progress
from pipelines.types import SAMPLE_RATE, Audio, Diarization, EngineInfo, Span, SpeakerCount, SpeakerSegment

FRAME_SECONDS = HOP_SAMPLES / SAMPLE_RATE
LONGEST_PIECE_FRAMES = 100
SHORTEST_PIECE_FRAMES = 25
SMOOTHING_FRAMES = 7
BATCH_WINDOWS = 256
FIRST_LOOK = 0.8
"""Share of the work done before the first guess at the speakers."""

CHANGE_COST = 0.02
"""What a further change of speaker must gain, in seconds times cosine."""
JOINED_PAUSE = 0.3
"""Seconds; segments of one speaker are joined across a pause of at most this."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Frames [start, end) of a stretch of speech: short, and ideally by one speaker."""

    stretch: Span
    start: int
    end: int

    @property
    def span(self) -> Span:
        start = self.stretch.start + self.start * FRAME_SECONDS
        return Span(start, min(self.stretch.end, self.stretch.start + self.end * FRAME_SECONDS))


Run = tuple[int, int]
"""Frames [start, end) of a stretch in which one speaker speaks, as far as is known."""


def cut_points(loudness: npt.NDArray[np.float64]) -> list[int]:
    """Where to cut a stretch: at its quietest frame, and so on in each part that is still too long."""
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
    """Decibels per frame, smoothed over 70 ms so that the closure of a "t" is not a pause."""
    decibels = 10 * np.log10(mel.sum(axis=1, dtype=np.float64) + 1e-8)
    padded = np.pad(decibels, SMOOTHING_FRAMES // 2, mode="edge")
    return np.convolve(padded, np.full(SMOOTHING_FRAMES, 1 / SMOOTHING_FRAMES), mode="valid")


def _look(audio: Audio, speech: Sequence[Span]) -> Iterator[tuple[_Piece, Array, Array]]:
    """Every piece with its two windows."""
    for stretch in speech:
        mel = mel_power(audio.cut(stretch))
        for start, end in pairwise([0, *cut_points(smooth_loudness(mel)), len(mel)]):
            piece = _Piece(stretch, start, end)
            yield piece, fill_window(mel[start:end]), _context(mel, piece, (0, len(mel)))


def _look_again(audio: Audio, pieces: Sequence[_Piece], runs: Sequence[Run]) -> Iterator[Array]:
    """The context window of every piece, from within its run."""
    for stretch, group in groupby(zip(pieces, runs, strict=True), key=lambda pair: pair[0].stretch):
        mel = mel_power(audio.cut(stretch))
        for piece, run in group:
            yield _context(mel, piece, run)


def _context(mel: Array, piece: _Piece, run: Run) -> Array:
    """WINDOW_FRAMES around the middle of the piece, moved inside the run; all of a shorter run."""
    low, high = run
    first = max(low, min((piece.start + piece.end - WINDOW_FRAMES) // 2, high - WINDOW_FRAMES))
    return fill_window(mel[first : min(high, first + WINDOW_FRAMES)])


def _runs(pieces: Sequence[_Piece], labels: Labels) -> list[Run]:
    """For each piece, the run of touching pieces with the same label around it."""
    runs: list[Run] = []
    pairs = zip(pieces, labels.tolist(), strict=True)
    for _, group in groupby(pairs, key=lambda pair: (pair[0].stretch, pair[1])):
        members = [piece for piece, _ in group]
        runs += [(members[0].start, members[-1].end)] * len(members)
    return runs


def decode(scores: Matrix, change_cost: float) -> Labels:
    """The labels with the largest total score, shape (n,), less `change_cost` per change (Viterbi).

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
    """The mean vector of each label, scaled to length 1, weighted by duration; shape (k, d)."""
    belongs = np.eye(int(labels.max()) + 1)[labels] * durations[:, None]
    return _unit(belongs.T @ vectors)


class EmbeddedDiarizer:
    """Separates speakers on the processor alone, in about 0.015 of the recording's length on four cores.

    See the top of this file for its strengths and weaknesses.
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
        """Who speaks when, inside `speech`; nobody if that is empty. `segments` is `exclusive`.

        Speakers are "speaker_1", "speaker_2", … in order of first appearance. Raises EngineMissingError if
        the weights are missing and ModelCorruptError if they are not the expected ones.
        """
        pieces, own, context = self._first_look(audio, speech, progress)
        if not pieces:
            return Diarization((), (), (), np.empty((0, DIMENSIONS), np.float32), self.info)
        spans = [piece.span for piece in pieces]
        durations = np.array([span.duration for span in spans])
        stretches = np.cumsum([0, *(a.stretch != b.stretch for a, b in pairwise(pieces))])
        guess = cluster(own + context, durations, stretches, count)
        vectors = _unit(own + self._second_look(audio, pieces, _runs(pieces, guess), context))
        labels = cluster(vectors, durations, stretches, count)
        scores = vectors @ _centroids(vectors, durations, labels).T * durations[:, None]
        labels = _by_appearance(decode(scores, CHANGE_COST))
        progress(1.0)
        names = tuple(f"speaker_{label + 1}" for label in range(int(labels.max()) + 1))
        pieces_of = (
            SpeakerSegment(s.start, s.end, names[label]) for s, label in zip(spans, labels, strict=True)
        )
        segments = join_segments(pieces_of, JOINED_PAUSE)
        embeddings = _centroids(vectors, durations, labels).astype(np.float32)
        return Diarization(segments, segments, names, embeddings, self.info)

    def _first_look(
        self, audio: Audio, speech: Sequence[Span], progress: Progress
    ) -> tuple[list[_Piece], Matrix, Matrix]:
        """Every piece, its own vector and that of its context; a batch at a time, in bounded memory."""
        pieces: list[_Piece] = []
        voices = [np.empty((0, DIMENSIONS))]
        found = _look(audio, speech)
        while batch := list(islice(found, BATCH_WINDOWS // 2)):
            pieces += [piece for piece, _, _ in batch]
            voices.append(self._encode([window for _, *windows in batch for window in windows]))
            progress(FIRST_LOOK * pieces[-1].span.end / speech[-1].end)
        all_voices = np.concatenate(voices)
        return pieces, all_voices[::2], all_voices[1::2]

    def _second_look(
        self, audio: Audio, pieces: Sequence[_Piece], runs: Sequence[Run], context: Matrix
    ) -> Matrix:
        """`context`, computed again for pieces whose run ends at a guessed change of speaker."""
        ends = {piece.stretch: piece.end for piece in pieces}  # that of the last piece
        changed = [i for i, run in enumerate(runs) if run != (0, ends[pieces[i].stretch])]
        windows = _look_again(audio, [pieces[i] for i in changed], [runs[i] for i in changed])
        voices = [np.empty((0, DIMENSIONS))]
        while batch := list(islice(windows, BATCH_WINDOWS)):
            voices.append(self._encode(batch))
        again = context.copy()
        again[changed] = np.concatenate(voices)
        return again

    def _encode(self, windows: Sequence[Array]) -> Matrix:
        return self._encoder.encode(np.stack(windows)).astype(np.float64)


def _unit(vectors: Matrix) -> Matrix:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def _by_appearance(labels: Labels) -> Labels:
    """The labels renumbered 0, 1, 2, … in order of first occurrence."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse], dtype=np.intp)
