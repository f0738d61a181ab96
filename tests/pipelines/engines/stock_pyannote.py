"""pyannote.audio's own pipeline on a folder of the tests: the oracle, and what the benchmark is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import yaml

from pipelines.engines.pyannote.imports import import_pyannote, silenced
from pipelines.types import SAMPLE_RATE, Diarization, Samples

Segments = list[tuple[float, float, str]]


@dataclass(slots=True)
class Heard:
    """What pyannote.audio says, labels in order of first appearance as in a Diarization."""

    segments: Segments
    exclusive: Segments
    speakers: tuple[str, ...]
    centroids: npt.NDArray[Any]
    segmentation: npt.NDArray[Any]
    embeddings: npt.NDArray[Any]


@dataclass(slots=True)
class Artefacts:
    """A hook that keeps what each step made."""

    made: dict[str, Any] = field(default_factory=dict)

    def __call__(self, name: str, artefact: Any, **options: Any) -> None:
        if "completed" not in options:
            self.made[name] = artefact


def load_stock(folder: Path, **settings: object) -> Any:
    """The pipeline of a folder whose parts are under their roles' names, with other settings where given."""
    import_pyannote()
    from pyannote.audio import Model  # noqa: PLC0415
    from pyannote.audio.core.plda import PLDA  # noqa: PLC0415
    from pyannote.audio.pipelines import SpeakerDiarization  # noqa: PLC0415

    configuration = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    has_plda = (folder / "plda").is_dir()
    with silenced():
        parts = {
            "segmentation": Model.from_pretrained(folder / "segmentation"),
            "embedding": Model.from_pretrained(folder / "embedding"),
            "plda": PLDA.from_pretrained(folder / "plda") if has_plda else PLDA.__new__(PLDA),
        }
        pipeline = SpeakerDiarization(**{**configuration["pipeline"]["params"], **parts, **settings})
    return pipeline.instantiate(configuration["params"])


def run_stock(pipeline: Any, samples: Samples, count: Mapping[str, int] | None = None) -> Heard:
    """`count`: num_speakers, min_speakers, max_speakers."""
    artefacts = Artefacts()
    file = {"waveform": torch.from_numpy(samples.copy())[None], "sample_rate": SAMPLE_RATE, "uri": "clip"}
    with silenced():
        output = pipeline(file, hook=artefacts, **(count or {}))
    end = len(samples) / SAMPLE_RATE
    found = _tracks(output.speaker_diarization, end)
    names: dict[str, str] = {}
    for _, _, label in found:
        names.setdefault(label, f"speaker_{len(names) + 1}")
    rows = [output.speaker_diarization.labels().index(label) for label in names]
    return Heard(
        _renamed(found, names),
        _renamed(_tracks(output.exclusive_speaker_diarization, end), names),
        tuple(names.values()),
        output.speaker_embeddings[rows],
        artefacts.made["segmentation"].data,
        artefacts.made.get("embeddings", np.empty(0)),
    )


def _tracks(annotation: Any, end: float) -> Segments:
    """Until the end of the recording, in which pyannote.audio's last chunk is longer; of those that begin at
    the same time the one with the lower number first."""
    order = {label: number for number, label in enumerate(annotation.labels())}
    tracks = ((s.start, min(s.end, end), label) for s, _, label in annotation.itertracks(yield_label=True))
    return sorted((t for t in tracks if t[0] < t[1]), key=lambda t: (t[0], t[1], order[t[2]]))


def _renamed(found: Segments, names: Mapping[str, str]) -> Segments:
    return sorted((start, end, names[label]) for start, end, label in found)


def segments(found: Iterable[Any]) -> Segments:
    return sorted((segment.start, segment.end, segment.speaker) for segment in found)


def differences(stock: Heard, ours: Diarization) -> list[str]:
    """What of the two is not the same."""
    same = {
        "segments": stock.segments == segments(ours.segments),
        "exclusive": stock.exclusive == segments(ours.exclusive),
        "speakers": stock.speakers == ours.speakers,
        "centroids": stock.centroids.shape == ours.embeddings.shape
        and np.allclose(stock.centroids, ours.embeddings, rtol=1e-5, atol=1e-5),
    }
    return [name for name, is_same in same.items() if not is_same]
