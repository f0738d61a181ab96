"""The pyannote diarizer: a pipeline folder's networks and clustering, from samples to segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.engines.failures import explained
from pipelines.engines.model_engine import ModelEngine
from pipelines.engines.pyannote.batches import NAME
from pipelines.engines.pyannote.clustering import Clusterer, Clusters
from pipelines.engines.pyannote.embedding import Embedder
from pipelines.engines.pyannote.folder import Recipe, load_recipe
from pipelines.engines.pyannote.imports import import_pyannote
from pipelines.engines.pyannote.networks import load_network
from pipelines.engines.pyannote.reconstruction import fill_pauses, name_segments, rank, spans
from pipelines.engines.pyannote.segmentation import Segmentation, Segmenter, count_speakers
from pipelines.overlap import exclusive
from pipelines.protocols import Progress, no_progress
from pipelines.types import Audio, Diarization, Span, SpeakerCount

FAST_STEP = 0.25
"""Hop from chunk to chunk, as a fraction of a chunk, with `fast`; pyannote.audio's own is 0.1."""

SEGMENTED, EMBEDDED, CLUSTERED = 0.15, 0.9, 0.95
"""The fraction of the work done after each stage."""


class Pyannote(ModelEngine):
    """pyannote.audio 4: the best at separating speakers, even when several speak at once.

    `model` is the name of a folder in `pyannote` in the models folder ("community-1", "3.1"), or the path of
    any folder with a config.yaml for diarization. `fast` uses 2.5 times fewer chunks:
    docs/engines-pyannote.md describes the effect.
    """

    family = "pyannote"
    distributions = (NAME,)

    def __init__(self, model: str, device: str = "auto", fast: bool = False) -> None:
        super().__init__(model, device, " (fast)" if fast else "")
        self._fast = fast
        self._loaded: Stages | None = None

    def check(self) -> None:
        super().check()
        load_recipe(self._path)

    def diarize(
        self, audio: Audio, speech: Sequence[Span], count: SpeakerCount, progress: Progress = no_progress
    ) -> Diarization:
        """Who speaks when; detects speech itself and ignores `speech`.

        Speakers are "speaker_1", "speaker_2", … in order of first appearance; none if nobody speaks.
        Exceptions from `progress` are passed on. Raises what `check` raises, ModelUnusableError for damaged
        weights, EngineMemoryError if there is not enough memory even for single chunks, and EngineError.
        """
        stages = self.load()
        if not len(audio.samples):
            return self._nobody(stages, progress)
        with _exact():
            segmentation = stages.segmenter.segment(audio.samples, lambda part: progress(SEGMENTED * part))
            counts = count_speakers(segmentation)
            if not counts.any():
                return self._nobody(stages, progress)
            embeddings = stages.embedder.embed(
                audio.samples, segmentation, lambda part: progress(SEGMENTED + (EMBEDDED - SEGMENTED) * part)
            )
            clusters = stages.clusterer.cluster(embeddings, segmentation, count)
        progress(CLUSTERED)
        found = self._assemble(stages, audio, segmentation, clusters, counts, count)
        progress(1.0)
        return found

    def _assemble(
        self,
        stages: Stages,
        audio: Audio,
        segmentation: Segmentation,
        clusters: Clusters,
        counts: np.typing.NDArray[np.uint8],
        count: SpeakerCount,
    ) -> Diarization:
        """The segments from the frames, with names and embeddings for the speakers."""
        times = segmentation.windows.frame_times
        known = len(clusters.centroids)

        def find(at_once: int) -> list[tuple[float, float, int]]:
            active = rank(segmentation, clusters.assigned, np.minimum(counts, at_once), known)
            return fill_pauses(spans(active, times, audio.duration), stages.recipe.min_duration_off)

        all_found, in_front = find(count.maximum or int(counts.max())), find(1)
        order = list(dict.fromkeys(speaker for _, _, speaker in [*all_found, *in_front]))
        names = {speaker: f"speaker_{number}" for number, speaker in enumerate(order, start=1)}
        voices = np.zeros((len(order), stages.embedder.dimension), np.float32)
        for row, speaker in enumerate(order):
            if speaker < known:
                voices[row] = clusters.centroids[speaker]
        segments = name_segments(all_found, names)
        return Diarization(
            segments, exclusive(name_segments(in_front, names)), tuple(names.values()), voices, self.info
        )

    def _nobody(self, stages: Stages, progress: Progress) -> Diarization:
        progress(1.0)
        return Diarization((), (), (), np.empty((0, stages.embedder.dimension), np.float32), self.info)

    def load(self) -> Stages:
        """The stages with their weights, loaded once."""
        with self._lock:
            if self._loaded is None:
                self.check()
                with explained(NAME):
                    import_pyannote()
                    self._loaded = Stages.load(self._path, self._choose_device(), self._fast)
            return self._loaded


@dataclass(frozen=True, slots=True)
class Stages:
    """A loaded pipeline folder."""

    recipe: Recipe
    segmenter: Segmenter
    embedder: Embedder
    clusterer: Clusterer

    @classmethod
    def load(cls, folder: Path, device: str, fast: bool) -> Stages:
        recipe = load_recipe(folder)
        step = max(recipe.segmentation_step, FAST_STEP) if fast else recipe.segmentation_step
        return cls(
            recipe,
            Segmenter(load_network(recipe.segmentation), device, step, recipe.threshold),
            Embedder(
                load_network(recipe.embedding), device, recipe.exclude_overlap, recipe.embedding_batch_size
            ),
            Clusterer(recipe, recipe.segmentation_step / step),
        )


@contextmanager
def _exact() -> Iterator[None]:
    """Makes graphics cards compute in float32, as pyannote.audio does: TensorFloat-32 costs accuracy."""
    import torch  # noqa: PLC0415

    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
