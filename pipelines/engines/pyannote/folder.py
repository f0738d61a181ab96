"""A pipeline folder of pyannote.audio: config.yaml, and the files it names.

    community-1/              as the model hub has it
        config.yaml           parts as `$model/segmentation`
        segmentation/pytorch_model.bin
        embedding/pytorch_model.bin
        plda/plda.npz, plda/xvec_transform.npz

If the configuration names a part by its address on the model hub, as in 3.1 (`pyannote/segmentation-3.0`),
the part is looked for in the folder under its role (`segmentation`), its own name (`segmentation-3.0`) or the
whole address. Nothing is ever fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.errors import ModelUnusableError

CONFIGURATION = "config.yaml"
NETWORK_FILE = "pytorch_model.bin"
PLDA_FILES = ("xvec_transform.npz", "plda.npz")
PIPELINES = (
    "pyannote.audio.pipelines.SpeakerDiarization",
    "pyannote.audio.pipelines.speaker_diarization.SpeakerDiarization",
)
VBX, AGGLOMERATIVE = "VBxClustering", "AgglomerativeClustering"
PARAMETERS = {VBX: ("threshold", "Fa", "Fb"), AGGLOMERATIVE: ("threshold", "method", "min_cluster_size")}
"""The parameters that each clustering needs."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The parts and parameters of a pipeline folder."""

    segmentation: Path
    embedding: Path
    plda: Path | None  # the folder of PLDA_FILES; only for VBX
    clustering: str
    clustering_parameters: Mapping[str, Any]
    exclude_overlap: bool  # embeddings are computed only where nobody else speaks
    embedding_batch_size: int
    segmentation_step: float  # of a chunk's length
    min_duration_off: float  # a speaker's shorter pauses are filled
    threshold: float = field(default=0.5)  # of activity; not needed by networks that choose a set of speakers


def load_recipe(folder: Path) -> Recipe:
    """Reads config.yaml and finds the parts, without opening them.

    Raises ModelUnusableError if the folder is not a pipeline for diarization or is incomplete.
    """
    configuration = _load_configuration(folder)
    pipeline = _table(configuration, "pipeline", folder)
    if pipeline.get("name") not in PIPELINES:
        raise ModelUnusableError(
            f"{folder.name}/{CONFIGURATION} describes {pipeline.get('name')!r}, not a pipeline for"
            " diarization: name a folder of pyannote's speaker-diarization models."
        )
    settings = _table(pipeline, "params", folder)
    clustering = settings.get("clustering", VBX)
    if clustering not in PARAMETERS:
        raise ModelUnusableError(
            f"{folder.name} clusters by {clustering!r}: only {VBX} and {AGGLOMERATIVE} can be used."
        )
    return Recipe(
        segmentation=_find_network(folder, "segmentation", settings.get("segmentation")),
        embedding=_find_network(folder, "embedding", settings.get("embedding")),
        plda=_find_plda(folder, settings.get("plda")) if clustering == VBX else None,
        clustering=clustering,
        exclude_overlap=bool(settings.get("embedding_exclude_overlap", False)),
        embedding_batch_size=int(settings.get("embedding_batch_size", 1)),
        segmentation_step=float(settings.get("segmentation_step", 0.1)),
        **_parameters(configuration, clustering, folder),
    )


def _load_configuration(folder: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415  # comes with pyannote.audio

    path = folder / CONFIGURATION
    if not path.is_file():
        raise ModelUnusableError(
            f"{folder.name} is not a pyannote folder: it lacks {CONFIGURATION}; fetch the whole folder again."
        )
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelUnusableError(f"{folder.name}/{CONFIGURATION} is not YAML: fetch it again.") from error
    if not isinstance(loaded, dict):
        raise ModelUnusableError(f"{folder.name}/{CONFIGURATION} holds no pipeline: fetch it again.")
    return loaded


def _table(within: Mapping[str, Any], name: str, folder: Path) -> dict[str, Any]:
    found = within.get(name)
    if not isinstance(found, dict):
        raise ModelUnusableError(f"{folder.name}/{CONFIGURATION} lacks {name!r}: fetch it again.")
    return found


def _parameters(configuration: Mapping[str, Any], clustering: str, folder: Path) -> dict[str, Any]:
    parameters = _table(configuration, "params", folder)
    of_clustering = _table(parameters, "clustering", folder)
    missing = [name for name in PARAMETERS[clustering] if name not in of_clustering]
    if missing:
        raise ModelUnusableError(
            f"{folder.name}/{CONFIGURATION} lacks the parameter {missing[0]!r} of {clustering}:"
            " fetch it again."
        )
    of_segmentation = parameters.get("segmentation", {})
    return {
        "clustering_parameters": {name: of_clustering[name] for name in PARAMETERS[clustering]},
        "min_duration_off": float(of_segmentation.get("min_duration_off", 0.0)),
        "threshold": float(of_segmentation.get("threshold", 0.5)),
    }


def _find_network(folder: Path, role: str, named: object) -> Path:
    for place in _places(folder, role, named):
        for path in (place, place / NETWORK_FILE):
            if path.is_file():
                return path
    raise _missing_part(folder, role, named, f"{role}/{NETWORK_FILE}")


def _find_plda(folder: Path, named: object) -> Path:
    for place in _places(folder, "plda", named):
        if all((place / name).is_file() for name in PLDA_FILES):
            return place
    raise _missing_part(folder, "plda", named, " and ".join(f"plda/{name}" for name in PLDA_FILES))


def _places(folder: Path, role: str, named: object) -> Iterator[Path]:
    """Where a part may lie, likeliest first; `named` is its entry in the configuration."""
    if isinstance(named, Mapping):
        yield folder / str(named.get("subfolder") or role)
        named = named.get("checkpoint")
    if isinstance(named, str):
        inside = named.removeprefix("$model/").partition("@")[0]
        yield folder / inside
        yield folder / Path(inside).name
    yield folder / role


def _missing_part(folder: Path, role: str, named: object, expected: str) -> ModelUnusableError:
    return ModelUnusableError(
        f"The pyannote folder {folder.name} lacks its {role} part ({_described(named)}): put it there as"
        f" {expected}; nothing is fetched during the work."
    )


def _described(named: object) -> str:
    if isinstance(named, Mapping):
        return str(named.get("checkpoint", "not named"))
    return str(named or "not named")
