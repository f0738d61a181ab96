"""Weights: which there are, where they are, what they hash to, and how to fetch them.

They lie in one folder: TURNWISE_MODELS, or `turnwise/models` in the user's cache folder (XDG Base Directory
Specification 0.8). Copying that folder to a machine without network is the whole installation there.

The embedded engines' weights are inside wheels of the package registry. pip fetches a wheel without
installing it, so the user's proxy, mirror and credentials apply; its code is never run.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import NamedTemporaryFile

from pipelines.checkpoint import convert_checkpoint
from pipelines.errors import EngineMissingError, ModelCorruptError, ModelFetchError, OptionError
from pipelines.wheels import Wheel, fetch_member

FOLDER_VARIABLE = "TURNWISE_MODELS"


@dataclass(frozen=True, slots=True)
class Model:
    """One file of weights: what it is, and where it comes from."""

    name: str  # "d-vector"
    bundle: str  # fetched together: "embedded"
    identity: str  # for people and for a result's provenance
    licence: str  # SPDX
    path: str  # below the models folder
    size_bytes: int
    sha256: str
    wheel: Wheel
    member: str  # the file inside the wheel
    convert: Callable[[bytes], bytes] | None = None  # from the member to the file; None: as it is


class State(StrEnum):
    PRESENT = "present"  # here, with the hash of the manifest
    MISSING = "missing"
    CORRUPT = "corrupt"  # here, with another hash


def _encoder_weights(checkpoint: bytes) -> bytes:
    return convert_checkpoint(checkpoint, "model_state", ("lstm.", "linear."))


MANIFEST = (
    Model(
        name="silero-vad",
        bundle="embedded",
        identity="Silero VAD 6 (faster-whisper 1.2.1)",
        licence="MIT",
        path="embedded/silero_vad_v6.onnx",
        size_bytes=1_245_151,
        sha256="4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2",
        wheel=Wheel(
            distribution="faster-whisper",
            version="1.2.1",
            sha256="79a66ad50688c0b794dd501dc340a736992a6342f7f95e5811be60b5224a26a7",
        ),
        member="faster_whisper/assets/silero_vad_v6.onnx",
    ),
    Model(
        name="d-vector",
        bundle="embedded",
        identity="GE2E voice encoder (resemblyzer 0.1.4)",
        licence="Apache-2.0",
        path="embedded/dvector.safetensors",
        size_bytes=5_695_632,
        sha256="6065feaa60b3083618ee29a2e4fbf012a6c02f963c14f18d34c06ef9c356cc1b",
        wheel=Wheel(
            distribution="Resemblyzer",
            version="0.1.4",
            sha256="8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
        ),
        member="resemblyzer/pretrained.pt",
        convert=_encoder_weights,
    ),
)
MODELS = {model.name: model for model in MANIFEST}


def folder() -> Path:
    """The models folder, which need not exist yet."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache"
    return base / "turnwise" / "models"


def select(names: Iterable[str] = ()) -> tuple[Model, ...]:
    """The models of those names or bundles, in the manifest's order; all without names.

    Raises OptionError for a name that is neither.
    """
    wanted = set(names)
    unknown = wanted - {name for model in MANIFEST for name in (model.name, model.bundle)}
    if unknown:
        known = ", ".join(dict.fromkeys([*(m.bundle for m in MANIFEST), *(m.name for m in MANIFEST)]))
        raise OptionError(f"There is no model {sorted(unknown)[0]!r}; the names are: {known}.")
    return tuple(model for model in MANIFEST if not wanted or wanted & {model.name, model.bundle})


def find(name: str) -> Path:
    """Where the model's file is. Raises EngineMissingError where it is not; does not check its hash."""
    model = MODELS[name]
    path = folder() / model.path
    if not path.is_file():
        raise EngineMissingError(
            f"The model {model.identity} is not in {folder()}: fetch it with `turnwise models pull "
            f"{model.bundle}`, or copy the models folder from a machine that has it."
        )
    return path


def read(name: str) -> bytes:
    """The model's file, after its hash was checked: the very bytes that an engine then runs.

    Raises EngineMissingError where it is not here and ModelCorruptError where it is another.
    """
    path = find(name)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EngineMissingError(f"The model file {path} cannot be read: {error.strerror}.") from error
    if hashlib.sha256(data).hexdigest() != MODELS[name].sha256:
        raise ModelCorruptError(
            f"The model file {path} is damaged (its SHA-256 is not the expected one): mend it with "
            f"`turnwise models pull {MODELS[name].bundle}`."
        )
    return data


def state(name: str) -> State:
    """Whether the model can be used as it is."""
    try:
        read(name)
    except EngineMissingError:
        return State.MISSING
    except ModelCorruptError:
        return State.CORRUPT
    return State.PRESENT


def verify(names: Iterable[str] = ()) -> None:
    """Hashes the files again. Raises ModelCorruptError or EngineMissingError for the first that fails."""
    for model in select(names):
        read(model.name)


def pull(names: Iterable[str] = ()) -> tuple[Model, ...]:
    """Fetches what is not here, or is damaged; returns what it fetched. Quick where nothing is to do.

    Raises ModelFetchError without network or pip, for a wheel or a file that is not the one described,
    and where the folder cannot be written; what was there before is then still there.
    """
    wanted = tuple(model for model in select(names) if state(model.name) is not State.PRESENT)
    for model in wanted:
        _store(model, _fetch(model))
    return wanted


def _fetch(model: Model) -> bytes:
    data = fetch_member(model.wheel, model.member)
    converted = model.convert(data) if model.convert else data
    if hashlib.sha256(converted).hexdigest() != model.sha256:
        raise ModelFetchError(
            f"{model.identity} came out different from what this version expects: report it as a fault."
        )
    return converted


def _store(model: Model, data: bytes) -> None:
    """Writes the file whole or not at all: a crash leaves the old one, or none."""
    path = folder() / model.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as file:
            part = Path(file.name)
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                part.chmod(0o644)  # a temporary file is its owner's alone; a shared folder's models are not
                part.replace(path)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise ModelFetchError(
            f"The models folder {folder()} cannot be written ({error.strerror}): free it, or set "
            f"{FOLDER_VARIABLE} to another one."
        ) from error
